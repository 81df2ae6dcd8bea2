"""The layers with the scoring server and the worker, made of wheels of this installation."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from modelport.environments.interpreters import local_python
from modelport.environments.locks import sha256_of
from modelport.environments.probe import OLDEST
from modelport.images.image import ImageLayer
from modelport.images.install import (
    Target,
    compile_packages,
    environment_entries,
    install,
    lines_file,
    tidy,
    virtual_environment,
)
from modelport.images.layers import FORMAT, Entry, LayerCache
from modelport.images.lighten import lighten_server
from modelport.images.pythons import ImagePython
from modelport.packages.plan import PREFIX
from modelport.packages.server_constraints import server_constraints
from modelport.packages.wheels import SERVER, write_wheel

SERVER_PREFIX = f"{PREFIX}/server"
SERVER_PROGRAM = f"{SERVER_PREFIX}/bin/python"
_SCORING = "modelport-scoring"
_OWN = re.compile(r"modelport-")


def server_layer(target: Target, layers: LayerCache) -> tuple[ImageLayer, bool]:
    """The scoring server, what it needs, and its virtual environment; and whether the layer was there already."""
    needed = [line for line in requires(_SCORING) or () if not _OWN.match(line) and "extra ==" not in line]
    pins = server_constraints()
    with tempfile.TemporaryDirectory(prefix="modelport-server-") as name:
        folder = Path(name)
        wheel = write_wheel(_SCORING, SERVER[_SCORING], folder)
        key = sha256_of("server", FORMAT, _of_target(target), sorted(needed), pins, _content(wheel))

        def entries() -> Iterator[Entry]:
            packages = folder / "packages"
            requirements = lines_file(folder, "requirements.txt", needed)
            constraints = lines_file(folder, "constraints.txt", pins)
            install(packages, target, ["-r", requirements, "--constraints", constraints], cwd=folder)
            install(packages, target, ["--no-deps", "--no-index", str(wheel)], cwd=folder)
            return _site(packages, target)

        return layers.layer("server", key, entries)


def worker_layer(target: Target, script: ImagePython | None, layers: LayerCache) -> tuple[ImageLayer, bool]:
    """The worker and the azureml names, compiled for the server's Python and for the script's."""
    names = [name for name in SERVER if name != _SCORING]
    with tempfile.TemporaryDirectory(prefix="modelport-worker-") as name:
        folder = Path(name)
        wheels = [write_wheel(each, SERVER[each], folder) for each in names]
        pythons = [target.python, *([script] if script and script.numbers >= OLDEST else [])]
        minors = sorted({python.minor for python in pythons})
        key = sha256_of("worker", FORMAT, _of_target(target), minors, [_content(wheel) for wheel in wheels])

        def entries() -> Iterator[Entry]:
            packages = folder / "packages"
            install(packages, target, ["--no-deps", "--no-index", *map(str, wheels)], cwd=folder)
            return _without_environment(_site(packages, target, script), target.python)

        return layers.layer("worker", key, entries)


def _site(packages: Path, target: Target, script: ImagePython | None = None) -> Iterator[Entry]:
    lighten_server(packages)
    tidy(packages)
    place = f"{SERVER_PREFIX}/lib/python{target.python.minor}/site-packages"
    compile_packages(packages, place, target.local)
    if script is not None and script.minor != target.python.minor:
        compile_packages(packages, place, local_python(script.minor))
    return environment_entries(packages, SERVER_PREFIX, target.python)


def _without_environment(entries: Iterator[Entry], python: ImagePython) -> Iterator[Entry]:
    """Only what the server's layer does not have already."""
    there = {entry.path for entry in virtual_environment(SERVER_PREFIX, python)}
    return (entry for entry in entries if entry.path not in there)


def _of_target(target: Target) -> list[object]:
    return [target.python.program, target.local is not None, target.for_uv]


def _content(wheel: Path) -> str:
    return wheel.read_bytes().hex() if wheel.stat().st_size < 1 << 16 else sha256_of(wheel.read_bytes().hex())
