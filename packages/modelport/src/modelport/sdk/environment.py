"""Environments: what an entry script needs around it (azureml-v1 reference, 2.4)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from modelport.domain.environments import CondaSpecification, EnvironmentDefinition, EnvironmentVersion
from modelport.domain.environments import DockerSection as DockerDefinition
from modelport.domain.environments import PythonSection as PythonDefinition
from modelport.domain.errors import EnvironmentException, UserErrorException
from modelport.environments.definition_json import definition_to_json, load_definition, save_definition
from modelport.environments.specification import parse_conda, read_conda_file, read_requirements, read_text
from modelport.sdk.conda_dependencies import CondaDependencies, running_python
from modelport.sdk.environment_build import BuildContext, EnvironmentBuild

_RESERVED = ("microsoft", "azureml")
_REGISTRY_FIELDS = ("address", "username", "password", "registry_identity")


class EnvironmentRegistry(Protocol):
    """What environments need of the store of a workspace (a part of MetadataStore)."""

    def register_environment(self, definition: EnvironmentDefinition) -> EnvironmentVersion:
        """The newest version if it has this definition, else a new one."""

    def environments(self, name: str | None = None) -> list[EnvironmentVersion]:
        """All versions, by name, newest first within a name."""


class EnvironmentWorkspace(Protocol):
    """What environments need of a workspace."""

    @property
    def registry(self) -> EnvironmentRegistry: ...

    @property
    def context(self) -> BuildContext: ...


@dataclass
class ContainerRegistry:
    """Where a base image is pulled from."""

    address: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    registry_identity: str | None = None


@dataclass
class PythonSection:
    """The Python of an environment.

    With ``user_managed_dependencies`` nothing is installed and ``interpreter_path`` runs as it is: ``python`` is the
    interpreter that runs this. ``conda_dependencies_file``, where given, counts instead of ``conda_dependencies``.
    """

    user_managed_dependencies: bool = False
    interpreter_path: str = "python"
    conda_dependencies_file: str | None = None
    base_conda_environment: str | None = None
    conda_dependencies: CondaDependencies | None = field(default_factory=CondaDependencies)


@dataclass
class DockerSection:
    """The image of an environment, for the targets that make images. A service on this machine needs none."""

    enabled: bool = False
    base_image: str | None = None
    base_dockerfile: str | None = None
    """The text of a Dockerfile, or the path of one."""
    base_image_registry: ContainerRegistry = field(default_factory=ContainerRegistry)
    platform: dict[str, str] = field(default_factory=lambda: {"os": "Linux", "architecture": "amd64"})
    shared_volumes: bool = True
    shm_size: str | None = "2g"
    arguments: list[str] = field(default_factory=list)
    gpu_support: bool = False


@dataclass
class SparkSection:
    """Accepted, as v1 scripts set it; nothing here runs on Spark."""

    repositories: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    precache_packages: bool = True


class Environment:
    """A named environment. It gets a version when it is registered."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        """``kwargs`` set attributes. Raises UserErrorException where one is not known."""
        self.name = name
        self.version: str | None = None
        self.environment_variables: dict[str, str] = {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
        self.python = PythonSection()
        self.docker = DockerSection()
        self.spark = SparkSection()
        self.databricks: object = None
        self.r: object = None
        self.inferencing_stack_version: str | None = None
        for key, value in kwargs.items():
            if not hasattr(self, key):
                raise UserErrorException(f"An environment has no attribute {key!r}.")
            setattr(self, key, value)

    # --- making -------------------------------------------------------------------------------------------------------

    @staticmethod
    def from_conda_specification(name: str, file_path: str) -> Environment:
        """From a conda environment file. Raises FileNotFoundError, and UserErrorException naming file and line."""
        return _with_conda(name, read_conda_file(file_path))

    @staticmethod
    def from_pip_requirements(name: str, file_path: str, pip_version: str | None = None) -> Environment:
        """From a requirements file: its lines are kept verbatim. Raises FileNotFoundError and UserErrorException."""
        return _with_conda(name, _conda_of_requirements(file_path, pip_version))

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | None = None,
        pip_requirements: str | None = None,
    ) -> Environment:
        """On an image. Without conda or pip file the image's own Python is used as it is."""
        environment = _on_image(name, conda_specification, pip_requirements)
        environment.docker.base_image = image
        environment.docker.base_image_registry = container_registry or ContainerRegistry()
        return environment

    @staticmethod
    def from_dockerfile(
        name: str, dockerfile: str, conda_specification: str | None = None, pip_requirements: str | None = None
    ) -> Environment:
        """On the image that a Dockerfile (a path, or its text) makes."""
        environment = _on_image(name, conda_specification, pip_requirements)
        environment.docker.base_image = None
        environment.docker.base_dockerfile = _dockerfile_text(dockerfile)
        return environment

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> Environment | None:
        """What ``conda env export`` says of an environment; None where there is no conda, or no such environment."""
        conda = shutil.which("conda")
        if conda is None:
            return None
        command = [conda, "env", "export", "--no-builds", "--name", conda_environment_name]
        exported = subprocess.run(command, capture_output=True, text=True)
        if exported.returncode != 0:
            return None
        return _with_conda(name, parse_conda(exported.stdout, source="conda env export"))

    @staticmethod
    def from_definition(definition: EnvironmentDefinition, *, version: str | None = None) -> Environment:
        """From the domain's form."""
        environment = Environment(definition.name, version=version)
        environment.environment_variables = dict(definition.environment_variables)
        environment.python = _python_section(definition.python)
        environment.docker = _docker_section(definition.docker)
        environment.inferencing_stack_version = definition.inferencing_stack_version
        return environment

    def to_definition(self) -> EnvironmentDefinition:
        """The domain's form.

        Raises UserErrorException where what is set contradicts itself, FileNotFoundError where a file is missing.
        """
        return EnvironmentDefinition(
            name=self.name,
            environment_variables={str(key): str(value) for key, value in self.environment_variables.items()},
            python=_python_definition(self.python),
            docker=_docker_definition(self.docker),
            inferencing_stack_version=self.inferencing_stack_version,
        )

    def clone(self, new_name: str) -> Environment:
        """A copy under another name, not registered."""
        copy = deepcopy(self)
        copy.name, copy.version = new_name, None
        return copy

    # --- files --------------------------------------------------------------------------------------------------------

    def save_to_directory(self, path: str, overwrite: bool = False) -> None:
        """Write ``azureml_environment.json``, ``conda_dependencies.yml`` and, where there is one, ``BaseDockerfile``.

        Raises UserErrorException where they are there already and ``overwrite`` is false.
        """
        save_definition(self.to_definition(), Path(path), overwrite=overwrite, version=self.version)

    @staticmethod
    def load_from_directory(path: str) -> Environment:
        """What ``save_to_directory`` wrote. Raises FileNotFoundError, and UserErrorException naming file and line."""
        definition, version = load_definition(Path(path))
        return Environment.from_definition(definition, version=version)

    # --- the workspace ------------------------------------------------------------------------------------------------

    def register(self, workspace: EnvironmentWorkspace) -> Environment:
        """Register it: a new version, unless the newest is the same. Raises UserErrorException for a reserved name."""
        _check_name(self.name)
        return _registered(workspace.registry.register_environment(self.to_definition()))

    @staticmethod
    def get(
        workspace: EnvironmentWorkspace, name: str, version: str | int | None = None, label: str | None = None
    ) -> Environment:
        """The newest version, or the one that is asked for. Raises EnvironmentException where there is none."""
        versions = workspace.registry.environments(name)
        if label not in (None, "latest"):
            raise EnvironmentException(f"The environment {name!r} has no label {label!r}.", hint="There is 'latest'.")
        wanted = None if version is None else str(version)
        for found in versions:
            if wanted in (None, found.version):
                return _registered(found)
        raise _missing(workspace, name, wanted, versions)

    @staticmethod
    def list(workspace: EnvironmentWorkspace) -> dict[str, Environment]:
        """The newest version of each environment, by name."""
        newest: dict[str, Environment] = {}
        for version in workspace.registry.environments():
            newest.setdefault(version.definition.name, _registered(version))
        return newest

    def build(self, workspace: EnvironmentWorkspace, image_build_compute: object = None) -> EnvironmentBuild:
        """Resolve and build it on this machine, in the background. ``image_build_compute`` is not needed."""
        return EnvironmentBuild(self.to_definition(), workspace.context.environments)

    def __repr__(self) -> str:
        content = definition_to_json(self.to_definition(), version=self.version)
        registry = content["docker"]["baseImageRegistry"]
        content["docker"]["baseImageRegistry"] = {**registry, "password": registry["password"] and "…"}
        return json.dumps(content, indent=4, ensure_ascii=False)


