"""The requests that one worker holds, and what it says to them, in their order."""

from __future__ import annotations

import struct
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from modelport_scoring.logs.own_faults import report_fault
from modelport_scoring.workers.batch_size import BatchSize
from modelport_scoring.workers.large_bodies import LargeBodies
from modelport_scoring.workers.link import Link
from modelport_scoring.workers.numbers import write_each
from modelport_scoring.workers.page import SharedPage
from modelport_scoring.workers.ticket import Ticket
from modelport_scoring.workers.ticket_ends import give_up
from modelport_scoring.workers.window import Window
from modelport_worker.frames import (
    BROKEN,
    CHUNK,
    LAST,
    MORE,
    NUMBERS,
    REDONE,
    RETURNED,
    SHARED,
    STOPPED,
    lengths,
)

UNREADABLE = (ValueError, TypeError, struct.error)

CANNOT_ANSWER = "an answer could not be sent"


class BatchObserver(Protocol):
    """The pool, as far as requests are scored together."""

    @property
    def batch_size(self) -> BatchSize:
        """How many requests may be scored together."""

    def batch_redone(self, reason: str) -> None:
        """Requests could not be scored together and were scored one by one."""


class Replies:
    """Gives each ticket what its worker answers. To a ticket whose body is made while it is sent it is the source."""

    def __init__(
        self, page: SharedPage, link: Link, *, pool: BatchObserver, garbage_received: Callable[[str], None]
    ) -> None:
        """``garbage_received`` is called with the words for what is no answer, or not the next one."""
        self.in_flight: deque[Ticket] = deque()
        self.head_since = 0.0
        """Since when, by ``time.monotonic``, the first request in flight has been the first, or has had the last piece
        of its body."""
        self.head_id = 0
        """Which that was, when it was last looked at."""
        self.window = Window(pool.batch_size)
        self.large_bodies = LargeBodies(page.arena)
        self.stream_since = 0.0
        """Since when the worker makes a body while that is sent; 0: it does not. It gets nothing else to do meanwhile:
        nobody can tell when it would begin with that."""
        self.waits_for_client = False
        """Whether what it makes is not taken from it for now: then it is not the script that takes long."""
        self._page = page
        self._link = link
        self._pool = pool
        self._garbage_received = garbage_received
        self._batch_left = 0
        """Answers still to come of the requests that were scored together."""
        self._announced = 0
        """The first request that the last BATCH was about."""
        self._together = 1
        self._last_started: tuple[int, int] | None = None

    # --- what the worker says -----------------------------------------------------------------------------------------

    def answer_received(
        self, request_id: int, kind: int, code: int, flags: int, micros: int, meta: bytes, payload: bytes
    ) -> None:
        """A RESULT or a CHUNK."""
        if not self.in_flight or self.in_flight[0].id != request_id:
            self._garbage_received(f"an answer to request {request_id}, which was not the next")
        elif (kind == CHUNK) is (not self.stream_since):
            self._garbage_received(f"an answer to request {request_id} that does not belong to its body")
        elif kind == CHUNK:
            self._chunk_received(flags, payload)
        elif flags & MORE:
            self._stream_begins(code, flags, micros, meta)
        else:
            self._result_received(code, flags, micros, meta, payload)

    def results_received(self, first_id: int, count: int, flags: int, micros: int, payload: bytes) -> None:
        """A RESULTS: what one call of ``run`` has answered to so many requests."""
        in_flight = self.in_flight
        is_next = 0 < count <= len(in_flight) and in_flight[0].id == first_id and not self.stream_since
        answers = split_answers(payload, count, are_numbers=bool(flags & NUMBERS)) if is_next else None
        if answers is None:
            self._garbage_received(f"answers to {count} requests from {first_id} on, which were not the next")
            return
        self.window.measured(micros)
        for answer in answers:
            ticket = in_flight.popleft()
            if not ticket.settled:
                try:
                    ticket.scored(200, RETURNED, micros, b"", answer, count)
                except Exception as error:
                    give_up(CANNOT_ANSWER, ticket, error)
            if ticket.slot is not None:
                self.large_bodies.free(ticket)

    def batch_received(self, count: int, flags: int, micros: int, reason: bytes) -> None:
        """A BATCH: the next answers were made together, or could not be."""
        in_flight = self.in_flight
        if not 0 < count <= len(in_flight) or self._batch_left or in_flight[0].id == self._announced:
            self._garbage_received(f"word of {count} requests that are none, or of which it had told already")
            return
        self._announced = in_flight[0].id
        if flags & STOPPED:
            self.window.scores_alone()
        if flags & REDONE:
            self.head_since = time.monotonic()  # alone, it begins anew
            self._pool.batch_redone(reason.decode(errors="replace"))
            return
        self._batch_left = self._together = count
        self.window.measured(micros)

    def _result_received(self, code: int, flags: int, micros: int, meta: bytes, payload: bytes) -> None:
        if self._batch_left:
            self._batch_left -= 1
        else:
            self._together = 1
            self.window.measured(micros)
        ticket = self.in_flight[0]
        answer: bytes | memoryview = payload
        if flags & (SHARED | NUMBERS):
            try:
                answer = self.large_bodies.receive(ticket, flags, payload)
            except UNREADABLE as error:
                self._garbage_received(f"an answer to request {ticket.id} that cannot be read ({error})")
                return
            flags &= ~(SHARED | NUMBERS)
        self.in_flight.popleft()
        if not ticket.settled:
            try:
                ticket.scored(code, flags, micros, meta, answer, self._together)
            except Exception as error:
                give_up(CANNOT_ANSWER, ticket, error)
        if ticket.slot is not None:
            if isinstance(answer, memoryview):
                answer.release()
            self.large_bodies.free(ticket)

    def _stream_begins(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        ticket = self.in_flight[0]
        self._batch_left -= bool(self._batch_left)
        self.stream_since = self.head_since = time.monotonic()
        if ticket.settled or ticket.abandoned:
            self.cancel(ticket)
        else:
            ticket.source = self
            try:
                ticket.stream_began(code, flags, micros, meta)
            except Exception as error:
                self._give_up_body(ticket, error)

    def _chunk_received(self, flags: int, payload: bytes) -> None:
        ticket = self.in_flight[0]
        if ticket.source is None:
            pass  # nobody wants it any more
        elif payload:
            self.head_since = time.monotonic()
            try:
                ticket.stream_went_on(payload)
            except Exception as error:
                self._give_up_body(ticket, error)
        if flags & LAST:
            self.in_flight.popleft()
            self.large_bodies.free(ticket)
            self.window.measured(int((time.monotonic() - self.stream_since) * 1e6))
            self.stream_since = 0.0
            self.resume()
            if ticket.source is not None:
                ticket.source = None
                try:
                    ticket.stream_ended(broken=bool(flags & BROKEN))
                except Exception as error:
                    report_fault("the end of an answer could not be sent", error)

    def _give_up_body(self, ticket: Ticket, error: Exception) -> None:
        """A fault of ours kept a part of the body from its client: the worker is to make no more of it."""
        give_up(CANNOT_ANSWER, ticket, error)
        ticket.source = None
        self.cancel(ticket)

    # --- a body that is sent while it is made -------------------------------------------------------------------------

    def pause(self) -> None:
        self.waits_for_client = True
        self._link.pause()

    def resume(self) -> None:
        if self.waits_for_client:
            self.waits_for_client = False
            self.head_since = time.monotonic()
        self._link.resume()

    def cancel(self, ticket: Ticket) -> None:
        if self._last_started is None:
            self._page.cancel(ticket.id)
        self.resume()  # what it still sends of it is read and dropped

    # --- what it has begun with ---------------------------------------------------------------------------------------

    @property
    def _started_ids(self) -> tuple[int, int]:
        """Numbers of the first and the last request that ``run`` was last called for."""
        return self._page.started_ids if self._last_started is None else self._last_started

    @property
    def scores_together(self) -> bool:
        """Whether the first request in flight is being scored by one call together with others."""
        first, last = self._started_ids
        return first != last and first <= self.in_flight[0].id <= last

    @property
    def started_together(self) -> int:
        """How many requests ``run`` was last called for."""
        first, last = self._started_ids
        return last - first + 1

    @property
    def overdue(self) -> list[Ticket]:
        """The first request in flight, and those that ``run`` was called for since: the worker keeps answers back for a
        moment, and has them still if it does not come back from the next request."""
        _, last = self._started_ids
        first = self.in_flight[0]
        return [first, *(ticket for ticket in islice(self.in_flight, 1, None) if ticket.id <= last)]

    # --- its end ------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Note what it had begun with; the page goes with the worker."""
        self._last_started = self._page.started_ids
        self._page.close()

    @property
    def got_on(self) -> bool:
        """Whether it had got on to a second request, so that starting another worker is not for nothing."""
        return self._started_ids[1] > 1

    def unanswered(self) -> tuple[list[Ticket], list[Ticket]]:
        """The requests that are lost, since they had been started, and those that another worker may take. Both are
        taken out. Requests that were being scored together are not lost: each is to be tried alone, and the one that
        brought the worker down will then be the only one that does; but for one whose answer has begun already. Those
        behind have nothing to do with that end, so that it is no attempt of theirs."""
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
            untouched = ticket.id > last and ticket.source is None  # whatever the page says
            (again if untouched or together else lost).append(ticket)
        return lost, again


def split_answers(payload: bytes, count: int, *, are_numbers: bool) -> list[bytes] | None:
    """The bodies in the payload of a RESULTS; None where its parts do not fit together."""
    table = lengths(count)
    start = table.size
    sizes = table.unpack_from(payload) if len(payload) >= start else ()
    if start + sum(sizes) * (8 if are_numbers else 1) != len(payload) or not sizes:
        return None
    if are_numbers:
        return write_each(memoryview(payload)[start:], sizes)
    answers = []
    for size in sizes:
        answers.append(payload[start : start + size])
        start += size
    return answers
