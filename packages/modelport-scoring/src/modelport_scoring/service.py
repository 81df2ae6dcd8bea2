"""The service: which revision takes the requests, and how that changes while they come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path

from modelport_scoring.access.cors import Cors
from modelport_scoring.access.gate import Gate
from modelport_scoring.failures import Failure
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.inference_protocol.side_process import SideProcess
from modelport_scoring.processes.freed_memory import trim_heap
from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.revisions.hosting import Hosting
from modelport_scoring.revisions.revision import Revision
from modelport_scoring.service_folder import SETTINGS, write_settings
from modelport_scoring.settings.checks import check_settings
from modelport_scoring.settings.service import Limits, ServiceSettings, limits_of
from modelport_scoring.settings.share import WHOLE, Share
from modelport_scoring.settings.traffic import shares
from modelport_scoring.states import ServiceState
from modelport_scoring.status import RevisionStatus, ServerStatus, Status
from modelport_scoring.telemetry.telemetry import Gauges, Telemetry
from modelport_scoring.traffic.router import Router
from modelport_scoring.traffic.shadow import CopiableTicket
from modelport_scoring.workers.large_bodies import LargeBodies
from modelport_scoring.workers.queue import WaitingLine
from modelport_scoring.workers.ticket import Refusal, Ticket
from modelport_scoring.workers.ticket_ends import refuse


class Service:
    """One service: its settings, and which of its revisions gets a request."""

    def __init__(
        self,
        settings: ServiceSettings,
        *,
        folder: Path,
        loop: asyncio.AbstractEventLoop,
        telemetry: Telemetry,
        share: Share = WHOLE,
    ) -> None:
        self.settings = settings
        self.share = share
        self.telemetry = telemetry
        self.gate = Gate(settings.auth)
        self.cors = Cors(settings.cors_origins)
        self.known_heads = KnownHeads()
        self.input: str | None = None
        """What the script takes (``Contract.input``); None until that is known. Where several revisions are hosted:
        ``raw`` if that of any of them is, and None until it is known of all."""
        self.hosting = Hosting(self, folder=folder, loop=loop, telemetry=telemetry)
        self.active: Revision | None = None
        """The default revision, once it has a working folder."""
        self.side_process = SideProcess()
        """For what would hold up the loop."""
        self._asides: set[asyncio.Task[None]] = set()
        self._loop = loop
        self._folder = folder
        self._early = WaitingLine(limits=share.limits(settings.limits), loop=loop)
        """Requests that came before there was a queue. Those that only one revision may answer name it."""
        self._router = self._make_router()
        """None where no request can go but to the default revision."""

    # --- requests -----------------------------------------------------------------------------------------------------

    def submit(self, ticket: CopiableTicket, exchange: Exchange) -> None:
        """Give the ticket, which answers the exchange, to a revision."""
        if self._router is not None:
            self._router.submit(ticket, exchange)
        elif self.active is not None:
            self.active.pool.submit(ticket)
        else:
            self.submit_to_default(ticket)

    def memory_for(self, size: int) -> memoryview | None:
        """Memory for a body that is on its way to a revision: the default one, most likely. None where it had better
        be anywhere."""
        return None if self.active is None else self.active.pool.memory_for(size)

    def submit_to_default(self, ticket: Ticket) -> None:
        """Give the ticket to the default revision."""
        if self.active is not None:
            self.active.pool.submit(ticket)
        elif self.state is ServiceState.FAILED:
            refuse(ticket, Refusal.NO_WORKER)
        else:
            self._submit_early(ticket, self.hosting.default)

    def _submit_to_other(self, ticket: Ticket, hosted: Hosted) -> None:
        """Give the ticket to a revision beside the default one, which it asks for or is a copy for."""
        if hosted.revision is not None:
            hosted.revision.pool.submit(ticket)
        elif ticket.is_copy or hosted.state is not ServiceState.STARTING:
            refuse(ticket, Refusal.REVISION_DOWN)
        else:
            self._submit_early(ticket, hosted)

    def _submit_early(self, ticket: Ticket, hosted: Hosted) -> None:
        """Have the ticket wait until the revision has a queue."""
        if ticket.tied:
            ticket.revision = hosted.number
        self._early.put(ticket)

    def do_aside(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Have work done for a request that no worker holds; the end of the service waits for it."""
        task = self._loop.create_task(work)
        self._asides.add(task)
        task.add_done_callback(self._asides.discard)
        return task

    # --- state --------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> ServiceState:
        return self.hosting.default.state

    @property
    def failure(self) -> Failure | None:
        """Why the default revision did not start."""
        return self.hosting.default.start_failure

    @property
    def given(self) -> int:
        """How often a request went to a worker of the revisions that there are now."""
        return sum(revision.pool.given for revision in self.hosting.running)

    def limits_of(self, number: int) -> Limits:
        """The limits of that revision; the service's, where it is gone."""
        hosted = self.hosting.find(number)
        return self.settings.limits if hosted is None else limits_of(self.settings, hosted.settings)

    @property
    def gauges(self) -> Gauges:
        """How to ask the service how it is: all its revisions together."""
        return Gauges(
            workers_ready=lambda: sum(revision.pool.ready_count for revision in self.hosting.running),
            workers_wanted=lambda: sum(revision.pool.wanted for revision in self.hosting.running),
            queue_length=lambda: len(self._early) + sum(len(revision.pool.line) for revision in self.hosting.running),
            in_flight=lambda: sum(revision.pool.in_flight for revision in self.hosting.running),
        )

    def status(self, *, pid: int, supervisor_pid: int, started_at: str, switching: bool) -> Status:
        """The status object of the control socket."""
        default = self.hosting.default
        return Status(
            state=default.state,
            revision=default.number,
            pid=pid,
            supervisor_pid=supervisor_pid,
            port=self.settings.port,
            started_at=started_at,
            switching=switching,
            workers=default.workers,
            workers_wanted=default.workers_wanted,
            requests_in_flight=default.in_flight,
            requests_waiting=len(self._early) + default.waiting,
            failure=default.failure,
            revisions=self._revision_statuses(),
            servers=[
                ServerStatus(
                    process=self.share.process,
                    pid=pid,
                    state=default.state,
                    started_at=started_at,
                    requests_in_flight=sum(hosted.in_flight for hosted in self.hosting.all),
                    requests_waiting=len(self._early) + sum(hosted.waiting for hosted in self.hosting.all),
                )
            ],
        )

    def _revision_statuses(self) -> list[RevisionStatus]:
        traffic = self.settings.traffic
        percents = shares(traffic, default=self.hosting.default.number, others=self.hosting.others)
        return [
            hosted.status(percent=percents[hosted.number], is_shadow=hosted.number == traffic.shadow)
            for hosted in self.hosting.all
        ]

    # --- verbs --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the revisions. A failure is kept, and nothing is tried again."""
        await self.hosting.start()

    def put_in_force(self, settings: ServiceSettings) -> None:
        """Write the settings down, and work by them from now on; what they need was prepared by ``hosting``.

        Raises SettingsInvalid and OSError, and changes nothing.
        """
        check_settings(settings, path=Path(SETTINGS))
        gate = self.gate if settings.auth == self.settings.auth else Gate(settings.auth)
        write_settings(self._folder, settings)
        self._adopt(settings, gate)

    def adopt(self, settings: ServiceSettings) -> None:
        """Work by settings that another process of the service has written down. Raises SettingsInvalid."""
        self._adopt(settings, self.gate if settings.auth == self.settings.auth else Gate(settings.auth))

    def _adopt(self, settings: ServiceSettings, gate: Gate) -> None:
        self.settings, self.gate = settings, gate
        self._early.change_limits(self.share.limits(settings.limits))
        self.telemetry.configure(settings.telemetry)
        self.hosting.adopt(settings)

    async def stop(self, *, drain_timeout_s: float | None = None) -> None:
        """Finish what is held, end all workers, and remove the working folders."""
        timeout_s = self.settings.limits.drain_timeout_s if drain_timeout_s is None else drain_timeout_s
        await self.hosting.stop(drain_timeout_s=timeout_s)
        for ticket in self._early.clear():
            refuse(ticket, Refusal.NO_WORKER)
        if self._asides:
            await asyncio.wait(self._asides, timeout=timeout_s)
        self.side_process.close()

    @property
    def large_moves(self) -> int:
        """Changes with each large body that begins or ends to cross to a worker."""
        return sum(bodies.moves for bodies in self._large_bodies)

    def give_back(self) -> None:
        """Give memory back that no large body needs now."""
        for bodies in self._large_bodies:
            bodies.give_back()
        trim_heap()

    @property
    def _large_bodies(self) -> Iterator[LargeBodies]:
        """Those of each worker."""
        return (worker.replies.large_bodies for each in self.hosting.running for worker in each.pool.workers)

    def sweep(self) -> None:
        """Called about once a second."""
        self.known_heads.forget_expired(time.time())

    # --- what its revisions need of it --------------------------------------------------------------------------------

    def revisions_changed(self) -> None:
        """The settings or the revisions are others: every head is judged anew, and requests go where they say."""
        self.known_heads.clear()
        self.active = active = self.hosting.default.revision
        self.input = common_input(self.hosting.all)
        self.cors = Cors(self.settings.cors_origins or (active.cors_origins if active is not None else ()))
        self.hosting.settings_changed(self.settings)
        self._router = self._make_router()
        self._go_on_with_early()

    def _make_router(self) -> Router | None:
        traffic, hosting = self.settings.traffic, self.hosting
        if not hosting.others and traffic.version_header is None:
            return None
        return Router(
            traffic,
            default=hosting.default.number,
            others=hosting.others,
            submit_to_default=self.submit_to_default,
            submit_to_other=self._submit_to_other,
            counts=self.telemetry,
        )

    def _go_on_with_early(self) -> None:
        """Those who wait for a queue may find one now."""
        for ticket in self._early.clear():
            hosted = self.hosting.find(ticket.revision) if ticket.tied else self.hosting.default
            if hosted is None:  # it was released
                refuse(ticket, Refusal.NO_SUCH_REVISION)
            elif hosted is self.hosting.default:
                self.submit_to_default(ticket)
            else:
                self._submit_to_other(ticket, hosted)


def common_input(hosted: Sequence[Hosted]) -> str | None:
    """What may be relied on of a request's body before it is known which revision gets it."""
    inputs = [one.input for one in hosted if one.start_failure is None]
    if "raw" in inputs:
        return "raw"
    return None if None in inputs or not inputs else inputs[0]
