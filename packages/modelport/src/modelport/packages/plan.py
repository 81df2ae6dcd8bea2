"""What an image is to be built from: a value that can be looked at and tested."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from modelport.bundles import BundleModel, Manifest
from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind, Lock
from modelport.packages.base_images import Base, choose_base, is_of_v1, system_packages

APP_ROOT = "/var/azureml-app"
PACKAGE = "/var/azureml-server"
PREFIX = "/opt/modelport"
"""Where the scoring server and the script's environment are in the image, side by side."""

PORT = 5001
"""As the images of v1 (azureml-v1 reference, 2.14)."""

USER = 10001
"""Number of the user that the image runs as: nobody's on most systems, and not root."""


@dataclass(frozen=True, kw_only=True)
class PackagePlan:
    """Everything that decides how the image is built, but for the files themselves."""

    name: str
    """Name of the image, and of the service in it."""
    workspace: str
    bundle_digest: str
    entry_script: str
    source_directory: str | None
    models: tuple[BundleModel, ...]
    environment_variables: Mapping[str, str]
    base: Base
    kind: EnvironmentKind
    python_version: str | None
    """Of the script; None where it runs on whichever Python the base has."""
    interpreter: str
    """The command that starts the script's Python: a path of the image, or a name on its PATH."""
    system_packages: Sequence[str] = ()
    build_packages: Sequence[str] = ()
    tools: Sequence[str] = ()
    """What the build needs of pip, pinned to what is installed here."""
    notes: Sequence[str] = field(default=())
    """What somebody who builds the image should know."""

    @property
    def has_environment(self) -> bool:
        """Whether one is made; else the script runs on a Python of the base."""
        return self.kind is not EnvironmentKind.SYSTEM

    @property
    def model_directory(self) -> str | None:
        """The value of ``AZUREML_MODEL_DIR`` (azureml-v1 reference, 5.3)."""
        if not self.models:
            return None
        models = f"{APP_ROOT}/azureml-models"
        return models if len(self.models) > 1 else f"{models}/{self.models[0].name}/{self.models[0].version}"


def plan_package(
    manifest: Manifest, definition: EnvironmentDefinition, lock: Lock, *, name: str, workspace: str
) -> PackagePlan:
    """The plan for the image of a bundle that was made with the environment and its lock."""
    python_version = None if lock.kind is EnvironmentKind.SYSTEM else lock.python_version
    if lock.kind is EnvironmentKind.CONDA:
        python_version = None  # it comes with the prefix, and asks nothing of the base
    base = choose_base(definition.docker, python_version)
    requirements = _requirements(lock)
    return PackagePlan(
        name=name,
        workspace=workspace,
        bundle_digest=manifest.digest,
        entry_script=manifest.entry_script,
        source_directory=manifest.source_directory,
        models=manifest.models,
        environment_variables=dict(manifest.environment_variables),
        base=base,
        kind=lock.kind,
        python_version=python_version,
        interpreter=_interpreter(lock.kind, definition, base),
        system_packages=system_packages(requirements),
        build_packages=["git"] if any("git+" in line for line in requirements) else [],
        tools=_tools(lock.kind),
        notes=_notes(lock.kind, definition, base),
    )


def _requirements(lock: Lock) -> list[str]:
    if lock.kind is EnvironmentKind.CONDA:
        return [str(line) for line in json.loads(lock.text)["pip"]]
    return lock.text.splitlines()


def _interpreter(kind: EnvironmentKind, definition: EnvironmentDefinition, base: Base) -> str:
    if kind is not EnvironmentKind.SYSTEM:
        return f"{PREFIX}/environment/bin/python"
    wanted = definition.python.interpreter_path
    is_official = base.dockerfile is None and base.image == base.tools_image
    return "python3" if is_official and wanted == "python" else wanted


def _tools(kind: EnvironmentKind) -> list[str]:
    conda = [f"py-rattler=={version('py-rattler')}"] if kind is EnvironmentKind.CONDA else []
    return [f"uv=={version('uv')}", *conda]


def _notes(kind: EnvironmentKind, definition: EnvironmentDefinition, base: Base) -> list[str]:
    docker, notes = definition.docker, []
    if docker.base_image and base.image != docker.base_image:
        notes.append(
            f"The base image {docker.base_image} is the one that v1 put into every environment; the image is built on "
            f"{base.image} instead. Another one is named by --build-arg BASE_IMAGE=…"
        )
    if kind is EnvironmentKind.SYSTEM and base.dockerfile is None and is_default(base):
        notes.append(
            "The environment manages its dependencies itself: nothing is installed. Name a base image that has what "
            "the script needs by --build-arg BASE_IMAGE=…"
        )
    if docker.arguments:
        notes.append(f"Give docker run the arguments of the environment: {' '.join(docker.arguments)}")
    return notes


def is_default(base: Base) -> bool:
    """Whether the base is an official image of Python that nobody asked for."""
    return base.image is not None and base.image.startswith("python:") and not is_of_v1(base.image)
