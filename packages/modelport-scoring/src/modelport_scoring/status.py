"""What a service tells of itself when it is asked: the status object (docs/architecture/03-data-plane.md)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from modelport_scoring.failures import Failure
from modelport_scoring.states import ServiceState

STATES = (ServiceState.RUNNING, ServiceState.UNHEALTHY, ServiceState.STARTING, ServiceState.FAILED)
"""Of several, the first that any has is that of all."""


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


class ServerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One of the server processes of the service."""

    process: int
    """Its number, from 0: the one that leads."""
    pid: int | None
    """None while it is being started again."""
    state: ServiceState
    started_at: str | None
    requests_in_flight: int
    requests_waiting: int


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
    servers: list[ServerStatus] = []
    version: str = ""
    """Of the scoring server that answers; empty: it is older than this field, and than the next."""
    dialect: str = ""
    """What it understands (``control/dialect.py``)."""


def together(own: Status, others: Sequence[Status | None]) -> Status:
    """The status of a service, from that of the server process that leads, and of the others in their order."""
    if not others:
        return own
    known = [own, *(status for status in others if status is not None)]
    servers = [*own.servers]
    for process, status in enumerate(others, 1):
        servers += [away(process)] if status is None else status.servers
    return msgspec.structs.replace(
        own,
        state=common_state([server.state for server in servers]),
        revisions=[added_up(revision, known) for revision in own.revisions],
        servers=servers,
        **sums(known),
    )


def added_up(own: RevisionStatus, statuses: Sequence[Status]) -> RevisionStatus:
    """One revision in all server processes."""
    known = [each for status in statuses for each in status.revisions if each.revision == own.revision]
    return msgspec.structs.replace(own, state=common_state([each.state for each in known]), **sums(known))


def sums(parts: Sequence[Status | RevisionStatus]) -> dict[str, Any]:
    """What they have, all together."""
    return {
        "workers": [worker for part in parts for worker in part.workers],
        "workers_wanted": sum(part.workers_wanted for part in parts),
        "requests_in_flight": sum(part.requests_in_flight for part in parts),
        "requests_waiting": sum(part.requests_waiting for part in parts),
        "failure": next((part.failure for part in parts if part.failure is not None), None),
    }


def common_state(states: Sequence[ServiceState]) -> ServiceState:
    """A service serves while one of its processes does."""
    return next(state for state in STATES if state in states)


def away(process: int) -> ServerStatus:
    """A server process that does not answer."""
    return ServerStatus(
        process=process,
        pid=None,
        state=ServiceState.STARTING,
        started_at=None,
        requests_in_flight=0,
        requests_waiting=0,
    )
