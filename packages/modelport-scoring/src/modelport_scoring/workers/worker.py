"""One worker's life: it starts, takes frames, and ends."""

from __future__ import annotations

import asyncio
import itertools
import struct
import time
from collections import deque
from enum import StrEnum
from itertools import islice
from typing import Protocol

import msgspec

from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.journal import Journal
from modelport_scoring.workers.arena import SMALLEST_BYTES
from modelport_scoring.workers.batch_size import BatchSize
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.large_bodies import LargeBodies
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.link import Link
from modelport_scoring.workers.process import WorkerProcess, ended_early
from modelport_scoring.workers.ticket import Ticket
from modelport_scoring.workers.window import Window
from modelport_worker.frames import (
    ARRAY,
    BATCH,
    BROKEN,
    CHUNK,
    LAST,
    MORE,
    NUMBERS,
    PHASE,
    READY,
    REDONE,
    RESULT,
    RESULTS,
    RETURNED,
    SCORE,
    SHARED,
    STOP,
    STOPPED,
    lengths,
)

LAST_WORDS_S = 0.2
"""Between the end of a process and the end of its link, whichever comes first: what it wrote may still be on its way to
us, and it may still be about to say with which status it exits."""

FAREWELL_S = 3.0
"""From the end of its link, a worker that was told to stop may take so long: for its script's threads, and for what
that has registered with ``atexit``."""

ANSWERS = frozenset((RESULT, CHUNK))

ALIKE = frozenset((0, ARRAY))
"""Flags of requests that may go to a worker in one frame with others."""

UNREADABLE = (ValueError, TypeError, struct.error)


