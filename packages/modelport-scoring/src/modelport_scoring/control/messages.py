"""What goes over the control socket: one JSON object in a line, answered by one."""

from __future__ import annotations

from typing import Any

import msgspec

from modelport_scoring.failures import Failure
from modelport_scoring.settings import RevisionSettings
from modelport_scoring.states import ServiceState

MOST_LINE_BYTES = 4 * 1024 * 1024
"""A request to the control socket, or an answer of it, is never longer."""


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    pid: int | None
    """None while none runs: it waits for its turn to be started again."""
    state: str
    """``starting``, ``ready``, ``stopping``, ``ended`` or ``waiting``."""
    restarts: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to ``status``."""

    state: ServiceState
    revision: int
    pid: int
    supervisor_pid: int
    port: int
    started_at: str
    """When the scoring server came up, ISO 8601 in UTC."""
    switching: bool
    workers: list[WorkerStatus]
    requests_in_flight: int
    requests_waiting: int
    failure: Failure | None


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request: ``do`` says what; ``revision`` comes with ``switch``, ``settings`` with ``configure``."""

    do: str
    revision: RevisionSettings | None = None
    settings: dict[str, Any] | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to everything but ``status``. ``ok`` is always there."""

    ok: bool | None = None
    revision: int | None = None
    failure: Failure | None = None
    busy: bool = False
    message: str | None = None
