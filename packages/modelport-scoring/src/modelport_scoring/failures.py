"""Why workers did not start: one shape from the worker's frame to the status object."""

from __future__ import annotations

import signal

import msgspec


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One failed start (docs/architecture/03-data-plane.md, "The control socket")."""

    phase: str
    """``start``, ``import``, ``init``, ``schema`` or ``warm-up``."""
    message: str
    type: str = ""
    """Name of the exception's class, where there was one."""
    traceback: str = ""
    exit: str | None = None
    """How the process ended, where it did not say why itself."""


class StartFailed(Exception):
    """The workers of a revision did not come up."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class GivenUp(StartFailed):
    """Whoever wanted the workers, or another one, has given up what was not in force yet."""

    def __init__(self) -> None:
        super().__init__(Failure(phase="start", message="it was given up"))


MOST_CHARACTERS = 32 * 1024
"""Of a message or a traceback: a line of the control socket holds those of every revision."""

KILLED = "killed by signal"


def read_failure_frame(payload: bytes) -> Failure:
    """What a FAILED frame says. Scripts raise what they like, a whole table as text for one: of what is too long, the
    middle is left out. Raises ValueError and RecursionError."""
    failure = msgspec.json.decode(payload, type=Failure)
    texts = {name: shortened(getattr(failure, name)) for name in ("phase", "message", "type", "traceback")}
    return msgspec.structs.replace(failure, **texts)


def shortened(text: str) -> str:
    """The text, or its two ends."""
    if len(text) <= MOST_CHARACTERS:
        return text
    half = MOST_CHARACTERS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters are left out here …\n{text[-half:]}"


def describe_exit(returncode: int) -> str:
    """``exit status 1``, or ``killed by signal 9 (SIGKILL)`` for a negative return code."""
    if returncode >= 0:
        return f"exit status {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = "unknown"
    return f"{KILLED} {-returncode} ({name})"
