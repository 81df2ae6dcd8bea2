"""Workers that are made up, from their frames on, and an event loop whose time passes at once: for the targets in which
events happen over time.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from modelport_scoring.failures import Failure
from modelport_scoring.workers.page import SharedPage
from modelport_worker.frames import (
    BATCH,
    BROKEN,
    CHUNK,
    FAILED,
    HEADER,
    HEADER_SIZE,
    LAST,
    MORE,
    PHASE,
    READY,
    RESULT,
    RESULTS,
    RETURNED,
    SCORE,
    SCORES,
    STARTED,
    STOP,
    lengths,
    pack,
)

TURN_S = 1e-4
"""That one turn of the event loop takes."""


class Loop(asyncio.BaseEventLoop):
    """Has nothing to wait for but time, which passes at once."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = 1000.0
        self.faults: list[Any] = []
        self._selector = self
        self.set_exception_handler(lambda _, context: self.faults.append(context))

    def time(self) -> float:
        return self.moment

    def select(self, timeout: float | None) -> list[Any]:
        assert timeout is not None, "nothing will ever happen again"
        self.moment += timeout or TURN_S
        return []

    def close(self) -> None:
        """Also what had no turn yet when the judge found a fault: else Python complains of it in the next test."""
        for task in asyncio.all_tasks(self):
            work = task.get_coro()
            if inspect.iscoroutine(work) and inspect.getcoroutinestate(work) == inspect.CORO_CREATED:
                work.close()
        super().close()

    def _process_events(self, events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...

    async def create_unix_connection(self, factory: Callable[[], Any], *, sock: Any) -> Any:  # type: ignore[override]
        return sock.connect(factory())


class Wire(asyncio.Transport):
    """To one worker, which reads at once."""

    def __init__(self, process: Process) -> None:
        super().__init__()
        self._process = process
        self._reads = True
        self._said: list[bytes] = []

    def write(self, data: Any) -> None:
        self._process.received(bytes(data))

    def writelines(self, pieces: Iterable[Any]) -> None:
        self.write(b"".join(pieces))

    def say(self, data: bytes) -> None:
        self._said.append(data)
        self._deliver()

    def _deliver(self) -> None:
        while self._said and self._reads and not self._process.is_cut_off:
            self._process.link.data_received(self._said.pop(0))

    def pause_reading(self) -> None:
        self._reads = False

    def resume_reading(self) -> None:
        self._reads = True
        self._process.loop.call_soon(self._deliver)

    def abort(self) -> None:
        self._process.cut_off()

    def is_closing(self) -> bool:
        return self._process.is_cut_off

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class Process:
    """One worker, from its frames on."""

    pid = 5
    ready = b'{"input": "text"}'
    """What it says once it is."""

    def __init__(self, loop: Loop, *, start_timeout_s: float = 5.0) -> None:
        self.start_timeout_s = start_timeout_s
        self.loop = loop
        self.page = SharedPage()
        self.exit: str | None = None
        self.socket = self
        self.got: deque[int] = deque()
        """Numbers of the requests that it holds."""
        self.bodies: dict[int, bytes] = {}
        """Theirs."""
        self.link: Any = None
        self.is_ready = self.is_cut_off = self.is_told_to_stop = False
        self._streams = self._running = 0
        self._wire = Wire(self)
        self._unread = b""
        self._ended: Callable[[], None] = lambda: None

    def watch(self, loop: asyncio.AbstractEventLoop, *, ended: Callable[[], None]) -> None:
        self._ended = ended

    def connect(self, link: Any) -> None:
        self.link = link
        link.connection_made(self._wire)

    def overdue(self, phase: str) -> Failure:
        return Failure(phase=phase, message="late")

    def kill(self) -> None:
        if self.exit is None:
            self.exit = "was killed"
            self.loop.call_soon(self._ended)
            self.cut_off()

    def close(self) -> None:
        """As its socket: once it has ended."""
        assert self.exit is not None

    def cut_off(self) -> None:
        if not self.is_cut_off:
            self.is_cut_off = True
            if self.link is not None:
                self.loop.call_soon(self.link.connection_lost, None)

    def received(self, data: bytes) -> None:
        self._unread += data
        while len(self._unread) >= HEADER_SIZE:
            number, size, meta_size, _, code, kind, _ = HEADER.unpack_from(self._unread)
            begin = HEADER_SIZE + meta_size
            if len(self._unread) < begin + size:
                return
            payload, self._unread = self._unread[begin : begin + size], self._unread[begin + size :]
            assert kind in (SCORE, SCORES, STOP)
            assert self.is_ready, "it has got something before it was ready"
            if kind == STOP:
                self.is_told_to_stop = True
            else:
                assert not self.is_told_to_stop, "it has got a request after it was told to stop"
                self._take(number, [payload] if kind == SCORE else split_bodies(payload, code))
        self._stop_if_done()

    def _take(self, number: int, bodies: list[bytes]) -> None:
        for body in bodies:
            self.got.append(number)
            self.bodies[number] = body
            number += 1

    def answer_to(self, number: int) -> bytes:
        """The body of the answer, whole or a piece."""
        return b"%d" % number

    def _stop_if_done(self) -> None:
        if self.is_told_to_stop and not self.got:
            self.loop.call_later(0.01, self.kill)

    def become_ready(self, *, fails: bool) -> None:
        if self.is_ready or self.link is None:
            return
        if fails:
            self._wire.say(pack(0, FAILED, b'{"phase": "init", "message": "no", "type": "E", "traceback": ""}'))
            self.kill()
        else:
            self.is_ready = True
            self._wire.say(pack(0, PHASE, b"init") + pack(0, READY, self.ready))

    def start(self, count: int) -> int:
        """Call ``run`` for so many, unless it has not come back yet. For how many it runs."""
        count = min(count, len(self.got))
        if count and not self._running:
            self._running = count
            STARTED.pack_into(self.page._memory, 0, self.got[0], self.got[0] + count - 1)
            for ticket in list(self.link._observer.in_flight)[:count]:
                ticket.begun = True
                assert not getattr(ticket, "begun_alone", False), "a second worker runs what a first one had begun with"
                ticket.begun_alone = count == 1
        return self._running

    def go_on(self, how: int) -> None:
        """Do the next thing with what it holds."""
        together = 1 if how < 0xA8 else 1 + how % 4
        if self._streams:
            self._go_on_streaming(how)
        elif self.start(together) and not 0xA8 <= how < 0xC0:
            if self._running > 1 or together > 1:
                self._answer_together(in_one_frame=how % 2 == 1)
            elif how < 0x90:
                self._answer(self.got[0])
            else:
                self._streams = self.got[0]
                self._wire.say(pack(self._streams, RESULT, flags=MORE, code=200))
        self._stop_if_done()

    def _answer(self, number: int) -> None:
        body = self.answer_to(number)
        self._have_answered(1)
        self._wire.say(pack(number, RESULT, body, flags=RETURNED, code=200, micros=5))

    def _have_answered(self, count: int) -> list[int]:
        self._running -= count
        return [self.got.popleft() for _ in range(count)]

    def _go_on_streaming(self, how: int) -> None:
        number, is_last = self._streams, how > 0x80
        piece = self.answer_to(number)
        if is_last:
            self._streams = 0
            self._have_answered(1)
        flags = (LAST if is_last else 0) | (BROKEN if how > 0xF0 else 0)
        self._wire.say(pack(number, CHUNK, piece, flags=flags))

    def _answer_together(self, *, in_one_frame: bool) -> None:
        bodies = [self.answer_to(number) for number in list(self.got)[: self._running]]
        numbers = self._have_answered(self._running)
        count = len(numbers)
        if in_one_frame:
            body = lengths(count).pack(*map(len, bodies)) + b"".join(bodies)
            self._wire.say(pack(numbers[0], RESULTS, body, flags=RETURNED, code=count, micros=5))
        else:
            each = zip(numbers, bodies, strict=True)
            results = (pack(number, RESULT, body, flags=RETURNED, code=200) for number, body in each)
            self._wire.say(pack(0, BATCH, code=count, micros=5) + b"".join(results))

    def babble(self) -> None:
        if self.link is not None:
            self._wire.say(pack(77_777, RESULT, b"nonsense", code=200))


class Source:
    """Starts them."""

    def __init__(self, loop: Loop) -> None:
        self.made: list[Process] = []
        self._loop = loop

    async def start(self) -> Process:
        self.made.append(Process(self._loop))
        return self.made[-1]

    def stop(self) -> None:
        for process in self.made:
            if not process.is_ready:
                process.kill()

    async def end(self) -> None: ...


def split_bodies(payload: bytes, count: int) -> list[bytes]:
    """Those of a SCORES frame."""
    table = lengths(count)
    start = table.size
    bodies = []
    for size in table.unpack_from(payload):
        bodies.append(payload[start : start + size])
        start += size
    return bodies
