"""What went wrong in a deployment: in which phase, why, and what to try."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from modelport.domain.errors import ModelportError


class Phase(StrEnum):
    """The phases of a deployment, in order."""

    VALIDATE = "validate"
    RESOLVE = "resolve"
    BUILD = "build"
    START = "start"
    IMPORT = "import"
    INIT = "init"
    SCHEMA = "schema"
    WARM_UP = "warm-up"
    FIRST_SCORE = "first score"


_FAILED_IN = "Deployment failed in phase"
_SHORT = 30
"""A message of so many characters may stand in a log for another reason."""


@contextlib.contextmanager
def in_phase(phase: Phase) -> Iterator[None]:
    """Have what is raised inside say in which phase of a deployment it happened."""
    try:
        yield
    except ModelportError as error:
        if not error.message.startswith(_FAILED_IN):
            error.message = f"{_failed_in(phase)}: {error.message}"
        raise


def _failed_in(phase: Phase) -> str:
    return f"{_FAILED_IN} '{phase}'"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One failure. ``log`` is the end of the log, at most 50 lines."""

    phase: Phase
    message: str
    traceback: str = ""
    hint: str = ""
    log: str = ""

    def describe(self) -> str:
        """The message for a person: the phase, the cause, the user's own traceback, the end of the log."""
        parts = [f"{_failed_in(self.phase)}: {self.message}"]
        if self.traceback:
            parts.append(self.traceback.rstrip())
        log = self._log_without_repetitions()
        if log:
            parts.append(f"The end of the log:\n{log}")
        return "\n\n".join(parts)

    def _log_without_repetitions(self) -> str:
        """The worker prints the traceback too, and each process that ends prints the message: once is enough."""
        log = self.log
        if self.traceback:
            log = log.replace(self.traceback.strip(), "(the traceback above)")
        if len(self.message) > _SHORT:
            log = log.replace(self.message, "(the message above)")
        return log.strip()
