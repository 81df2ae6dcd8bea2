"""The parts of an ``Environment`` object (azureml-v1 reference, 2.4), and what the domain keeps of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport.domain.environments import DockerSection as DockerDefinition
from modelport.domain.environments import PythonSection as PythonDefinition
from modelport.domain.errors import UserErrorException
from modelport.environments.specification import read_conda_file, read_text
from modelport.sdk.conda_dependencies import CondaDependencies
from modelport.sdk.kinds import check_kind

_REGISTRY_FIELDS = ("address", "username", "password", "registry_identity")


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

    def to_definition(self) -> PythonDefinition:
        """Raises FileNotFoundError, and UserErrorException naming file and line, or what is of another class."""
        if self.conda_dependencies:
            hint = "Make one with CondaDependencies.create(pip_packages=[…])."
            check_kind(self.conda_dependencies, CondaDependencies, what="conda_dependencies", hint=hint)
        conda = self.conda_dependencies.to_specification() if self.conda_dependencies else None
        if self.conda_dependencies_file is not None:
            conda = read_conda_file(self.conda_dependencies_file)
        return PythonDefinition(
            user_managed_dependencies=self.user_managed_dependencies,
            interpreter_path=self.interpreter_path,
            conda=conda,
        )


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

    def own_image(self) -> str | None:
        """The base image that was asked for; None where nothing was."""
        return self.base_image

    def to_definition(self) -> DockerDefinition:
        """Raises UserErrorException where both an image and a Dockerfile are asked for."""
        image = self.own_image()
        if image and self.base_dockerfile:
            hint = "Set the other one to None: environment.docker.base_image = None."
            raise UserErrorException("base_image and base_dockerfile exclude each other.", hint=hint)
        registry = {key: getattr(self.base_image_registry, key) for key in _REGISTRY_FIELDS}
        return DockerDefinition(
            enabled=self.enabled,
            base_image=image,
            base_dockerfile=dockerfile_text(self.base_dockerfile) if self.base_dockerfile else None,
            base_image_registry={key: value for key, value in registry.items() if value is not None},
            shm_size=self.shm_size,
            arguments=tuple(self.arguments),
        )

    def take(self, definition: DockerDefinition) -> None:
        """Be as the definition says."""
        known: Mapping[str, str | None] = definition.base_image_registry
        self.enabled = definition.enabled
        if definition.base_image or definition.base_dockerfile:
            self.base_image = definition.base_image
        self.base_dockerfile = definition.base_dockerfile
        self.base_image_registry = ContainerRegistry(**{key: known.get(key) for key in _REGISTRY_FIELDS})
        self.shm_size = definition.shm_size
        self.arguments = list(definition.arguments)


@dataclass
class SparkSection:
    """Accepted, as v1 scripts set it; nothing here runs on Spark."""

    repositories: list[str] = field(default_factory=list)
    packages: list[str] = field(default_factory=list)
    precache_packages: bool = True


@dataclass
class RSection:
    """Accepted, as v1 scripts set it; nothing here runs R."""

    r_version: str | None = None
    snapshot_date: str | None = None
    cran_packages: list[str] = field(default_factory=list)
    github_packages: list[str] = field(default_factory=list)
    custom_url_packages: list[str] = field(default_factory=list)
    bioconductor_packages: list[str] = field(default_factory=list)
    rscript_path: str | None = None
    user_managed: bool = False


@dataclass
class DatabricksSection:
    """Accepted, as v1 scripts set it; nothing here runs on Databricks."""

    maven_libraries: list[object] = field(default_factory=list)
    pypi_libraries: list[object] = field(default_factory=list)
    rcran_libraries: list[object] = field(default_factory=list)
    jar_libraries: list[object] = field(default_factory=list)
    egg_libraries: list[object] = field(default_factory=list)


def dockerfile_text(dockerfile: str) -> str:
    """The text itself, or that of the file it names. Raises FileNotFoundError."""
    if "\n" in dockerfile or (" " in dockerfile.strip() and not Path(dockerfile).is_file()):
        return dockerfile
    return read_text(Path(dockerfile))