def _with_conda(name: str, conda: CondaSpecification) -> Environment:
    environment = Environment(name)
    environment.python.conda_dependencies = CondaDependencies.from_specification(conda)
    return environment


def _conda_of_requirements(file_path: str, pip_version: str | None) -> CondaSpecification:
    defaults = CondaDependencies().to_specification()
    pip = f"pip={pip_version}" if pip_version else "pip"
    return CondaSpecification(
        name=defaults.name,
        channels=defaults.channels,
        packages=(f"python={running_python()}", pip),
        pip=read_requirements(file_path),
        source=str(file_path),
    )


def _on_image(name: str, conda_specification: str | None, pip_requirements: str | None) -> Environment:
    if conda_specification and pip_requirements:
        raise UserErrorException("conda_specification and pip_requirements exclude each other.", hint="Give one.")
    if conda_specification:
        return Environment.from_conda_specification(name, conda_specification)
    if pip_requirements:
        return Environment.from_pip_requirements(name, pip_requirements)
    environment = Environment(name)
    environment.python.user_managed_dependencies = True
    return environment


def _dockerfile_text(dockerfile: str) -> str:
    """The text itself, or that of the file it names."""
    if "\n" in dockerfile or (" " in dockerfile.strip() and not Path(dockerfile).is_file()):
        return dockerfile
    return read_text(Path(dockerfile))


