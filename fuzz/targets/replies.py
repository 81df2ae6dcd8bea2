"""What a worker may say of the requests that it holds: whatever it is, each request has one end, in the order in which
they were sent, and nobody's fault but the worker's ends anything.

An input is a seed for the cuts, one byte, and steps of six bytes: what is done, and with what. A step gives the worker
a request, or a client leaves, or the worker sends a frame; frames that come one after another are cut anywhere.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import cast

from fuzz.pieces import cut
from fuzz.wire import Client, Loop, Wire
from modelport_scoring.logs.journal import Journal
from modelport_scoring.workers.arena import SMALLEST_BYTES
from modelport_scoring.workers.batch_size import BatchSize
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.numbers import NumberReader
from modelport_scoring.workers.page import SharedPage
from modelport_scoring.workers.ticket import Refusal, Ticket
from modelport_scoring.workers.worker import Worker, WorkerState
from modelport_worker.frames import (
    BATCH,
    CHUNK,
    MORE,
    NUMBERS,
    PHASE,
    RESULT,
    RESULTS,
    SHARED,
    SLOT,
    lengths,
    pack,
)

STEP = 6
LAUNCH = Launch(command=(), environment={}, cwd=Path("/"), log=Path("/dev/null"), start_timeout_s=1.0, together=8)
IN_MEMORY = 0x80
"""Among the flags of a step: the answer is said to lie in the shared memory."""

NOT_AS_IT_IS = MORE | SHARED | NUMBERS | IN_MEMORY
"""With one of these an answer is not what its payload is."""

ENDS = frozenset(("scored", "stream_ended", "timed_out", "lost", "refused"))


class Request(Ticket):
    """Writes down how it went."""

    def __init__(self, payload: bytes, told: list[tuple[Request, str]]) -> None:
        super().__init__(payload)
        self._told = told
        self.answer: bytes | None = None

    def _say(self, what: str) -> None:
        self._told.append((self, what))

    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        return True

    def scored(
        self, code: int, flags: int, micros: int, meta: bytes, payload: bytes | memoryview, together: int
    ) -> None:
        self.answer = bytes(payload)
        assert together > 0
        self._say("scored")

    def stream_began(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        self._say("stream_began")

    def stream_went_on(self, chunk: bytes) -> None:
        assert chunk
        self._say("stream_went_on")

    def stream_ended(self, *, broken: bool) -> None:
        self._say("stream_ended")

    def timed_out(self) -> None:
        self._say("timed_out")

    def lost(self) -> None:
        self._say("lost")

    def refused(self, refusal: Refusal) -> None:
        self._say("refused")

    def leave(self) -> None:
        """Its client goes."""
        if self.source is None:
            self.client_has_gone = True
            return
        source, self.source = self.source, None
        self.settled = True
        self._say("stream_ended")
        source.cancel(self)


class Process:
    """Is killed at most, and has a page. One page serves all: what was written there may be anything."""

    pid = 0
    exit = None
    start_timeout_s = 1.0
    page = SharedPage()

    def __init__(self) -> None:
        self.killed = False

    def watch(self, loop: asyncio.AbstractEventLoop, *, ended: Callable[[], None]) -> None:
        """It does not end by itself."""

    def kill(self) -> None:
        self.killed = True


class Channel(Wire):
    """To a worker: it may be told to read on where it does."""

    def resume_reading(self) -> None:
        self.reading = True


class Pool:
    """Takes what its worker tells it."""

    def __init__(self) -> None:
        self.batch_size = BatchSize(LAUNCH.together, journal=Journal(LAUNCH.log))

    def batch_redone(self, reason: str) -> None: ...

    def has_room(self, worker: Worker) -> None: ...


class Visit:
    """One worker's life."""

    def __init__(self, chance: random.Random) -> None:
        self.told: list[tuple[Request, str]] = []
        self.sent: list[Request] = []
        self.process = Process()
        self._chance = chance
        self._loop = Loop()
        self._frames = b""
        self._expected: tuple[Request, bytes] | None = None
        """Who is answered by the first of those, and what."""
        loop = cast(asyncio.AbstractEventLoop, self._loop)
        self.worker = Worker(self.process, LAUNCH, loop=loop, pool=Pool())  # type: ignore[arg-type]
        self.link = self.worker._link
        self._reader = Client(self.link, chance)
        self.link.connection_made(Channel(self._reader))
        self.worker._ready.set_result(Contract(input="text"))
        self.worker.state = WorkerState.READY

    def step(self, step: bytes) -> None:
        what, which, flags, code, size, fill = step
        if what >= 0x70:
            content = bytes([fill]) * size
            if not self._frames and what < 0xB0 and which == 0 and not flags & NOT_AS_IT_IS:
                self._expect(content)
            self._frames += self._frame(what, which, flags, code, content)
            return
        self._say_all()
        self._reader.read_on()
        held = self.worker.in_flight
        if what < 0x60 and self.worker.takes_more():
            self._send(bytes(SMALLEST_BYTES + size if fill > 0xF8 else size))
        elif what >= 0x60 and held:
            cast(Request, held[which % len(held)]).leave()

    def end(self) -> None:
        """The worker ends, as one does that is killed."""
        self._say_all()
        slots = [request.slot for request in self.sent if request.slot is not None]
        lost, again = self.worker.replies.unanswered()
        for ticket in lost:
            ticket.lost()
        for ticket in again:
            ticket.refused(Refusal.NO_WORKER)
        for slot in slots:
            self.process.page.arena.free(slot)

    def _send(self, payload: bytes) -> None:
        request = Request(payload, self.told)
        self.sent.append(request)
        self.worker.send(request, 0.0)
        self._loop.run_one()

    def _expect(self, answer: bytes) -> None:
        held = self.worker.in_flight
        if held and not (held[0].settled or self.worker.replies.stream_since or self.link.inbox._garbage):
            self._expected = cast(Request, held[0]), answer

    def _say_all(self) -> None:
        for piece in cut(self._frames, self._chance):
            if piece:
                self.link.data_received(piece)
        self._frames = b""
        if self._expected is not None:
            request, answer = self._expected
            assert request.answer == answer, "an answer did not reach its request"
            self._expected = None

    def _frame(self, what: int, which: int, flags: int, code: int, content: bytes) -> bytes:
        """What it says next, to the request that is ``which`` places behind the first."""
        held = self.worker.in_flight
        first = held[0].id if held else 1
        number = max(0, first + (which if which < 0x80 else which - 0x100))
        if what < 0xB0:
            if flags & IN_MEMORY:
                flags, content = flags | SHARED, SLOT.pack(0, len(content) * 300, 0, 0)
            return pack(number, RESULT, content, meta=content[: code % 3], flags=flags, code=200 + code)
        if what < 0xC0:
            return pack(number, RESULT, flags=MORE, code=200)
        if what < 0xD0:
            return pack(number, CHUNK, content, flags=flags % 4)
        if what < 0xE8:
            count = code % 16
            sizes = [len(content)] * count
            body = lengths(count).pack(*sizes) + count * content * (8 if flags & 0x40 else 1)
            return pack(number, RESULTS, body[: len(body) - flags % 2], flags=flags, code=count)
        if what < 0xF8:
            return pack(0, BATCH, content, flags=flags % 4, code=code % 16)
        return pack(number, PHASE + what % 8, content, flags=flags, code=code)


def check_one(data: bytes) -> None:
    visit = Visit(random.Random(data[:1]))
    for start in range(1, len(data) - STEP + 1, STEP):
        visit.step(data[start : start + STEP])
    visit.end()
    check_ends(visit)


def check_ends(visit: Visit) -> None:
    ended = [request for request, what in visit.told if what in ENDS]
    assert len(set(ended)) == len(ended), "one request has two ends"
    assert {id(request) for request in ended} == {id(request) for request in visit.sent}, "one request has no end"
    answered = [request for request, what in visit.told if what == "scored"]
    assert answered == [request for request in visit.sent if request in set(answered)], (
        "the answers have changed places"
    )
    for request in visit.sent:
        words = [what for told, what in visit.told if told is request]
        assert words[1:-1] == ["stream_went_on"] * len(words[1:-1])
        assert len(words) == 1 or (words[0] == "stream_began" and words[-1] in ("stream_ended", "lost")), words
