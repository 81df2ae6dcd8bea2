"""Chooses the way to an interpreter by what a definition asks for."""

from __future__ import annotations

from pathlib import Path

from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind, Interpreter, Lock
from modelport.domain.progress import Progress
from modelport.environments.conda_or_wheels import CondaOrWheels
from modelport.environments.disk_cache import DiskCache
from modelport.environments.interface import EnvironmentBackend
from modelport.environments.interpreters import PYTHONS
from modelport.environments.python_request import conda_name
from modelport.environments.system import SystemEnvironments
from modelport.environments.venv import VenvEnvironments
from modelport.environments.wheels import Wheels

_VENV_SERVES = frozenset({"python", "pip"})


def kind_of(definition: EnvironmentDefinition | None) -> EnvironmentKind:
    """The kind of environment that a definition asks for."""
    if definition is None or definition.python.user_managed_dependencies:
        return EnvironmentKind.SYSTEM
    conda = definition.python.conda
    if conda is None or not (conda.packages or conda.pip):
        return EnvironmentKind.SYSTEM
    names = {conda_name(package) for package in conda.packages}
    return EnvironmentKind.VENV if names <= _VENV_SERVES else EnvironmentKind.CONDA


class LocalEnvironments:
    """Environments on this machine: everything is kept below one folder."""

    def __init__(self, root: Path) -> None:
        self._system = SystemEnvironments()
        self._venv = VenvEnvironments(root)
        self._conda = CondaOrWheels(root, self._venv)
        self._wheels = Wheels(DiskCache(root / "resolutions"), root / PYTHONS)
        self._backends: dict[EnvironmentKind, EnvironmentBackend] = {
            EnvironmentKind.SYSTEM: self._system,
            EnvironmentKind.VENV: self._venv,
            EnvironmentKind.CONDA: self._conda,
        }

    def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
        kind = kind_of(definition)
        if definition is None or kind is EnvironmentKind.SYSTEM:
            return self._system.resolve(definition, progress=progress)
        return self._backends[kind].resolve(definition, progress=progress)

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        return self._backends[lock.kind].materialise(lock, progress=progress)

    def python_with_wheels(self, requirement: str, *, progress: Progress) -> str:
        return self._wheels.python_for(requirement, progress=progress)

    def forget(self, definition: EnvironmentDefinition) -> None:
        """Let the next ``resolve`` of the definition ask indexes and channels again."""
        kind = kind_of(definition)
        if kind is EnvironmentKind.VENV:
            self._venv.forget(definition)
        elif kind is EnvironmentKind.CONDA:
            self._conda.forget(definition)
