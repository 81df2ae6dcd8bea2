"""The workers of one revision, given the requests that wait."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Protocol

from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.logs.journal import Journal
from modelport_scoring.settings.service import MOST_TOGETHER, Limits
from modelport_scoring.workers.alertness import Alertness
from modelport_scoring.workers.batch_size import BatchSize
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.counted_lines import CountedLines
from modelport_scoring.workers.group import STOP_PATIENCE_S, WorkerGroup
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.limit_log import LimitLog
from modelport_scoring.workers.numbers import MOST_BYTES, NumberReader
from modelport_scoring.workers.placing import choose, place
from modelport_scoring.workers.queue import WaitingLine
from modelport_scoring.workers.requeue import to_requeue
from modelport_scoring.workers.ticket import Refusal, Ticket
from modelport_scoring.workers.ticket_ends import give_up, refuse
from modelport_scoring.workers.timeouts import Timeouts
from modelport_scoring.workers.unfinished import Unfinished
from modelport_scoring.workers.worker import Worker

MOST_HELD = 2 * MOST_TOGETHER
"""No worker holds more: a limit above that needs no counting."""


class PoolObserver(Protocol):
    """Who counts what happens to the workers of a revision."""

    def worker_ready(self) -> None:
        """One takes requests."""

    def worker_restarted(self) -> None:
        """A worker is started in the place of one that has ended."""

    def batch_redone(self) -> None:
        """Requests could not be scored together and were scored one by one."""


class Pool:
    """Workers behind one queue."""

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
        """``revision``: number of the one whose workers these are; ``size``: how many there are to begin with."""
        self.contract: Contract | None = None
        """What the script keeps to; None until a worker was ready."""
        self.given_up = False
        """The first start failed: nothing is tried again."""
        self.given = 0
        """How often a request went to a worker."""
        journal = Journal(launch.log)
        self.limit_log = LimitLog(journal, loop=loop)
        self.line = WaitingLine(limits=limits, loop=loop, room=self._room, note=self.limit_log.refused)
        self.batch_size = BatchSize(launch.together, journal=journal)
        self.group = WorkerGroup(launch, size=size, loop=loop, owner=self)
        self._alertness = Alertness(loop)
        self._numbers: NumberReader | None = None
        self._observer = observer
        self._revision = revision
        self._timeouts = Timeouts(self, loop=loop)
        self._ready: list[Worker] = []
        self._often = CountedLines(journal, loop=loop)
        self._unfinished = Unfinished(self._holds_any, loop=loop)

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, *, is_proven: bool = False) -> None:
        """Start the workers; return when each has tried and one is ready. Raises StartFailed when none is; then all
        have ended and nothing is tried again. Those that are proven are tried until one is ready, or ``drain``."""
        try:
            await self.group.start(is_proven=is_proven)
        except StartFailed:
            self.given_up = True
            self.refuse_all()
            raise

    def hand_over(self) -> list[Ticket]:
        """Take nothing new, and give up what waits, for the pool that takes over."""
        self.group.close()
        return self.line.clear()

    async def drain(self, timeout_s: float) -> list[Ticket]:
        """Finish what is held and waits, end the workers, and return what they never began with. What they have begun
        and not finished after ``timeout_s`` is lost."""
        self.group.close()
        self.group.stop_starting()
        await self._unfinished.none(timeout_s=timeout_s)
        await self.group.end(patience_s=0.0 if self.in_flight else STOP_PATIENCE_S)
        return self.line.clear()

    def hurry(self) -> None:
        """Have ``drain`` wait no longer: what the workers still hold is lost."""
        self._unfinished.hurry()

    @property
    def failure(self) -> Failure | None:
        """Why the last start of a worker failed; None again once one is ready."""
        return self.group.failure

    @property
    def was_up(self) -> bool:
        """Whether workers were ready once, here or before what has just failed to start."""
        return self.contract is not None or (self.group.is_proven and self.failure is not None)

    @property
    def _cannot_restart(self) -> bool:
        """Workers were ready once, all have died, and the tries to start them fail: they may for hours."""
        return self.was_up and not self._ready and self.group.is_failing

    @property
    def ready_count(self) -> int:
        return len(self._ready)

    @property
    def busy_count(self) -> int:
        """How many of the ready workers have a request."""
        return sum(bool(worker.in_flight) for worker in self._ready)

    @property
    def in_flight(self) -> int:
        """Requests that the workers hold."""
        return self.group.in_flight

    @property
    def waiting_count(self) -> int:
        """Requests that wait for a worker."""
        return len(self.line)

    @property
    def wanted(self) -> int:
        """How many workers there should be."""
        return self.group.wanted

    @property
    def is_closing(self) -> bool:
        """Whether no worker is started any more."""
        return self.given_up or self.group.closing

    def resize(self, wanted: int) -> None:
        """Have so many workers from now on. What one that goes still holds, it finishes."""
        self.group.resize(wanted)

    @property
    def workers(self) -> Sequence[Worker]:
        """Those that may hold requests, ready or not."""
        return self.group.workers

    # --- requests -----------------------------------------------------------------------------------------------------

    def submit(self, ticket: Ticket) -> None:
        """Give the ticket to a worker, or have it wait, or refuse it."""
        if self.given_up or (not self._ready and self._cannot_restart):
            ticket.revision = self._revision
            refuse(ticket, Refusal.NO_WORKER)
            return
        worker = self._free_worker(ticket) if not self.line.has_any() else None
        if worker is None:
            ticket.revision = self._revision
            self.line.put(ticket)
        else:
            self._give(worker, ticket)

    def memory_for(self, size: int) -> memoryview | None:
        """Memory for a body that is on its way to one of the workers; None where it had better be anywhere."""
        if not self._ready or (self._numbers is not None and size <= MOST_BYTES):  # those are read here
            return None
        return place(size, self._ready)

    def take_over(self, tickets: Iterable[Ticket]) -> None:
        """Go on with requests that another pool had taken, before all others."""
        self.line.put_back(tickets)
        if self.given_up or self._cannot_restart:
            self.refuse_all()
        for worker in list(self._ready):
            self.has_room(worker)

    def refuse_all(self) -> None:
        """Nobody will take what waits."""
        for ticket in self.line.clear():
            refuse(ticket, Refusal.NO_WORKER)

    @property
    def limits(self) -> Limits:
        return self.line.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.line.change_limits(limits)
        self._timeouts.limits_changed()
        self.take_over(())

    def has_room(self, worker: Worker) -> None:
        """A worker has room: give it what waits."""
        line = self.line
        while line.has_any() and worker.takes_more() and not self._is_full():
            ticket = line.take()
            if ticket is not None:
                self._give(worker, ticket)
        if not worker.in_flight and not any(each.in_flight for each in self._ready):
            self._alertness.all_answered(self.given)
        if self._unfinished.is_awaited:
            self._unfinished.look()

    def batch_redone(self, reason: str) -> None:
        self._often.write(f"modelport: requests were scored one by one instead of together: {reason}")
        self._observer.batch_redone()

    def _room(self) -> int:
        """How many of the waiting requests the ready workers count as having taken."""
        each = self.line.limits.requests_per_worker
        return each * len(self._ready) - self.in_flight if each > 1 else 0

    def _is_full(self) -> bool:
        """Whether the workers hold as many requests as they may, all together."""
        most = self.line.limits.max_concurrent_requests
        return most < len(self._ready) * MOST_HELD and self.in_flight >= most

    def _free_worker(self, ticket: Ticket) -> Worker | None:
        ready = self._ready
        # The first half of what that asks: for nearly all it is enough, and each request comes this way.
        if self.line.limits.max_concurrent_requests < len(ready) * MOST_HELD and self._is_full():
            return None
        if len(ready) == 1:
            return ready[0] if ready[0].takes_more() else None
        return choose(ready, ticket.payload)

    def _give(self, worker: Worker, ticket: Ticket) -> None:
        assert self.contract is not None
        ticket.revision = self._revision
        try:
            is_admitted = ticket.admit(self.contract, self._numbers)
        except Exception as error:  # there was no memory to read its body with, for one
            give_up("a request could not be made ready for a worker", ticket, error)
            return
        if is_admitted:
            self.given += 1
            now = time.monotonic()
            if self._alertness.is_idle:
                self._alertness.request_came(now)
            try:
                worker.send(ticket, now)
            except Exception as error:  # there was no memory to copy its body with, for one
                self._could_not_send(worker, ticket, error)
                return
            if self._timeouts.timer is None:
                self._timeouts.watch()
        elif ticket.away is not None:
            self._unfinished.expect(ticket.away, back=partial(self._came_back, ticket))

    def _could_not_send(self, worker: Worker, ticket: Ticket, error: Exception) -> None:
        give_up("a request could not be sent to a worker", ticket, error)
        ticket.settled = True
        if ticket in worker.in_flight:  # nobody can tell what of it the worker got, and so what it will answer
            worker.replace("a request could not be sent to it")

    def _came_back(self, ticket: Ticket) -> None:
        ticket.away = None
        if not ticket.abandoned:
            if not self._ready and self.group.closing:
                refuse(ticket, Refusal.NO_WORKER)
            else:
                self.take_over((ticket,))

    def _holds_any(self) -> bool:
        """Whether a worker has a request, or one waits that a worker could take."""
        return bool(self.in_flight or (self.line and self._ready))

    # --- what its workers tell ----------------------------------------------------------------------------------------

    def worker_restarted(self) -> None:
        self._observer.worker_restarted()

    def worker_ready(self, worker: Worker, contract: Contract) -> None:
        self.contract = contract
        self._numbers = NumberReader(contract.array) if contract.array is not None else None
        self._ready.append(worker)
        self._observer.worker_ready()
        self.has_room(worker)

    def worker_failed(self, failure: Failure) -> None:
        if self._cannot_restart:
            self.refuse_all()

    def worker_leaves(self, worker: Worker) -> None:
        self._ready.remove(worker)

    def worker_ended(self, worker: Worker) -> None:
        if worker in self._ready:
            self._ready.remove(worker)
        self.take_over(to_requeue(worker.replies))
        self._unfinished.look()
