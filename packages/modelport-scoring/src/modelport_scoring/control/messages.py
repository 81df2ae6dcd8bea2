"""What goes over the control socket: one JSON object in a line, answered by one."""

from __future__ import annotations

import msgspec

from modelport_scoring.failures import Failure
from modelport_scoring.settings import Changes, RevisionSettings, RevisionSize
from modelport_scoring.states import ServiceState
from modelport_scoring.traffic.settings import Traffic

MOST_LINE_BYTES = 4 * 1024 * 1024
"""A request to the control socket, or an answer of it, is never longer."""


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    pid: int | None
    """None while none runs: it waits for its turn to be started again."""
    state: str
    """``starting``, ``ready``, ``stopping``, ``ended`` or ``waiting``."""
    restarts: int


class RevisionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One of the revisions that the service hosts."""

    revision: int
    state: ServiceState
    percent: float
    """Its share of the requests, by the settings. While it has no ready worker, the default revision gets it."""
    shadow: bool
    """Whether it gets copies of requests."""
    workers: list[WorkerStatus]
    workers_wanted: int
    requests_in_flight: int
    """Copies are counted too, here and below."""
    requests_waiting: int
    failure: Failure | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to ``status``. But for ``revisions``, it tells of the default revision."""

    state: ServiceState
    revision: int
    pid: int
    supervisor_pid: int
    port: int
    started_at: str
    """When the scoring server came up, ISO 8601 in UTC."""
    switching: bool
    """Whether a revision is being brought up, by ``switch`` or ``host``."""
    workers: list[WorkerStatus]
    """Also those that are being ended."""
    workers_wanted: int
    """How many there should be: what the settings say, or the load."""
    requests_in_flight: int
    requests_waiting: int
    failure: Failure | None
    revisions: list[RevisionStatus] = []
    """All that are hosted, the default one first."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request. ``do`` says what; the rest depends on it (docs/architecture/03-data-plane.md)."""

    do: str
    revision: RevisionSettings | int | None = None
    """The whole of it for ``switch`` and ``host``, its number for ``release``, ``promote`` and ``scale``."""
    replacing: int | None = None
    """The number of the hosted revision whose place a ``switch`` is for; None: the default one's."""
    settings: Changes | None = None
    """Of ``configure``, and of ``switch``, where they come with the revision."""
    size: RevisionSize | None = None
    traffic: Traffic | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to everything but ``status``. ``ok`` is always there."""

    ok: bool | None = None
    revision: int | None = None
    failure: Failure | None = None
    busy: bool = False
    message: str | None = None
