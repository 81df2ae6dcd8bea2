"""The twin of the environments for tests: every definition gets the interpreter that runs the test."""

from __future__ import annotations

from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind, Interpreter, Lock
from modelport.domain.progress import Progress
from modelport.environments.locks import make_lock
from modelport.environments.probe import running


class MemoryEnvironments:
    """Environments that install nothing, start nothing and write nothing. ``resolved`` holds what was asked for."""

    def __init__(self) -> None:
        self.resolved: list[EnvironmentDefinition | None] = []

    def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
        self.resolved.append(definition)
        return make_lock(EnvironmentKind.SYSTEM, running())

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        return Interpreter(command=(lock.python,), lock=lock)

    def python_with_wheels(self, requirement: str, *, progress: Progress) -> str:
        return running().minor
