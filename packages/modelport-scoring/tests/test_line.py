"""The line of requests that wait for a worker, as its pool uses it: how many bytes, and for how long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from modelport_scoring.settings.service import Limits
from modelport_scoring.workers.queue import WaitingLine
from modelport_scoring.workers.ticket import Refusal, Ticket


class Clock:
    """An event loop, as far as the line needs one: the time, and when it is to be woken."""

    def __init__(self) -> None:
        self.now = 100.0
        self.woken_at: list[float] = []

    def time(self) -> float:
        return self.now

    def call_at(self, moment: float, callback: Callable[[], None]) -> Clock:
        self.woken_at.append(moment)
        return self

    def cancel(self) -> None: ...


class Waiting:
    """A request, as the line sees it."""

    abandoned = is_copy = False
    waiting_since = 0.0
    line: WaitingLine | None = None

    def __init__(self, size: int = 1) -> None:
        self.payload = bytes(size)
        self.told: list[Refusal] = []

    def refused(self, refusal: Refusal) -> None:
        self.told.append(refusal)


def line_of(clock: Clock, *, room: int = 0, **limits: int) -> WaitingLine:
    return WaitingLine(limits=Limits(**limits), loop=cast(Any, clock), room=lambda: room)


def put(line: WaitingLine, size: int = 1) -> Waiting:
    waiting = Waiting(size)
    line.put(cast(Ticket, waiting))
    return waiting


def test_a_body_that_is_alone_waits_whatever_its_size() -> None:
    line = line_of(Clock(), max_queue_bytes=1000)
    assert put(line, 5000).told == []
    assert put(line, 1).told == [Refusal.QUEUE_BYTES]
    assert line.take() is not None
    assert put(line, 5000).told == []


def test_who_has_been_taken_or_has_left_takes_no_room() -> None:
    line = line_of(Clock(), max_queue_bytes=1000)
    first, second = put(line, 500), put(line, 500)
    assert put(line, 1).told == [Refusal.QUEUE_BYTES]
    line.abandon(cast(Ticket, second))
    line.abandon(cast(Ticket, second))
    assert len(line) == 1
    assert put(line, 500).told == []
    assert put(line, 1).told == [Refusal.QUEUE_BYTES]
    assert line.take() is cast(Ticket, first)
    assert put(line, 500).told == []
    assert put(line, 1).told == [Refusal.QUEUE_BYTES]


def test_the_line_is_woken_for_the_first_that_does_not_count_as_taken() -> None:
    """It would else be woken for one that never expires, again and again, without a pause."""
    clock = Clock()
    line = line_of(clock, room=1, queue_wait_ms=2000)
    first = put(line)
    clock.now += 10
    second = put(line)
    assert clock.woken_at == [112.0]
    clock.now += 2
    line._expire()
    assert (first.told, second.told) == ([], [Refusal.QUEUE_WAIT])
    assert len(clock.woken_at) == 1, "for the one that is left there is nothing to do"
