"""The folder of a package: everything that its image is built from, besides base images and package indexes."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec

from modelport.bundles import read_manifest
from modelport.domain.environments import EnvironmentKind
from modelport.domain.progress import Progress
from modelport.packages.dockerfile import PACKAGED_BY, can_be_env, render
from modelport.packages.plan import APP_ROOT, PACKAGE, PORT, PackagePlan
from modelport.packages.requirements import FILES, ship_requirements
from modelport.packages.saving import check_nothing_is_lost
from modelport.packages.server_constraints import server_constraints
from modelport.packages.wheels import write_server_wheels
from modelport_scoring import ErrorMode, Limits, RevisionSettings, ServiceSettings

ENTRIES = ("Dockerfile", "server", "azureml-app", "azureml-models", "environment")
"""What lies in the folder; first what shows that it is one."""

_INSTALLER = "install_conda.py"
_SCORING_TIMEOUT_MS = 3_600_000
"""As the scoring server of v1's images (azureml-v1 reference, 6.7)."""


def write_context(folder: Path, plan: PackagePlan, *, bundle: Path, progress: Progress) -> None:
    """Fill the folder, which must not exist: code and models of the bundle, its lock, the server's wheels, Dockerfile.

    Model files are linked where the file system allows. Raises EnvironmentException where something that the lock names
    on this machine cannot be shipped, OSError where the folder cannot be written.
    """
    folder.mkdir(parents=True)
    shutil.copytree(bundle / "app", folder / "azureml-app")
    if (bundle / "azureml-models").is_dir():
        shutil.copytree(bundle / "azureml-models", folder / "azureml-models", copy_function=_link_or_copy)
    _write_environment(folder / "environment", plan, bundle, progress)
    _write_server(folder / "server", plan, bundle)
    (folder / "Dockerfile").write_text(render(plan), encoding="utf-8")


def copy_context(folder: Path, target: Path) -> None:
    """Copy the context, for somebody to change. What another package left there is replaced; other files stay.

    Raises UserErrorException where something of these names is there that is of no package, OSError.
    """
    if not _has_context(target):
        check_nothing_is_lost(target, ENTRIES)
    target.mkdir(parents=True, exist_ok=True)
    for name in ENTRIES:
        _remove(target / name)
        if (folder / name).is_dir():
            shutil.copytree(folder / name, target / name, copy_function=_copy_writable)
        elif (folder / name).exists():
            _copy_writable(folder / name, target / name)


def _has_context(folder: Path) -> bool:
    dockerfile = folder / "Dockerfile"
    if not dockerfile.is_file() or not (folder / "server" / "bundle.json").is_file():
        return False
    with dockerfile.open("rb") as file:
        return PACKAGED_BY.encode() in file.readline()


def _write_environment(folder: Path, plan: PackagePlan, bundle: Path, progress: Progress) -> None:
    folder.mkdir()
    shutil.copyfile(bundle / "environment" / "environment.json", folder / "environment.json")
    text = (bundle / "environment" / "lock.txt").read_text(encoding="utf-8")
    if not plan.has_environment:
        return
    lines = text.splitlines()
    if plan.kind is EnvironmentKind.CONDA:
        lock = json.loads(text)
        lines = lock["pip"]
        _write_conda(folder, lock["packages"])
    requirements = ship_requirements(lines, folder, progress=progress)
    (folder / "requirements.txt").write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")


def _write_conda(folder: Path, packages: list[dict[str, Any]]) -> None:
    """The lock, packages of a channel on this machine beside it, and the program that installs it."""
    shipped = [_ship_package(package, folder) for package in packages]
    (folder / "conda-lock.json").write_text(json.dumps(shipped, indent=1, sort_keys=True), encoding="utf-8")
    shutil.copyfile(Path(__file__).with_name(_INSTALLER), folder / _INSTALLER)


def _ship_package(package: dict[str, Any], folder: Path) -> dict[str, Any]:
    url = str(package["url"])
    if not url.startswith("file:"):
        return package
    (folder / FILES).mkdir(exist_ok=True)
    shutil.copyfile(Path(url.removeprefix("file://")), folder / FILES / str(package["fn"]))
    return {**package, "url": f"{FILES}/{package['fn']}"}


def _write_server(folder: Path, plan: PackagePlan, bundle: Path) -> None:
    folder.mkdir()
    write_server_wheels(folder / "wheels")
    constraints = "".join(f"{line}\n" for line in server_constraints())
    (folder / "constraints.txt").write_text(constraints, encoding="utf-8")
    for name, text in server_files(plan, bundle).items():
        (folder / name).write_text(text, encoding="utf-8")


def server_files(plan: PackagePlan, bundle: Path) -> dict[str, str]:
    """What the scoring server reads when it starts: by its name in the package's folder of the image."""
    settings = json.loads(msgspec.json.encode(settings_of(plan)))
    manifest = asdict(read_manifest(bundle)) | {"environment_variables": {}, "bundle": plan.bundle_digest}
    return {
        "service.json": json.dumps(settings, indent=2) + "\n",
        "bundle.json": json.dumps(manifest, indent=1) + "\n",
    }


def settings_of(plan: PackagePlan) -> ServiceSettings:
    """What the scoring server of the image is told; paths are relative to its folder."""
    rest = {name: value for name, value in plan.environment_variables.items() if not can_be_env(name, value)}
    interpreter = plan.interpreter
    return ServiceSettings(
        name=plan.name,
        workspace=plan.workspace,
        revision=RevisionSettings(
            number=1,
            bundle=".",
            interpreter=[os.path.relpath(interpreter, PACKAGE) if interpreter.startswith("/") else interpreter],
            environment_variables=rest,
            keeps_python_path=not plan.has_environment,
            app_root=os.path.relpath(APP_ROOT, PACKAGE),
        ),
        host="0.0.0.0",  # noqa: S104 - a container's port is published by whoever starts it
        port=PORT,
        error_mode=ErrorMode.CONTAINER,
        limits=Limits(scoring_timeout_ms=_SCORING_TIMEOUT_MS),
        ends_with_script=True,
    )


def _link_or_copy(source: str, target: str) -> str:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
    return target


def _copy_writable(source: str | Path, target: str | Path) -> str:
    shutil.copyfile(source, target)
    executable = Path(source).stat().st_mode & 0o111
    Path(target).chmod(0o644 | executable)
    return str(target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
