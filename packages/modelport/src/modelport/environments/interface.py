"""What the control plane needs of environments: from a definition to an interpreter that has it."""

from __future__ import annotations

from typing import Protocol

from modelport.domain.environments import EnvironmentDefinition, Interpreter, Lock
from modelport.domain.progress import Progress


class EnvironmentBackend(Protocol):
    """One way to an interpreter."""

    def resolve(self, definition: EnvironmentDefinition, *, progress: Progress) -> Lock:
        """Fix every package. The same definition gives the same lock, without asking an index again, until ``forget``.

        Raises ResolutionFailed, with the resolver's own words, the file and line, and what to change; raises
        EnvironmentException where the Python that is asked for is not on the machine, saying how to get it.
        """

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        """An interpreter that has what the lock lists; made once, however many ask at once, used whole or not at all.

        Raises EnvironmentException.
        """


class Environments(Protocol):
    """Chooses the backend by what a definition asks for."""

    def resolve(self, definition: EnvironmentDefinition | None, *, progress: Progress) -> Lock:
        """As EnvironmentBackend; None means the caller's own interpreter."""

    def materialise(self, lock: Lock, *, progress: Progress) -> Interpreter:
        """As EnvironmentBackend."""

    def python_with_wheels(self, requirement: str, *, progress: Progress) -> str:
        """The Python, as ``3.11``, on which the package needs no building: the caller's own, else the newest there is.

        Raises EnvironmentException and its children, saying how to get a Python that serves.
        """
