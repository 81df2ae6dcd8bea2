"""The worker processes of one revision: kept alive, as many as are wanted."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from modelport_scoring.failures import KILLED, Failure, StartFailed
from modelport_scoring.logs.journal import Journal
from modelport_scoring.logs.own_faults import report_fault
from modelport_scoring.processes.backoff import BackOff
from modelport_scoring.settings.service import WorkerStart
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.forked import ForkedProcesses
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.process import ProcessSource, SpawnedProcesses
from modelport_scoring.workers.worker import Worker, WorkerObserver, WorkerState

STOP_PATIENCE_S = 5.0
"""An idle worker that was told to stop may take so long."""

STOPPED = Failure(phase="start", message="The service was stopped before it had started.")


@dataclass(eq=False, slots=True)
class Seat:
    """The place of one worker: who is in it, and how often that changed."""

    first_attempt: asyncio.Future[Failure | None]
    worker: Worker | None = None
    restarts: int = -1
    backoff: BackOff = field(default_factory=BackOff)
    given_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once nobody is to follow who is in it."""
    failed_starts: int = 0
    """Since the last one that was ready."""
    is_failing: bool = False
    """Whether the last start failed, and the next ones may for hours."""

    @property
    def in_flight(self) -> int:
        """Requests that its worker holds."""
        return len(self.worker.in_flight) if self.worker is not None else 0


class Owner(WorkerObserver, Protocol):
    """The pool: what its workers tell it, and what becomes of them."""

    def worker_ready(self, worker: Worker, contract: Contract) -> None:
        """It takes requests from now on."""

    def worker_leaves(self, worker: Worker) -> None:
        """It takes no more requests, and ends when it has answered what it holds."""

    def worker_ended(self, worker: Worker) -> None:
        """What it held is to be settled."""

    def worker_failed(self, failure: Failure) -> None:
        """One did not start; ``failure`` of the group has changed."""

    def worker_restarted(self) -> None:
        """One is started in the place of one that has ended."""