def _python_definition(python: PythonSection) -> PythonDefinition:
    conda = python.conda_dependencies.to_specification() if python.conda_dependencies else None
    if python.conda_dependencies_file is not None:
        conda = read_conda_file(python.conda_dependencies_file)
    return PythonDefinition(
        user_managed_dependencies=python.user_managed_dependencies,
        interpreter_path=python.interpreter_path,
        conda=conda,
    )


def _docker_definition(docker: DockerSection) -> DockerDefinition:
    if docker.base_image and docker.base_dockerfile:
        hint = "Set the other one to None: environment.docker.base_image = None."
        raise UserErrorException("base_image and base_dockerfile exclude each other.", hint=hint)
    registry = {key: getattr(docker.base_image_registry, key) for key in _REGISTRY_FIELDS}
    return DockerDefinition(
        enabled=docker.enabled,
        base_image=docker.base_image,
        base_dockerfile=_dockerfile_text(docker.base_dockerfile) if docker.base_dockerfile else None,
        base_image_registry={key: value for key, value in registry.items() if value is not None},
        shm_size=docker.shm_size,
        arguments=tuple(docker.arguments),
    )


def _python_section(python: PythonDefinition) -> PythonSection:
    return PythonSection(
        user_managed_dependencies=python.user_managed_dependencies,
        interpreter_path=python.interpreter_path,
        conda_dependencies=CondaDependencies.from_specification(python.conda) if python.conda else None,
    )


def _docker_section(docker: DockerDefinition) -> DockerSection:
    known: Mapping[str, str | None] = docker.base_image_registry
    return DockerSection(
        enabled=docker.enabled,
        base_image=docker.base_image,
        base_dockerfile=docker.base_dockerfile,
        base_image_registry=ContainerRegistry(**{key: known.get(key) for key in _REGISTRY_FIELDS}),
        shm_size=docker.shm_size,
        arguments=list(docker.arguments),
    )


def _registered(version: EnvironmentVersion) -> Environment:
    return Environment.from_definition(version.definition, version=version.version)


def _check_name(name: str) -> None:
    if not name or not name.strip():
        raise UserErrorException("An environment needs a name.")
    if name.lower().startswith(_RESERVED):
        message = f"The name {name!r} is reserved: it starts with Microsoft or AzureML."
        raise UserErrorException(message, hint="Choose another name; clone(new_name) makes a copy under it.")


def _missing(
    workspace: EnvironmentWorkspace, name: str, version: str | None, versions: list[EnvironmentVersion]
) -> EnvironmentException:
    if versions:
        there = ", ".join(found.version for found in versions)
        return EnvironmentException(f"The environment {name!r} has no version {version}.", hint=f"It has: {there}.")
    names = sorted({found.definition.name for found in workspace.registry.environments()})
    hint = f"There is: {', '.join(names)}." if names else "None is registered."
    return EnvironmentException(f"The workspace has no environment named {name!r}.", hint=hint)
