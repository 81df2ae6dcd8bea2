"""The service: which revision takes the requests, and how that changes while they come."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import msgspec

from modelport_scoring.access.gate import Gate
from modelport_scoring.control.messages import Status, WorkerStatus
from modelport_scoring.cors import Cors
from modelport_scoring.errors import RequestRefused, SettingsInvalid, SwitchFailed, SwitchInProgress
from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.journal import Journal, say
from modelport_scoring.revision import Revision, prepare
from modelport_scoring.service_folder import SETTINGS, check_settings, log_path, write_settings
from modelport_scoring.settings import AuthSettings, ErrorMode, Limits, RevisionSettings, ServiceSettings
from modelport_scoring.states import ServiceState
from modelport_scoring.telemetry.telemetry import Gauges, Telemetry
from modelport_scoring.workers.ticket import Refusal, Ticket


class Changes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``configure`` may change; None: as it is."""

    auth: AuthSettings | None = None
    limits: Limits | None = None
    error_mode: ErrorMode | None = None


class Service:
    """One service: its settings, its active revision, and the switch to the next one."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        telemetry: Telemetry,
    ) -> None:
        self.settings = settings
        self.telemetry = telemetry
        self.gate = Gate(settings.auth)
        self.cors = Cors(settings.cors_origins)
        self.known_heads = KnownHeads()
        self.input: str | None = None
        """What the active revision's script takes (``Contract.input``); None until that is known."""
        self.active: Revision | None = None
        self.failure: Failure | None = None
        self._folder = folder
        self._loop = loop
        self._next: Revision | None = None
        self._switching = False
        self._stopping = False
        self._draining: set[asyncio.Task[None]] = set()
        self._early: list[Ticket] = []

    # --- requests -----------------------------------------------------------------------------------------------------

    def submit(self, ticket: Ticket) -> None:
        """Give the ticket to the active revision."""
        if self.active is not None:
            self.active.pool.submit(ticket)
        elif self.failure is not None or len(self._early) >= self.settings.limits.max_queue_length:
            ticket.refused(Refusal.NO_WORKER)
        else:
            self._early.append(ticket)

    def abandon(self, ticket: Ticket) -> None:
        """The client of the ticket has gone."""
        if self.active is not None:
            self.active.pool.line.abandon(ticket)

    # --- state --------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> ServiceState:
        if self.active is not None and self.active.pool.ready_count:
            return ServiceState.RUNNING
        if self.failure is not None:
            return ServiceState.FAILED
        if self.active is not None and self.active.contract is not None:
            return ServiceState.UNHEALTHY
        return ServiceState.STARTING

    def status(self, *, pid: int, supervisor_pid: int, started_at: str) -> Status:
        """The status object of the control socket."""
        pool = self.active.pool if self.active is not None else None
        workers = (
            []
            if pool is None
            else [
                WorkerStatus(
                    pid=slot.worker.pid if slot.worker is not None else None,
                    state=slot.worker.state if slot.worker is not None else "waiting",
                    restarts=max(0, slot.restarts),
                )
                for slot in pool.slots
            ]
        )
        return Status(
            state=self.state,
            revision=self.settings.revision.number,
            pid=pid,
            supervisor_pid=supervisor_pid,
            port=self.settings.port,
            started_at=started_at,
            switching=self._switching,
            workers=workers,
            requests_in_flight=pool.in_flight if pool is not None else 0,
            requests_waiting=len(pool.line) if pool is not None else len(self._early),
            failure=self.failure or (pool.failure if pool is not None else None),
        )

    # --- verbs --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the first revision. A failure is kept in ``failure``, and nothing is tried again."""
        try:
            revision = await prepare(self.settings, folder=self._folder, loop=self._loop, telemetry=self.telemetry)
            self.active = revision
            self._submit_early()
            await revision.start()
            self._forget()
        except StartFailed as failed:
            self._start_failed(failed.failure)

    async def switch(self, revision: RevisionSettings) -> int:
        """Start the revision beside the active one, then hand the requests over.

        Raises SwitchInProgress, and SwitchFailed: then the active one goes on as if nothing had happened.
        """
        if self._switching or self._stopping:
            raise SwitchInProgress("the service stops" if self._stopping else "another switch has not ended yet")
        self._switching = True
        try:
            await self._switch(msgspec.structs.replace(self.settings, revision=revision))
        except StartFailed as failed:
            say(f"the switch to revision {revision.number} failed: {failed.failure.message}")
            raise SwitchFailed(failed.failure) from failed
        finally:
            self._switching = False
        return revision.number

    def configure(self, changes: Changes) -> None:
        """Replace what is given, in force at once, and write it down. Raises RequestRefused, and changes nothing."""
        given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not None}
        settings = msgspec.structs.replace(self.settings, **given)
        try:
            check_settings(settings, path=Path(SETTINGS))
            gate = Gate(settings.auth)
            write_settings(self._folder, settings)
        except (SettingsInvalid, OSError) as error:
            raise RequestRefused(str(error)) from error
        self.settings = settings
        self.gate = gate
        self._forget()
        for revision in (self.active, self._next):
            if revision is not None:
                revision.pool.line.limits = settings.limits

    async def stop(self, *, drain_timeout_s: float | None = None) -> None:
        """Finish what is held, end all workers, and remove the working folders."""
        self._stopping = True
        timeout_s = self.settings.limits.drain_timeout_s if drain_timeout_s is None else drain_timeout_s
        ends = [self._end(revision, timeout_s) for revision in (self.active, self._next) if revision is not None]
        await asyncio.gather(*ends, *self._draining)

    def sweep(self) -> None:
        """Called about once a second."""
        self.known_heads.forget_expired(time.time())

    @property
    def gauges(self) -> Gauges:
        """How to ask the service how it is."""
        return Gauges(
            workers_ready=lambda: self.active.pool.ready_count if self.active is not None else 0,
            queue_length=lambda: len(self.active.pool.line if self.active is not None else self._early),
            in_flight=lambda: self.active.pool.in_flight if self.active is not None else 0,
        )

    # --- steps --------------------------------------------------------------------------------------------------------

    async def _switch(self, settings: ServiceSettings) -> None:
        if self.active is not None and settings.revision.number == self.active.number:
            raise StartFailed(Failure(phase="start", message=f"revision {self.active.number} is the one that runs"))
        successor = await prepare(settings, folder=self._folder, loop=self._loop, telemetry=self.telemetry)
        self._next = successor
        try:
            await successor.start()
            self._persist(settings.revision)
        except StartFailed:
            await self._end(successor, timeout_s=0)
            raise
        finally:
            self._next = None
        self._promote(successor)

    def _persist(self, revision: RevisionSettings) -> None:
        # From the settings of now: ``configure`` may have changed them while the workers came up.
        settings = msgspec.structs.replace(self.settings, revision=revision)
        try:
            write_settings(self._folder, settings)
        except OSError as error:
            message = f"{SETTINGS} could not be written: {error.strerror}"
            raise StartFailed(Failure(phase="start", type=type(error).__name__, message=message)) from error
        self.settings = settings

    def _promote(self, successor: Revision) -> None:
        """From here on the successor takes every request."""
        retired, self.active, self.failure = self.active, successor, None
        self._forget()
        successor.pool.line.limits = self.settings.limits
        if retired is None:
            return
        successor.pool.take_over(retired.pool.hand_over())
        task = self._loop.create_task(self._end(retired, self.settings.limits.drain_timeout_s))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _end(self, revision: Revision, timeout_s: float) -> None:
        untouched = await revision.pool.drain(timeout_s)
        await revision.remove_folder()
        for ticket in untouched:
            if self.active is not None and self.active is not revision and not self._stopping:
                self.active.pool.take_over([ticket])
            else:
                ticket.refused(Refusal.NO_WORKER)

    def _forget(self) -> None:
        """The settings or the script have changed: every head is judged anew."""
        self.known_heads.clear()
        active = self.active
        self.input = active.contract.input if active is not None and active.contract is not None else None
        self.cors = Cors(self.settings.cors_origins or (active.cors_origins if active is not None else ()))

    def _submit_early(self) -> None:
        early, self._early = self._early, []
        for ticket in early:
            self.submit(ticket)

    def _start_failed(self, failure: Failure) -> None:
        if self._stopping:
            return
        self.failure = failure
        number = self.settings.revision.number
        say(f"revision {number} did not start (phase {failure.phase}): {failure.message}")
        Journal(log_path(self._folder, number)).write(f"modelport: the service failed to start: {failure.message}")
        for ticket in self._early:
            ticket.refused(Refusal.NO_WORKER)
        self._early = []