class WorkerGroup:
    """So many workers as are wanted. One that dies is started again, with back-off; one too many finishes what it
    holds and goes."""

    def __init__(self, launch: Launch, *, size: int, loop: asyncio.AbstractEventLoop, owner: Owner) -> None:
        self.is_proven = False
        """Workers of the same kind were ready before: then it is not the script's doing where the first ones fail."""
        self.wanted = size
        """How many there should be; ``seats`` has besides those that have not gone yet."""
        self.failure: Failure | None = None
        """Why the last start failed; None again once a worker is ready."""
        self.closing = False
        """No worker is started any more."""
        self.seats: list[Seat] = []
        self._launch = launch
        self._loop = loop
        self._owner = owner
        self._journal = Journal(launch.log)
        self._processes: ProcessSource = (
            ForkedProcesses(launch, loop=loop) if launch.start is WorkerStart.FORK else SpawnedProcesses(launch)
        )
        self._verdict: asyncio.Future[bool] = loop.create_future()
        """Whether any of the first workers came up, or is tried again. Known as soon as one has: another one may not be
        through with its first try for an hour."""
        self._settled = asyncio.Event()
        """Set once one was ready, or all are given up."""
        self._came_up = False
        self._has_begun = False
        self._keepers: set[asyncio.Task[None]] = set()
        self.resize(size)

    @property
    def workers(self) -> list[Worker]:
        """Those that run, or have just ended, ready or not."""
        return [seat.worker for seat in self.seats if seat.worker is not None]

    @property
    def in_flight(self) -> int:
        """Requests that they hold."""
        return sum(seat.in_flight for seat in self.seats)

    @property
    def is_failing(self) -> bool:
        """Whether nobody can be expected to come up soon."""
        return self.failure is not None and all(seat.is_failing for seat in self.seats if not seat.given_up.is_set())

    # --- life ---------------------------------------------------------------------------------------------------------

    async def start(self, *, is_proven: bool = False) -> None:
        """Start the workers; return when each has tried and one is ready. Raises StartFailed when none is; then all
        have ended and nothing is tried again. Those that are proven are tried again, as later ones are, until one is
        ready, or ``close``."""
        self._has_begun, self.is_proven = True, is_proven
        first = list(self.seats)
        for seat in first:
            self._keep(seat)
        failures = await asyncio.gather(*(seat.first_attempt for seat in first))
        if None in failures or self.is_proven:
            self._stay()
            await self._settled.wait()
            if not self._came_up:
                raise StartFailed(self.failure or STOPPED)
            return
        self._verdict.set_result(False)
        await asyncio.gather(*self._keepers)
        await self._processes.end()
        assert failures[0] is not None
        raise StartFailed(failures[0])

    def resize(self, wanted: int) -> None:
        """Have so many from now on, at least one. Those that are started are not waited for."""
        self.wanted = wanted
        if not self._has_begun:
            self.seats = [Seat(self._loop.create_future()) for _ in range(wanted)]
        elif self._verdict.done() and self._verdict.result():
            self._fit()

    def close(self) -> None:
        """Start nothing more. What is there goes on until ``end``."""
        self.closing = True
        self._settled.set()
        for seat in self.seats:
            seat.given_up.set()

    def stop_starting(self) -> None:
        """Give up what is being started."""
        self._processes.stop()

    async def end(self, *, patience_s: float) -> None:
        """Have all finish what they hold; what has not gone after so long is killed."""
        for worker in self.workers:
            worker.stop()
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=patience_s)
        for worker in self.workers:
            worker.kill()
        await asyncio.gather(*self._keepers)
        await self._processes.end()

    def _stay(self) -> None:
        """Keep workers in their places from now on, as many as are wanted."""
        if not self._verdict.done():
            self._verdict.set_result(True)
            self._fit()

    # --- how many -----------------------------------------------------------------------------------------------------

    def _fit(self) -> None:
        staying = [seat for seat in self.seats if not seat.given_up.is_set()]
        if self.closing:
            return
        for _ in range(self.wanted - len(staying)):
            seat = Seat(self._loop.create_future())
            self.seats.append(seat)
            self._keep(seat)
        leaving = sorted(staying, key=cost_of_leaving)[: max(0, len(staying) - self.wanted)]
        for seat in leaving:
            self._give_up(seat)
        if leaving and not any(seat.failed_starts for seat in self.seats if not seat.given_up.is_set()):
            self.failure = None  # it was of a place that goes

    def _give_up(self, seat: Seat) -> None:
        seat.given_up.set()
        worker = seat.worker
        if worker is not None:
            if worker.state is WorkerState.READY:
                self._owner.worker_leaves(worker)
            worker.stop()

    # --- one seat -----------------------------------------------------------------------------------------------------

    def _keep(self, seat: Seat) -> None:
        task = self._loop.create_task(self._keep_alive(seat))
        self._keepers.add(task)
        task.add_done_callback(self._keepers.discard)

    async def _keep_alive(self, seat: Seat) -> None:
        """Keep a worker in the seat until the seat is given up."""
        while not seat.given_up.is_set():
            lived_s = await self._live(seat)
            if seat.given_up.is_set() or not await self._verdict:
                break
            with contextlib.suppress(TimeoutError):
                was_of_use = seat.worker is not None and seat.worker.replies.got_on
                delay_s = seat.backoff.after(lived_s, was_of_use=was_of_use)
                await asyncio.wait_for(seat.given_up.wait(), delay_s)
        if not seat.first_attempt.done():  # the end of all came before its beginning
            seat.first_attempt.set_result(STOPPED)
        if not self.closing and await self._verdict:
            self.seats.remove(seat)

    async def _live(self, seat: Seat) -> float:
        """One worker's life in the seat; returns the seconds that it took requests."""
        seat.restarts += 1
        if seat.restarts:
            self._owner.worker_restarted()
        try:
            process = await self._processes.start()
            seat.worker = Worker(process, self._launch, loop=self._loop, pool=self._owner)
            if seat.given_up.is_set():  # while it was forked: whoever ends the others may have done so already
                seat.worker.stop()
            contract = await seat.worker.started()
        except StartFailed as failed:
            self._start_failed(seat, failed.failure)
            return 0.0
        except Exception as error:  # a fault of ours, or no memory: else nobody would ever sit here again
            report_fault("a worker could not be started", error)
            self._start_failed(seat, Failure(phase="start", type=type(error).__name__, message=str(error)))
            return 0.0
        born = self._loop.time()
        self._became_ready(seat, seat.worker, contract)
        await seat.worker.ended
        if not seat.given_up.is_set():
            self._say(f"worker {seat.worker.pid} ended ({seat.worker.exit}); another one is started")
        self._see_to(partial(self._owner.worker_ended, seat.worker))
        return self._loop.time() - born

    def _start_failed(self, seat: Seat, failure: Failure) -> None:
        seat.worker = None
        seat.failed_starts += 1
        # Somebody, or the system in its need, has killed it: that says nothing yet of the next one.
        was_killed = failure.exit is not None and failure.exit.startswith(KILLED)
        seat.is_failing = seat.failed_starts > 1 or not was_killed
        if not (seat.given_up.is_set() and self._verdict.done()):  # else it was told to go before it was there
            self.failure = failure
            self._say(f"a worker did not start (phase {failure.phase}): {failure.message}")
            self._owner.worker_failed(failure)
        if not seat.first_attempt.done():
            seat.first_attempt.set_result(failure)

    def _became_ready(self, seat: Seat, worker: Worker, contract: Contract) -> None:
        self.failure, self._came_up = None, True
        self._settled.set()
        if seat.failed_starts:
            self._say(f"worker {worker.pid} is ready, after {seat.failed_starts} that did not start")
        seat.failed_starts, seat.is_failing = 0, False
        for note in contract.notes:
            self._say(note)
        self._stay()
        if not seat.first_attempt.done():
            seat.first_attempt.set_result(None)
        if seat.given_up.is_set():
            worker.stop()
        else:
            self._see_to(partial(self._owner.worker_ready, worker, contract))

    def _see_to(self, requests: Callable[[], None]) -> None:
        """A fault of ours there must not keep the seat from being watched, and filled again."""
        try:
            requests()
        except Exception as error:
            report_fault("the requests of a worker that came or went could not be seen to", error)

    def _say(self, text: str) -> None:
        self._journal.write(f"modelport: {text}")


def cost_of_leaving(seat: Seat) -> tuple[bool, int]:
    """Who is missed least goes first: one that takes no requests yet, then one that holds few."""
    is_ready = seat.worker is not None and seat.worker.state is WorkerState.READY
    return is_ready, seat.in_flight
