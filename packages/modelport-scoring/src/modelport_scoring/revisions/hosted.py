"""The place of one revision in a service: what it was told to be, and how far it has come."""

from __future__ import annotations

from modelport_scoring.failures import Failure
from modelport_scoring.revisions.revision import Revision
from modelport_scoring.settings.service import RevisionSettings, ServiceSettings, WorkerOptions
from modelport_scoring.states import ServiceState
from modelport_scoring.status import RevisionStatus, WorkerStatus
from modelport_scoring.workers.contract import Contract


class Hosted:
    """One revision of those that a service hosts."""

    def __init__(self, settings: RevisionSettings, *, options: WorkerOptions, revision: Revision | None = None) -> None:
        self.settings = settings
        self.options = options
        """What its workers were started with."""
        self.revision = revision
        """None until its working folder is there."""
        self.start_failure: Failure | None = None
        """Why its first start failed; nothing is tried again."""
        self.late_failure: Failure | None = None
        """Why its working folder could not be made at the last try, where it is tried again."""
        self.comes_back = False
        """It was up under an earlier supervisor, and was not yet under this one: its start is tried until it succeeds,
        and has failed as long as it does not."""

    @property
    def number(self) -> int:
        return self.settings.number

    @property
    def state(self) -> ServiceState:
        if self.is_ready:
            return ServiceState.RUNNING
        if self.start_failure is not None:
            return ServiceState.FAILED
        if self.late_failure is not None or (self.revision is not None and self.revision.pool.was_up):
            return ServiceState.FAILED if self.comes_back else ServiceState.UNHEALTHY
        return ServiceState.STARTING

    @property
    def is_ready(self) -> bool:
        """Whether a worker takes requests."""
        return self.revision is not None and self.revision.pool.ready_count > 0

    @property
    def contract(self) -> Contract | None:
        """What a worker has told of its script."""
        return self.revision.contract if self.revision is not None else None

    @property
    def input(self) -> str | None:
        """What its script takes (``Contract.input``), None until that is known."""
        return self.contract.input if self.contract is not None else None

    @property
    def failure(self) -> Failure | None:
        """Why the last start of a worker failed."""
        if self.revision is not None:
            return self.start_failure or self.revision.pool.failure
        return self.start_failure or self.late_failure

    @property
    def in_flight(self) -> int:
        """Requests that its workers hold."""
        return self.revision.pool.in_flight if self.revision is not None else 0

    @property
    def waiting(self) -> int:
        """Requests that wait for them."""
        return len(self.revision.pool.line) if self.revision is not None else 0

    @property
    def workers(self) -> list[WorkerStatus]:
        seats = self.revision.pool.group.seats if self.revision is not None else []
        return [
            WorkerStatus(
                pid=seat.worker.pid if seat.worker is not None else None,
                state=seat.worker.state if seat.worker is not None else "waiting",
                restarts=max(0, seat.restarts),
            )
            for seat in seats
        ]

    @property
    def workers_wanted(self) -> int:
        """How many workers there should be; those that are too many are still among ``workers`` while they end."""
        return self.revision.pool.wanted if self.revision is not None else 0

    def settings_changed(self, service: ServiceSettings) -> None:
        """Work by the service's from now on, as far as the workers that are there can."""
        if self.revision is not None:
            self.revision.settings_changed(service, self.settings)

    def take_copies(self, are_taken: bool) -> None:
        """Whether copies may wait for it: one that is the shadow no more may get requests that somebody waits for."""
        if self.revision is not None:
            self.revision.pool.line.take_copies(are_taken)

    def status(self, *, percent: float, is_shadow: bool) -> RevisionStatus:
        """Its part of the status object."""
        return RevisionStatus(
            revision=self.number,
            state=self.state,
            percent=percent,
            shadow=is_shadow,
            workers=self.workers,
            workers_wanted=self.workers_wanted,
            requests_in_flight=self.in_flight,
            requests_waiting=self.waiting,
            failure=self.failure,
        )
