"""The layer with the script's packages, made of the lock of a bundle."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.domain.environments import EnvironmentKind
from modelport.domain.errors import EnvironmentException
from modelport.domain.progress import Progress
from modelport.environments.channels import CondaChannels
from modelport.environments.locks import sha256_of
from modelport.images.image import ImageLayer
from modelport.images.install import (
    Target,
    compile_packages,
    environment_entries,
    install,
    lines_file,
    tidy,
)
from modelport.images.layers import FORMAT, Entry, LayerCache, entries_below, write_layer
from modelport.images.lighten import remove_tests
from modelport.packages.plan import PREFIX
from modelport.packages.requirements import ship_requirements

ENVIRONMENT = f"{PREFIX}/environment"
_OF_THIS_MACHINE = frozenset({"extracted_package_dir", "link", "package_tarball_full_path", "requested_spec"})
"""Keys of a conda package's record that say where it was taken from."""


def environment_layer(
    lock: str, kind: EnvironmentKind, target: Target, *, layers: LayerCache, cache: Path, progress: Progress
) -> tuple[ImageLayer, bool]:
    """The layer of the lock for the target, and whether it was there already.

    Raises EnvironmentException where a package cannot be had or built for the target.
    """
    with tempfile.TemporaryDirectory(prefix="modelport-environment-") as name:
        folder = Path(name)
        content: dict[str, list[Any]] = {"packages": [], "pip": lock.splitlines()}
        if kind is EnvironmentKind.CONDA:
            content = json.loads(lock)
        lines = ship_requirements(content["pip"], folder, progress=progress)
        key = _key(content["packages"], lines, folder, target)
        kept = layers.get(key)
        if kept is not None:
            return kept, True
        progress.step(f"Installing {_count(content)} packages for Python {target.python.minor} on {target.platform}")
        if target.local is None:
            minor = target.python.minor
            progress.step(f"This machine has no Python {minor}: the packages are not compiled, and load slower")
        if kind is EnvironmentKind.CONDA:
            entries = _conda_entries(content["packages"], lines, folder, target, cache)
        else:
            entries = environment_entries(_packages(lines, folder, target), ENVIRONMENT, target.python)
        layer = write_layer(layers.blobs, "environment", entries)
    layers.put(key, layer)
    return layer, False


def _count(content: Mapping[str, Any]) -> int:
    return len(content["packages"]) + sum(
        1 for line in content["pip"] if line.strip() and not line.startswith(("-", "#"))
    )


def _key(packages: Sequence[Mapping[str, Any]], lines: Sequence[str], folder: Path, target: Target) -> str:
    files = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    python = [target.python.program, target.local is not None]
    return sha256_of("environment", FORMAT, list(packages), list(lines), files, python, target.for_uv)


def _packages(lines: Sequence[str], folder: Path, target: Target) -> Path:
    """A folder with the packages of the requirement lines, compiled."""
    packages = folder / "packages"
    packages.mkdir()
    if any(line.strip() for line in lines):
        install(packages, target, ["--no-deps", "-r", lines_file(folder, "requirements.txt", lines)], cwd=folder)
    remove_tests(packages)
    tidy(packages)
    site = f"{ENVIRONMENT}/lib/python{target.python.minor}/site-packages"
    compile_packages(packages, site, target.local)
    return packages


def _conda_entries(
    packages: Sequence[dict[str, Any]], lines: Sequence[str], folder: Path, target: Target, cache: Path
) -> Iterator[Entry]:
    """A conda prefix: it has its own Python."""
    subdirs = {str(package.get("subdir")) for package in packages} - {"noarch"}
    if not target.platform.is_of_this_machine:
        raise EnvironmentException(
            f"The environment is locked to conda packages of {', '.join(sorted(subdirs))}: no image of it can be made "
            f"for {target.platform}.",
            hint=f"Make it on a machine of {target.platform}; or ask for pip packages alone.",
        )
    prefix = folder / "prefix"
    CondaChannels(cache / "conda-packages").install(list(packages), prefix, moved_to=Path(ENVIRONMENT))
    for record in (prefix / "conda-meta").glob("*.json"):
        content = json.loads(record.read_text(encoding="utf-8"))
        kept = {name: value for name, value in content.items() if name not in _OF_THIS_MACHINE}
        record.write_text(json.dumps(kept, sort_keys=True), encoding="utf-8")
    (prefix / "conda-meta" / "history").unlink(missing_ok=True)
    minor = target.python.minor
    compile_packages(prefix / "lib" / f"python{minor}", f"{ENVIRONMENT}/lib/python{minor}", target.local)
    yield from entries_below(prefix, ENVIRONMENT)
    if lines:
        own = {f"{ENVIRONMENT}/{name}" for name in ("pyvenv.cfg", "bin/python", "bin/python3", f"bin/python{minor}")}
        for entry in environment_entries(_packages(lines, folder, target), ENVIRONMENT, target.python):
            if entry.path not in own:
                yield entry
