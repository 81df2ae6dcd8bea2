"""One worker's life: it starts, takes frames, and ends."""

from __future__ import annotations

import asyncio
import itertools
import time
from enum import StrEnum
from typing import Protocol

import msgspec

from modelport_scoring.failures import StartFailed, read_failure_frame
from modelport_scoring.logs.journal import Journal
from modelport_scoring.workers.arena import SMALLEST_BYTES
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.link import Link
from modelport_scoring.workers.process import WorkerProcess, ended_early, told_exit
from modelport_scoring.workers.replies import BatchObserver, Replies
from modelport_scoring.workers.ticket import Ticket
from modelport_worker.frames import ARRAY, BATCH, PHASE, READY, RESULTS, SCORE, STOP

LAST_WORDS_S = 0.2
"""Between the end of a process and the end of its link, whichever comes first: what it wrote may still be on its way to
us, and it may still be about to say with which status it exits."""

FAREWELL_S = 3.0
"""From the end of its link, a worker that was told to stop may take so long: for its script's threads, and for what
that has registered with ``atexit``."""

LAST_ANSWER_S = 5.0
"""From its last answer, it may take so long in all: it may hang, and then the end of its link does not come."""

ALIKE = frozenset((0, ARRAY))
"""Flags of requests that may go to a worker in one frame with others."""


class WorkerState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    ENDED = "ended"


TAKES_REQUESTS = WorkerState.READY
"""Looking a member up in its class takes five times as long."""


class WorkerObserver(BatchObserver, Protocol):
    """The pool, as its workers see it."""

    def has_room(self, worker: Worker) -> None:
        """It may take more requests now."""


