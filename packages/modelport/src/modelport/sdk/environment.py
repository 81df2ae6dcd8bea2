"""Environments: what an entry script needs around it (azureml-v1 reference, 2.4)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, ClassVar, Self

from modelport.domain.environments import CondaSpecification, EnvironmentDefinition, EnvironmentVersion
from modelport.domain.errors import EnvironmentException, UserErrorException
from modelport.domain.names import check_environment_name
from modelport.environments.definition_json import definition_to_json, load_definition, save_definition
from modelport.environments.specification import parse_conda, read_conda_file, read_requirements
from modelport.sdk.conda_dependencies import CondaDependencies
from modelport.sdk.environment_build import BuildableEnvironment, EnvironmentWorkspace
from modelport.sdk.environment_sections import (
    ContainerRegistry,
    DatabricksSection,
    DockerSection,
    PythonSection,
    RSection,
    SparkSection,
    dockerfile_text,
)
from modelport.sdk.kinds import check_kind
from modelport.usecases.environment_labels import label_environment, version_with_label
from modelport.usecases.private_wheels import keep_wheel


class Environment(BuildableEnvironment):
    """A named environment. It gets a version when it is registered."""

    _conda_class: ClassVar[type[CondaDependencies]] = CondaDependencies
    _python_class: ClassVar[type[PythonSection]] = PythonSection
    _docker_class: ClassVar[type[DockerSection]] = DockerSection

    def __init__(self, name: str, **kwargs: Any) -> None:
        """``kwargs`` set attributes. Raises UserErrorException where one is not known."""
        self.name = name
        self.version: str | None = None
        self.environment_variables: dict[str, str] = {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
        self.python = self._python_class()
        self.docker = self._docker_class()
        self.spark = SparkSection()
        self.databricks = DatabricksSection()
        self.r: RSection | None = None
        self.inferencing_stack_version: str | None = None
        for key, value in kwargs.items():
            if not hasattr(self, key):
                raise UserErrorException(f"An environment has no attribute {key!r}.")
            setattr(self, key, value)

    # --- making -------------------------------------------------------------------------------------------------------

    @classmethod
    def from_conda_specification(cls, name: str, file_path: str) -> Self:
        """From a conda environment file. Raises FileNotFoundError, and UserErrorException naming file and line."""
        return cls._with_conda(name, read_conda_file(file_path))

    @classmethod
    def from_pip_requirements(cls, name: str, file_path: str, pip_version: str | None = None) -> Self:
        """From a requirements file: its lines are kept verbatim. Raises FileNotFoundError and UserErrorException."""
        return cls._with_conda(name, cls._conda_of_requirements(file_path, pip_version))

    @classmethod
    def from_docker_image(
        cls,
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | None = None,
        pip_requirements: str | None = None,
    ) -> Self:
        """On an image. Without conda or pip file the image's own Python is used as it is."""
        environment = cls._on_image(name, conda_specification, pip_requirements)
        environment.docker.base_image = image
        environment.docker.base_image_registry = container_registry or ContainerRegistry()
        return environment

    @classmethod
    def from_dockerfile(
        cls, name: str, dockerfile: str, conda_specification: str | None = None, pip_requirements: str | None = None
    ) -> Self:
        """On the image that a Dockerfile (a path, or its text) makes."""
        environment = cls._on_image(name, conda_specification, pip_requirements)
        environment.docker.base_image = None
        environment.docker.base_dockerfile = dockerfile_text(dockerfile)
        return environment

    @classmethod
    def from_existing_conda_environment(cls, name: str, conda_environment_name: str) -> Self | None:
        """What ``conda env export`` says of an environment; None where there is no conda, or no such environment."""
        conda = shutil.which("conda")
        if conda is None:
            return None
        command = [conda, "env", "export", "--no-builds", "--name", conda_environment_name]
        exported = subprocess.run(command, capture_output=True, text=True)
        if exported.returncode != 0:
            return None
        return cls._with_conda(name, parse_conda(exported.stdout, source="conda env export"))

    @classmethod
    def from_definition(cls, definition: EnvironmentDefinition, *, version: str | None = None) -> Self:
        """From the domain's form."""
        environment = cls(definition.name, version=version)
        environment.environment_variables = dict(definition.environment_variables)
        python = definition.python
        environment.python.user_managed_dependencies = python.user_managed_dependencies
        environment.python.interpreter_path = python.interpreter_path
        conda = cls._conda_class.from_specification(python.conda) if python.conda else None
        environment.python.conda_dependencies = conda
        environment.docker.take(definition.docker)
        environment.inferencing_stack_version = definition.inferencing_stack_version
        return environment

    def to_definition(self) -> EnvironmentDefinition:
        """The domain's form.

        Raises UserErrorException where what is set contradicts itself or is of another kind, FileNotFoundError where a
        file is missing.
        """
        what = f"{{}} of the environment {self.name!r}".format
        variables, hint = self.environment_variables, "Write {'NAME': 'value'}."
        check_kind(variables, Mapping, what=what("environment_variables"), hint=hint)
        check_kind(self.python, PythonSection, what=what("python"), hint="Set the attributes of the one that is there.")
        check_kind(self.docker, DockerSection, what=what("docker"), hint="Set the attributes of the one that is there.")
        return EnvironmentDefinition(
            name=self.name,
            environment_variables={str(key): str(value) for key, value in variables.items()},
            python=self.python.to_definition(),
            docker=self.docker.to_definition(),
            inferencing_stack_version=self.inferencing_stack_version,
        )

    def clone(self, new_name: str) -> Self:
        """A copy under another name, not registered."""
        copy = deepcopy(self)
        copy.name, copy.version = new_name, None
        return copy

    @classmethod
    def _with_conda(cls, name: str, conda: CondaSpecification) -> Self:
        environment = cls(name)
        environment.python.conda_dependencies = cls._conda_class.from_specification(conda)
        return environment

    @classmethod
    def _conda_of_requirements(cls, file_path: str, pip_version: str | None) -> CondaSpecification:
        defaults = cls._conda_class().to_specification()
        pip = f"pip={pip_version}" if pip_version else "pip"
        return CondaSpecification(
            name=defaults.name,
            channels=defaults.channels,
            packages=(*defaults.packages, pip),
            pip=read_requirements(file_path),
            source=str(file_path),
        )

    @classmethod
    def _on_image(cls, name: str, conda_specification: str | None, pip_requirements: str | None) -> Self:
        if conda_specification and pip_requirements:
            raise UserErrorException("conda_specification and pip_requirements exclude each other.", hint="Give one.")
        if conda_specification:
            return cls.from_conda_specification(name, conda_specification)
        if pip_requirements:
            return cls.from_pip_requirements(name, pip_requirements)
        environment = cls(name)
        environment.python.user_managed_dependencies = True
        return environment

    # --- files --------------------------------------------------------------------------------------------------------

    def save_to_directory(self, path: str, overwrite: bool = False) -> None:
        """Write ``azureml_environment.json``, ``conda_dependencies.yml`` and, where there is one, ``BaseDockerfile``.

        Raises UserErrorException where they are there already and ``overwrite`` is false.
        """
        save_definition(self.to_definition(), Path(path), overwrite=overwrite, version=self.version)

    @classmethod
    def load_from_directory(cls, path: str) -> Self:
        """What ``save_to_directory`` wrote. Raises FileNotFoundError, and UserErrorException naming file and line."""
        definition, version = load_definition(Path(path))
        return cls.from_definition(definition, version=version)

    # --- the workspace ------------------------------------------------------------------------------------------------

    def register(self, workspace: EnvironmentWorkspace) -> Self:
        """Register it: a new version, unless the newest is the same. Raises UserErrorException for a reserved name."""
        check_environment_name(self.name)
        return self._registered(workspace.registry.register_environment(self.to_definition()))

    @classmethod
    def get(
        cls, workspace: EnvironmentWorkspace, name: str, version: str | int | None = None, label: str | None = None
    ) -> Self:
        """The newest version, or the one that is asked for. Raises EnvironmentException where there is none."""
        if version is None and label is not None:
            version = version_with_label(workspace.registry, name, label)
        versions = workspace.registry.environments(name)
        wanted = None if version is None else str(version)
        for found in versions:
            if wanted in (None, found.version):
                return cls._registered(found)
        raise _missing(workspace, name, wanted, versions)

    @classmethod
    def list(cls, workspace: EnvironmentWorkspace) -> dict[str, Self]:
        """The newest version of each environment, by name."""
        newest: dict[str, Self] = {}
        for version in workspace.registry.environments():
            newest.setdefault(version.definition.name, cls._registered(version))
        return newest

    @staticmethod
    def label(workspace: EnvironmentWorkspace, name: str, version: str | int, labels: Iterable[str]) -> None:
        """Give the version labels by which ``get`` finds it; a label that another version has moves to this one.

        Raises EnvironmentException where there is no such version, UserErrorException for the label ``latest``, which
        is always the newest version's.
        """
        label_environment(workspace.registry, name, str(version), labels)

    @staticmethod
    def add_private_pip_wheel(workspace: EnvironmentWorkspace, file_path: str, exist_ok: bool = False) -> str:
        """Keep a wheel with the workspace; returns the URL to put into a pip list.

        Raises FileNotFoundError, and UserErrorException for what is no wheel, or where one of that name is kept
        already and not ``exist_ok``.
        """
        return keep_wheel(workspace.folder, Path(file_path), exist_ok=exist_ok)

    def get_image_details(self, workspace: EnvironmentWorkspace) -> dict[str, Any]:
        """What v1 said of the environment's image. Here services run without one: ``image_exist`` is False.

        Raises EnvironmentException where the environment is not registered.
        """
        registered = type(self).get(workspace, self.name, self.version)
        return {
            "image_exist": False,
            "repository": None,
            "registry": None,
            "image": registered.docker.own_image(),
            "interpreter_path": registered.python.interpreter_path,
            "environment_path": None,
            "dockerfile": registered.docker.base_dockerfile,
        }

    @classmethod
    def _registered(cls, version: EnvironmentVersion) -> Self:
        return cls.from_definition(version.definition, version=version.version)

    def __repr__(self) -> str:
        content = definition_to_json(self.to_definition(), version=self.version)
        registry = content["docker"]["baseImageRegistry"]
        content["docker"]["baseImageRegistry"] = {**registry, "password": registry["password"] and "…"}
        return json.dumps(content, indent=4, ensure_ascii=False)


def _missing(
    workspace: EnvironmentWorkspace, name: str, version: str | None, versions: list[EnvironmentVersion]
) -> EnvironmentException:
    if versions:
        there = ", ".join(found.version for found in versions)
        return EnvironmentException(f"The environment {name!r} has no version {version}.", hint=f"It has: {there}.")
    names = sorted({found.definition.name for found in workspace.registry.environments()})
    hint = f"There is: {', '.join(names)}." if names else "None is registered."
    return EnvironmentException(f"The workspace has no environment named {name!r}.", hint=hint)