class WorkerState(StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    ENDED = "ended"


class WorkerObserver(Protocol):
    """The pool, as its workers see it."""

    @property
    def batch_size(self) -> BatchSize:
        """How many requests may be scored together."""

    def has_room(self, worker: Worker) -> None:
        """It may take more requests now."""

    def batch_redone(self, reason: str) -> None:
        """Requests could not be scored together and were scored one by one."""


class Worker:
    """Speaks with one process over its link, and tells its pool when it has room; ``ended`` is done after its end."""

    def __init__(
        self, process: WorkerProcess, launch: Launch, *, loop: asyncio.AbstractEventLoop, pool: WorkerObserver
    ) -> None:
        self.state = WorkerState.STARTING
        self.in_flight: deque[Ticket] = deque()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.head_since = 0.0
        """Since when, by ``time.monotonic``, the first request in flight has been the first."""
        self._process = process
        self._link = Link(self, loop=loop, most_alike=pool.batch_size.largest)
        self._large_bodies = LargeBodies(process.page.arena)
        self._window = Window(pool.batch_size)
        self._batch_left = 0
        """Answers still to come of the requests that were scored together."""
        self._together = 1
        self._loop = loop
        self._launch = launch
        self._pool = pool
        self._ready: asyncio.Future[Contract] = loop.create_future()
        self._ids = itertools.count(1)
        self._phase = "start"
        self._link_open = True
        self._started_ids = (0, 0)
        self._stream_since = 0.0
        """Since when it makes a body while that is sent; 0: it does not. It gets nothing else to do meanwhile: nobody
        can tell when it would begin with that."""
        self._paused = False
        self._process.watch(loop, ended=self._process_ended)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def takes_more(self) -> bool:
        """Whether one more frame may be sent now."""
        return (
            self.state is WorkerState.READY
            and len(self.in_flight) < self._window.size
            and self._link.has_room
            and not self._stream_since
        )

    @property
    def waits_for_client(self) -> bool:
        """Whether what it makes is not taken from it for now: then it is not the script that takes long."""
        return self._paused

    async def started(self) -> Contract:
        """Wait for READY. Raises StartFailed when the start failed or took too long; then the process is gone."""
        await self._loop.create_unix_connection(lambda: self._link, sock=self._process.socket)
        try:
            contract = await asyncio.wait_for(self._ready, self._process.start_timeout_s)
        except TimeoutError:
            await self._end_now()
            raise StartFailed(self._process.overdue(self._phase)) from None
        except BaseException:
            await self._end_now()
            raise
        self.state = WorkerState.READY
        return contract

    def send(self, ticket: Ticket, now: float) -> None:
        """Give it one more request; ``takes_more`` was true."""
        request_id = ticket.id = next(self._ids)
        ticket.attempts += 1
        ticket.sent_at = now
        if not self.in_flight:
            self.head_since = now
        self.in_flight.append(ticket)
        if len(ticket.payload) < SMALLEST_BYTES:
            if ticket.meta or ticket.flags not in ALIKE:
                self._link.send(request_id, SCORE, ticket.payload, ticket.meta, ticket.flags)
            else:
                self._link.score(request_id, ticket.payload, ticket.flags)
        else:
            payload, flags = self._large_bodies.send(ticket)
            self._link.send(request_id, SCORE, payload, ticket.meta, flags)

    @property
    def scores_together(self) -> bool:
        """Whether the first request in flight is being scored by one call together with others."""
        first, last = self._started_ids if self.ended.done() else self._process.page.started_ids
        return first != last and first <= self.in_flight[0].id <= last

    @property
    def overdue(self) -> list[Ticket]:
        """The first request in flight, and those that ``run`` was called for since: the worker keeps answers back for a
        moment, and has them still if it does not come back from the next request."""
        _, last = self._started_ids if self.ended.done() else self._process.page.started_ids
        first = self.in_flight[0]
        return [first, *(ticket for ticket in islice(self.in_flight, 1, None) if ticket.id <= last)]

    @property
    def started_together(self) -> int:
        """How many requests ``run`` was last called for."""
        first, last = self._started_ids if self.ended.done() else self._process.page.started_ids
        return last - first + 1

    def stop(self) -> None:
        """Have it answer what it holds, and exit."""
        if self.state is WorkerState.READY:
            self.state = WorkerState.STOPPING
            self._link.send(0, STOP)
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
    def has_answered(self) -> bool:
        """After its end: whether it had got on to a second request, so that starting another one is not for nothing."""
        return self._started_ids[1] > 1

    def unanswered(self) -> tuple[list[Ticket], list[Ticket]]:
        """After its end: the requests that are lost, since they had been started, and those that another worker may
        take. Both are taken out. Requests that were being scored together are not lost: each is to be tried alone, and
        the one that brought the worker down will then be the only one that does; but for one whose answer has begun
        already. Those behind have nothing to do with that end, so that it is no attempt of theirs."""
        first, last = self._started_ids
        started = bool(self.in_flight) and self.in_flight[0].id <= last
        held = [ticket for ticket in self.in_flight if not ticket.settled]
        self.in_flight.clear()
        for ticket in held:
            ticket.slot = None  # the memory has gone with the process
        lost: list[Ticket] = []
        again: list[Ticket] = []
        for ticket in held:
            together = first <= ticket.id <= last and first != last and ticket.source is None
            ticket.alone = ticket.alone or together
            ticket.attempts -= started and ticket.id > last
            (again if ticket.id > last or together else lost).append(ticket)
        return lost, again

    # --- a body that is sent while it is made -------------------------------------------------------------------------

    def pause(self) -> None:
        self._paused = True
        self._link.pause()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self.head_since = time.monotonic()
        self._link.resume()

    def cancel(self, ticket: Ticket) -> None:
        if self.state is not WorkerState.ENDED:
            self._process.page.cancel(ticket.id)
        self.resume()  # what it still sends of it is read and dropped

    @property
    def exit(self) -> str | None:
        """How its process ended, None while it runs."""
        return self._process.exit

    # --- what the link says -------------------------------------------------------------------------------------------

    def frame_received(
        self, request_id: int, kind: int, code: int, flags: int, micros: int, meta: bytes, payload: bytes
    ) -> None:
        if kind in ANSWERS:
            if not self.in_flight or self.in_flight[0].id != request_id:
                self.garbage_received(f"an answer to request {request_id}, which was not the next")
            elif (kind == CHUNK) is (not self._stream_since):
                self.garbage_received(f"an answer to request {request_id} that does not belong to its body")
            elif kind == CHUNK:
                self._chunk_received(flags, payload)
            elif flags & MORE:
                self._stream_begins(code, flags, micros, meta)
            else:
                self._result_received(code, flags, micros, meta, payload)
        elif kind == RESULTS:
            self._results_received(request_id, code, micros, payload)
        elif kind == BATCH:
            self._batch_received(code, flags, micros, payload)
        elif kind == PHASE:
            self._phase = payload.decode(errors="replace")
        elif not self._ready.done():
            self._start_ended(kind, payload)

    def _result_received(self, code: int, flags: int, micros: int, meta: bytes, payload: bytes) -> None:
        if self._batch_left:
            self._batch_left -= 1
        else:
            self._together = 1
            self._window.measured(micros)
        ticket = self.in_flight[0]
        answer: bytes | memoryview = payload
        if flags & (SHARED | NUMBERS):
            try:
                answer = self._large_bodies.receive(ticket, flags, payload)
            except UNREADABLE as error:
                self.garbage_received(f"an answer to request {ticket.id} that cannot be read ({error})")
                return
            flags &= ~(SHARED | NUMBERS)
        self.in_flight.popleft()
        if not ticket.settled:
            ticket.scored(code, flags, micros, meta, answer, self._together)
        if ticket.slot is not None:
            if isinstance(answer, memoryview):
                answer.release()
            self._large_bodies.free(ticket)

    def _results_received(self, first_id: int, count: int, micros: int, payload: bytes) -> None:
        in_flight, table = self.in_flight, lengths(count)
        stop = table.size
        sizes = table.unpack_from(payload) if len(payload) >= stop else ()
        is_next = 0 < count <= len(in_flight) and in_flight[0].id == first_id and not self._stream_since
        if not is_next or stop + sum(sizes) != len(payload):
            self.garbage_received(f"answers to {count} requests from {first_id} on, which were not the next")
            return
        self._window.measured(micros)
        for size in sizes:
            start, stop = stop, stop + size
            ticket = in_flight.popleft()
            if not ticket.settled:
                ticket.scored(200, RETURNED, micros, b"", payload[start:stop], count)
            if ticket.slot is not None:
                self._large_bodies.free(ticket)

    def _batch_received(self, count: int, flags: int, micros: int, reason: bytes) -> None:
        if flags & STOPPED:
            self._window.scores_alone()
        if flags & REDONE:
            self._pool.batch_redone(reason.decode(errors="replace"))
            return
        self._batch_left = self._together = count
        self._window.measured(micros)

    def _stream_begins(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        ticket = self.in_flight[0]
        self._batch_left -= bool(self._batch_left)
        self._stream_since = time.monotonic()
        if ticket.settled or ticket.abandoned:
            self.cancel(ticket)
        else:
            ticket.source = self
            ticket.stream_began(code, flags, micros, meta)

    def _chunk_received(self, flags: int, payload: bytes) -> None:
        ticket = self.in_flight[0]
        if ticket.source is None:
            pass  # nobody wants it any more
        elif payload:
            ticket.stream_went_on(payload)
        if flags & LAST:
            self.in_flight.popleft()
            self._large_bodies.free(ticket)
            self._window.measured(int((time.monotonic() - self._stream_since) * 1e6))
            self._stream_since = 0.0
            self.resume()
            if ticket.source is not None:
                ticket.source = None
                ticket.stream_ended(broken=bool(flags & BROKEN))

    def frames_handled(self) -> None:
        self.head_since = time.monotonic()
        self.link_has_room()

    def link_has_room(self) -> None:
        if self.state is WorkerState.READY:
            self._pool.has_room(self)

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
                self._ready.set_exception(StartFailed(msgspec.json.decode(payload, type=Failure)))
        except msgspec.MsgspecError as error:
            self.garbage_received(f"a start report that cannot be read ({error})")

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
        self._started_ids = self._process.page.started_ids
        self._process.page.close()
        if not self._ready.done():
            self._ready.set_exception(StartFailed(ended_early(self._phase, self._process.exit)))
        self.ended.set_result(None)

    async def _end_now(self) -> None:
        self._process.kill()
        await self.ended
        if self._ready.done() and not self._ready.cancelled():
            self._ready.exception()  # seen: asyncio would report it as forgotten