class Worker:
    """Speaks with one process over its link, and tells its pool when it has room; ``ended`` is done after its end."""

    def __init__(
        self, process: WorkerProcess, launch: Launch, *, loop: asyncio.AbstractEventLoop, pool: WorkerObserver
    ) -> None:
        self.state = WorkerState.STARTING
        self.ended: asyncio.Future[None] = loop.create_future()
        self._process = process
        self._link = Link(self, loop=loop, most_alike=pool.batch_size.largest)
        self._outbox = self._link.outbox
        self._joins = pool.batch_size.largest > 1
        self.replies = Replies(process.page, self._link, pool=pool, garbage_received=self._link.inbox.reject)
        self.in_flight = self.replies.in_flight
        self.answer_received = self.replies.answer_received
        self._loop = loop
        self._launch = launch
        self._pool = pool
        self._ready: asyncio.Future[Contract] = loop.create_future()
        self._ids = itertools.count(1)
        self._phase = "start"
        self._link_open = True
        self._exit: str | None = None
        self._process.watch(loop, ended=self._process_ended)

    @property
    def pid(self) -> int:
        return self._process.pid

    def takes_more(self) -> bool:
        """Whether one more frame may be sent now."""
        return (
            self.state is TAKES_REQUESTS
            and len(self.in_flight) < self.replies.window.size
            and self._link.has_room
            and not self.replies.stream_since
        )

    async def started(self) -> Contract:
        """Wait for READY. Raises StartFailed when the start failed or took too long, OSError where the system has no
        room for the link; then the process is gone."""
        try:
            await self._loop.create_unix_connection(lambda: self._link, sock=self._process.socket)
            contract = await asyncio.wait_for(self._ready, self._process.start_timeout_s)
        except TimeoutError:
            await self._end_now()
            raise StartFailed(self._process.overdue(self._phase)) from None
        except BaseException:
            await self._end_now()
            self._process.socket.close()  # it is ours still where the link could not be made
            raise
        if self.state is WorkerState.STARTING:  # it may have ended since it said so
            self.state = WorkerState.READY
        return contract

    def send(self, ticket: Ticket, now: float) -> None:
        """Give it one more request; ``takes_more`` was true. Raises what a fault of ours raises, such as MemoryError;
        where the request is in flight then, a part of it may have been sent."""
        request_id = ticket.id = next(self._ids)
        ticket.attempts += 1
        ticket.sent_at = now
        is_idle = not self.in_flight
        if is_idle:
            self.replies.head_since, self.replies.head_id = now, request_id
        self.in_flight.append(ticket)
        if len(ticket.payload) < SMALLEST_BYTES:
            if self._joins and not ticket.meta and ticket.flags in ALIKE:
                self._outbox.score(request_id, ticket.payload, ticket.flags)
            elif is_idle:
                self._outbox.send_now(request_id, ticket.payload, ticket.meta, ticket.flags)
            else:
                self._outbox.send(request_id, SCORE, ticket.payload, ticket.meta, ticket.flags)
        else:
            try:
                payload, flags = self.replies.large_bodies.send(ticket)
            except BaseException:  # it has not been sent: whoever answers next, answers another one
                self.in_flight.pop()
                raise
            self._outbox.send(request_id, SCORE, payload, ticket.meta, flags)

    def stop(self) -> None:
        """Have it answer what it holds, and exit."""
        if self.state is WorkerState.READY:
            self.state = WorkerState.STOPPING
            self._outbox.send(0, STOP)
            self._expect_end()
        elif self.state is WorkerState.STARTING:
            self._process.kill()

    def kill(self) -> None:
        """End it now."""
        self._process.kill()

    def replace(self, reason: str) -> None:
        """End it now, because it is of no use; its pool starts another one."""
        Journal(self._launch.log).write(f"modelport: worker {self.pid} is ended: {reason}")
        self._process.kill()

    @property
    def exit(self) -> str | None:
        """How its process ended, None while it runs."""
        return self._exit

    # --- what the link says -------------------------------------------------------------------------------------------

    def frame_received(
        self, request_id: int, kind: int, code: int, flags: int, micros: int, meta: bytes, payload: bytes
    ) -> None:
        if kind == RESULTS:
            self.replies.results_received(request_id, code, flags, micros, payload)
        elif kind == BATCH:
            self.replies.batch_received(code, flags, micros, payload)
        elif self._ready.done():
            self._link.inbox.reject("more of its start, which was over")
        elif kind == PHASE:
            self._phase = payload.decode(errors="replace")
        else:
            self._start_ended(kind, payload)

    def frames_handled(self) -> None:
        replies = self.replies
        if self.in_flight and self.in_flight[0].id != replies.head_id:  # what is no answer stops no clock
            replies.head_id = self.in_flight[0].id
            replies.head_since = time.monotonic()
        self.link_has_room()

    def link_has_room(self) -> None:
        if self.state is TAKES_REQUESTS:
            self._pool.has_room(self)
        elif self.state is WorkerState.STOPPING:
            self._expect_end()

    def garbage_received(self, what: str) -> None:
        Journal(self._launch.log).write(f"modelport: worker {self.pid} sent {what}; it is ended")
        self._process.kill()

    def link_closed(self) -> None:
        self._link_open = False
        # A worker without a link is of no use, whatever it still computes; most end by themselves.
        patience_s = FAREWELL_S if self.state is WorkerState.STOPPING else LAST_WORDS_S
        self._loop.call_later(patience_s, self._process.kill)
        self._finish()

    # --- its end ------------------------------------------------------------------------------------------------------

    def _start_ended(self, kind: int, payload: bytes) -> None:
        try:
            if kind == READY:
                self._ready.set_result(msgspec.json.decode(payload, type=Contract))
            else:
                self._ready.set_exception(StartFailed(read_failure_frame(payload)))
        except (ValueError, RecursionError) as error:  # the former also of what is no UTF-8
            self._link.inbox.reject(f"a start report that cannot be read ({error})")

    def _process_ended(self) -> None:
        if self.state is not WorkerState.STOPPING:
            self.state = WorkerState.ENDED
        if self._link_open:
            self._loop.call_later(LAST_WORDS_S, self._link.close)
        self._finish()

    def _finish(self) -> None:
        """Once both the process and its link are gone."""
        if self._link_open or self._process.exit is None or self.ended.done():
            return
        self.state = WorkerState.ENDED
        self._exit = told_exit(self._process)
        self.replies.end()
        if not self._ready.done():
            self._ready.set_exception(StartFailed(ended_early(self._phase, self._exit)))
        self.ended.set_result(None)

    def _expect_end(self) -> None:
        """It was told to stop: once it holds nothing, it has to go soon."""
        if not self.in_flight:
            self._loop.call_later(LAST_ANSWER_S, self._process.kill)

    async def _end_now(self) -> None:
        self._process.kill()
        await self.ended
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # seen: asyncio would report it as forgotten
