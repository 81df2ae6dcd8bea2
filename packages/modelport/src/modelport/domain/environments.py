"""Environments: what an entry script needs around it (azureml-v1 reference: 2.4, 2.5, 4.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


@dataclass(frozen=True, kw_only=True)
class CondaSpecification:
    """A conda environment file. The order of everything is kept as it was given."""

    name: str | None = None
    channels: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    """Conda match specifications, ``python=3.8`` among them, without the pip list."""
    pip: tuple[str, ...] = ()
    """Lines of the pip list, verbatim: requirements, options and comments."""
    source: str | None = field(default=None, compare=False)
    """The file it was read from, for messages. The same specification from another file is equal."""


@dataclass(frozen=True, kw_only=True)
class PythonSection:
    user_managed_dependencies: bool = False
    interpreter_path: str = "python"
    conda: CondaSpecification | None = None


@dataclass(frozen=True, kw_only=True)
class DockerSection:
    """Kept for the targets that build images; the local target does not look at it."""

    enabled: bool = False
    base_image: str | None = None
    base_dockerfile: str | None = None
    base_image_registry: Mapping[str, str | None] = field(default_factory=dict)
    shm_size: str | None = "2g"
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EnvironmentDefinition:
    """What an environment is, without its version."""

    name: str
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    python: PythonSection = PythonSection()
    docker: DockerSection = DockerSection()
    inferencing_stack_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class EnvironmentVersion:
    """A registered environment. ``version`` counts in digits from ``"1"``."""

    definition: EnvironmentDefinition
    version: str

    def renamed(self, name: str) -> EnvironmentDefinition:
        return replace(self.definition, name=name)


class EnvironmentKind(StrEnum):
    """The three ways to an interpreter."""

    SYSTEM = "system"
    """An interpreter that is there already; nothing is installed."""
    VENV = "venv"
    """A virtual environment made by uv: a Python version and pip requirements."""
    CONDA = "conda"
    """A conda prefix made by rattler: conda packages, and pip requirements on top."""


@dataclass(frozen=True, kw_only=True)
class Lock:
    """What a definition was resolved to. Equal digests mean equal interpreters."""

    kind: EnvironmentKind
    digest: str
    """SHA-256, hexadecimal, of kind, interpreter and text."""
    text: str
    """The exact packages: requirement lines, or conda package records; empty for a system interpreter."""
    python: str
    """Path of the interpreter that the environment is made from (or, for SYSTEM, that runs it)."""
    python_version: str
    notes: tuple[str, ...] = ()
    """What the user should know: "python=3.6.2 was asked for; 3.6.15 is taken"."""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that has what a lock lists."""

    command: tuple[str, ...]
    lock: Lock

    @property
    def keeps_python_path(self) -> bool:
        return self.lock.kind is EnvironmentKind.SYSTEM
