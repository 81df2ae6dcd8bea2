"""The workers of one revision: kept alive, and given the requests that wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from modelport_scoring.backoff import BackOff
from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.journal import Journal
from modelport_scoring.settings import MOST_TOGETHER, Limits, WorkerStart
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.numbers import NumberReader
from modelport_scoring.workers.process import ProcessSource, SpawnedProcesses
from modelport_scoring.workers.queue import WaitingLine
from modelport_scoring.workers.template import ForkedProcesses
from modelport_scoring.workers.ticket import Refusal, Ticket
from modelport_scoring.workers.timeouts import Timeouts
from modelport_scoring.workers.worker import Worker

MOST_ATTEMPTS = 3
"""A request that was on its way to this many workers which died before they began with it is not tried again."""

MOST_HELD = 2 * MOST_TOGETHER
"""No worker holds more: a limit above that needs no counting."""

STOP_PATIENCE_S = 5.0
"""An idle worker that was told to stop may take so long."""


@dataclass(eq=False, slots=True)
class Slot:
    """The place of one worker: who is in it, and how often that changed."""

    first_attempt: asyncio.Future[Failure | None]
    worker: Worker | None = None
    restarts: int = -1
    backoff: BackOff = field(default_factory=BackOff)


class PoolObserver(Protocol):
    """Who counts what happens to the workers of a revision."""

    def worker_restarted(self) -> None:
        """A worker is started in the place of one that has ended."""

    def batch_redone(self) -> None:
        """Requests could not be scored together and were scored one by one."""


class Pool:
    """``size`` workers behind one queue. A worker that dies is started again, with back-off."""

    def __init__(
        self,
        launch: Launch,
        *,
        revision: int,
        size: int,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        observer: PoolObserver,
    ) -> None:
        """``revision``: number of the one whose workers these are."""
        self.contract: Contract | None = None
        """What the script keeps to; None until a worker was ready."""
        self.failure: Failure | None = None
        """Why the last start failed; None again once a worker is ready."""
        self.given_up = False
        """The first start failed: nothing is tried again."""
        self.line = WaitingLine(limits=limits, loop=loop)
        self._numbers: NumberReader | None = None
        self._observer = observer
        self._revision = revision
        self._timeouts = Timeouts(self, loop=loop)
        self.slots = [Slot(loop.create_future()) for _ in range(size)]
        self._ready: list[Worker] = []
        self._launch = launch
        self._processes: ProcessSource = (
            ForkedProcesses(launch, loop=loop) if launch.start is WorkerStart.FORK else SpawnedProcesses(launch)
        )
        self._journal = Journal(launch.log)
        self._loop = loop
        self._closing = asyncio.Event()
        self._verdict: asyncio.Future[bool] = loop.create_future()
        self._keepers: list[asyncio.Task[None]] = []
        self._idle: asyncio.Future[None] | None = None

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the workers; return when each has tried and one is ready. Raises StartFailed when none is; then all
        have ended and nothing is tried again."""
        self._keepers = [self._loop.create_task(self._keep(slot)) for slot in self.slots]
        failures = await asyncio.gather(*(slot.first_attempt for slot in self.slots))
        if None in failures:
            self._verdict.set_result(True)
            return
        self.given_up = True
        self._verdict.set_result(False)
        await asyncio.gather(*self._keepers)
        await self._processes.end()
        assert failures[0] is not None
        self.refuse_all()
        raise StartFailed(failures[0])

    def hand_over(self) -> list[Ticket]:
        """Take nothing new, and give up what waits, for the pool that takes over."""
        self._closing.set()
        return self.line.clear()

    async def drain(self, timeout_s: float) -> list[Ticket]:
        """Finish what is held and waits, end the workers, and return what they never began with. What they have begun
        and not finished after ``timeout_s`` is lost."""
        self._closing.set()
        self._processes.stop()
        await self._finished(timeout_s)
        patience_s = 0.0 if self.in_flight else STOP_PATIENCE_S
        for slot in self.slots:
            if slot.worker is not None:
                slot.worker.stop()
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=patience_s)
        for slot in self.slots:
            if slot.worker is not None:
                slot.worker.kill()
        await asyncio.gather(*self._keepers)
        await self._processes.end()
        return self.line.clear()

    @property
    def _cannot_restart(self) -> bool:
        """Workers were ready once, all have died, and the last try to start one failed: it may fail for hours."""
        return self.contract is not None and self.failure is not None and not self._ready

    @property
    def ready_count(self) -> int:
        return len(self._ready)

    @property
    def in_flight(self) -> int:
        """Requests that the workers hold."""
        return sum(len(slot.worker.in_flight) for slot in self.slots if slot.worker is not None)

    # --- requests -----------------------------------------------------------------------------------------------------

    def submit(self, ticket: Ticket) -> None:
        """Give the ticket to a worker, or have it wait, or refuse it."""
        if self.given_up or (not self._ready and self._cannot_restart):
            ticket.refused(Refusal.NO_WORKER)
            return
        worker = self._free_worker() if not self.line.has_any else None
        if worker is None:
            self.line.put(ticket)
        else:
            self._give(worker, ticket)

    def take_over(self, tickets: Iterable[Ticket]) -> None:
        """Go on with requests that another pool had taken, before all others."""
        self.line.put_back(tickets)
        for worker in list(self._ready):
            self.has_room(worker)

    def refuse_all(self) -> None:
        """Nobody will take what waits."""
        for ticket in self.line.clear():
            ticket.refused(Refusal.NO_WORKER)

    @property
    def limits(self) -> Limits:
        return self.line.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.line.change_limits(limits)
        self._timeouts.limits_changed()
        self.take_over(())

    @property
    def ready(self) -> Sequence[Worker]:
        """The workers that take requests."""
        return self._ready

    def has_room(self, worker: Worker) -> None:
        """A worker has room: give it what waits."""
        line = self.line
        while line.has_any and worker.takes_more and not self._is_full:
            ticket = line.take()
            if ticket is not None:
                self._give(worker, ticket)
        if self._idle is not None:
            self._tell_if_idle()

    def batch_redone(self, reason: str) -> None:
        self._journal.write(f"modelport: requests were scored one by one instead of together: {reason}")
        self._observer.batch_redone()

    @property
    def _is_full(self) -> bool:
        """Whether the workers hold as many requests as they may, all together."""
        most = self.line.limits.max_concurrent_requests
        return most < len(self._ready) * MOST_HELD and self.in_flight >= most

    def _free_worker(self) -> Worker | None:
        if self._is_full:
            return None
        free = None
        for worker in self._ready:
            if worker.takes_more and (free is None or len(worker.in_flight) < len(free.in_flight)):
                free = worker
        return free

    def _give(self, worker: Worker, ticket: Ticket) -> None:
        assert self.contract is not None
        ticket.revision = self._revision
        if ticket.admit(self.contract, self._numbers):
            worker.send(ticket, time.monotonic())
            self._timeouts.watch()

    async def _finished(self, timeout_s: float) -> None:
        """Wait until no request is held, nor waits for a worker that could take it, at most so long."""
        self._idle = self._loop.create_future()
        self._tell_if_idle()
        await asyncio.wait([self._idle], timeout=timeout_s)

    def _tell_if_idle(self) -> None:
        if self._idle is None or self._idle.done() or self.in_flight or (self.line and self._ready):
            return
        self._idle.set_result(None)

    # --- one slot -----------------------------------------------------------------------------------------------------

    async def _keep(self, slot: Slot) -> None:
        """Keep a worker in the slot until the pool closes."""
        while not self._closing.is_set():
            lived_s = await self._live(slot)
            if self._closing.is_set() or not await self._verdict:
                return
            with contextlib.suppress(TimeoutError):
                was_of_use = slot.worker is not None and slot.worker.has_answered
                delay_s = slot.backoff.after(lived_s, was_of_use=was_of_use)
                await asyncio.wait_for(self._closing.wait(), delay_s)

    async def _live(self, slot: Slot) -> float:
        """One worker's life in the slot; returns the seconds that it took requests."""
        slot.restarts += 1
        if slot.restarts:
            self._observer.worker_restarted()
        try:
            process = await self._processes.start()
            slot.worker = Worker(process, self._launch, loop=self._loop, pool=self)
            contract = await slot.worker.started()
        except StartFailed as failed:
            self._start_failed(slot, failed.failure)
            return 0.0
        born = self._loop.time()
        self._became_ready(slot.worker, contract)
        if not slot.first_attempt.done():
            slot.first_attempt.set_result(None)
        await self._ended(slot.worker)
        return self._loop.time() - born

    def _start_failed(self, slot: Slot, failure: Failure) -> None:
        slot.worker = None
        self.failure = failure
        self._journal.write(f"modelport: a worker did not start (phase {failure.phase}): {failure.message}")
        if not slot.first_attempt.done():
            slot.first_attempt.set_result(failure)
        if self._cannot_restart:
            self.refuse_all()

    def _became_ready(self, worker: Worker, contract: Contract) -> None:
        self.contract = contract
        self._numbers = NumberReader(contract.array) if contract.array is not None else None
        self.failure = None
        for note in contract.notes:
            self._journal.write(f"modelport: {note}")
        if self._closing.is_set():
            worker.stop()
            return
        self._ready.append(worker)
        self.has_room(worker)

    async def _ended(self, worker: Worker) -> None:
        """Wait for the worker's end and settle what it held."""
        await worker.ended
        if worker in self._ready:
            self._ready.remove(worker)
        if not self._closing.is_set():
            self._journal.write(f"modelport: worker {worker.pid} ended ({worker.exit}); another one is started")
        started, untouched = worker.unanswered()
        again = [ticket for ticket in untouched if ticket.attempts < MOST_ATTEMPTS]
        for ticket in (*started, *(t for t in untouched if t.attempts >= MOST_ATTEMPTS)):
            if not ticket.settled:
                ticket.lost()
        for ticket in again:
            ticket.waiting_since = 0.0  # the time that it spent with the worker is no waiting
        self.take_over(again)
        self._tell_if_idle()
