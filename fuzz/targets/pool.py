"""The workers of a revision, over time: however they start, answer, hang and die, and whatever clients, limits and
sizes do meanwhile, each request has one end, which is its own, and nothing is left of any of them.

An input is a seed for everything that varies, a byte of settings, and steps of three bytes: what happens, to which
worker or request, and how. The event loop is asyncio's, with a time that passes at once; the workers are made up, from
their frames on.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

from fuzz.made_up_workers import Loop, Source
from modelport_scoring import Limits
from modelport_scoring.failures import StartFailed
from modelport_scoring.workers import alertness, pool, replies, requeue, timeouts, worker
from modelport_scoring.workers.arena import SMALLEST_BYTES
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.numbers import NumberReader
from modelport_scoring.workers.ticket import Refusal, Ticket

STEP = 3
MOST_STEPS = 150
WAITS_S = (0.01, 0.2, 1.1, 1.6, 3.0, 12.0)
DRAIN_S = 20.0
TOGETHER = (1, 8)
LIMITS = (
    Limits(
        scoring_timeout_ms=1_000, scoring_grace_ms=500, queue_wait_ms=2_500, max_queue_length=6, max_queue_bytes=90_000
    ),
    Limits(scoring_timeout_ms=1_000, scoring_grace_ms=500, queue_wait_ms=10_000, max_concurrent_requests=3),
    Limits(scoring_timeout_ms=3_000, scoring_grace_ms=100, queue_wait_ms=1_000, requests_per_worker=3),
)
TIMED = (pool, worker, replies, timeouts, alertness)
"""Modules that ask for the time."""

ENDS = ("scored", "stream_ended", "timed_out", "lost", "refused")


# --- requests ---------------------------------------------------------------------------------------------------------


class Request(Ticket):
    """Writes down how it went. ``detour``: it is away once before it can be given to a worker."""

    def __init__(self, payload: bytes, *, detour: bool) -> None:
        super().__init__(payload)
        self.told: list[str] = []
        self.begun = self.begun_alone = False
        """``run`` has been called for it, and for it alone."""
        self.has_left = False
        self._detour = detour
        self.gone_away: asyncio.Future[None] | None = None

    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        if self._detour:
            self._detour = False
            self.gone_away = self.away = asyncio.get_running_loop().create_future()
            return False
        return True

    def scored(
        self, code: int, flags: int, micros: int, meta: bytes, payload: bytes | memoryview, together: int
    ) -> None:
        assert bytes(payload) == b"%d" % self.id, f"{bytes(payload)!r} is the answer of another one"
        self._tell("scored")

    def stream_began(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        self._tell("stream_began")
        if self.has_left:
            self.leave()

    def stream_went_on(self, chunk: bytes) -> None:
        assert chunk == b"%d" % self.id, f"{chunk!r} is of another body"

    def stream_ended(self, *, broken: bool) -> None:
        self._tell("stream_ended")

    def timed_out(self) -> None:
        if self.source is not None:
            self._cancel()
        self._tell("timed_out")

    def lost(self) -> None:
        assert self.begun or self.attempts >= requeue.MOST_ATTEMPTS, "it is lost, and nobody had begun with it"
        self.source = None
        self._tell("lost")

    def refused(self, refusal: Refusal) -> None:
        self._tell("refused")

    def _tell(self, what: str) -> None:
        self.told.append(what)

    def leave(self) -> None:
        """Its client goes, as with ``Scoring``."""
        self.has_left = True
        if self.away is not None:
            self.abandoned = True
        elif self.source is not None:
            self.settled = True
            self._cancel()
        else:
            self.client_has_gone = True
            if self.line is not None:
                self.line.abandon(self)

    def _cancel(self) -> None:
        assert self.source is not None
        source, self.source = self.source, None
        source.cancel(self)

    @property
    def is_over(self) -> bool:
        return any(what in ENDS for what in self.told)


class Observer:
    def worker_ready(self) -> None: ...

    def worker_restarted(self) -> None: ...

    def batch_redone(self) -> None: ...


# --- one pool ---------------------------------------------------------------------------------------------------------


class Visit:
    """The pool's life."""

    def __init__(self, loop: Loop, settings: int, chance: random.Random) -> None:
        self.requests: list[Request] = []
        self._chance = chance
        self._proven = bool(settings & 8)
        self._hangs = bool(settings & 16)
        together = TOGETHER[settings >> 2 & 1]
        launch = Launch(
            command=(), environment={}, cwd=Path("/"), log=Path("/dev/null"), start_timeout_s=5.0, together=together
        )
        self.pool = pool.Pool(
            launch, revision=1, size=1 + settings % 3, limits=LIMITS[settings % 3], loop=loop, observer=Observer()
        )
        self.source = Source(loop)
        self.pool.group._processes = cast(Any, self.source)
        self.loop = loop

    async def run(self, steps: list[bytes]) -> None:
        started = self.loop.create_task(self._start())
        for step in steps:
            await self._step(*step)
        await self._end()
        await started

    async def _start(self) -> None:
        try:
            await self.pool.start(is_proven=self._proven)
        except StartFailed:
            assert not self.pool.workers or self._proven or self.pool.is_closing

    async def _step(self, what: int, which: int, how: int) -> None:
        living = [process for process in self.source.made if process.exit is None]
        process = living[which % len(living)] if living else None
        if what < 0x48:
            payload = bytes(SMALLEST_BYTES + how) if how > 0xF0 else bytes(how)
            self.requests.append(Request(payload, detour=what < 0x06))
            self.pool.submit(self.requests[-1])
        elif what < 0x60 and self.requests:
            self.requests[which % len(self.requests)].leave()
        elif what < 0x64 and self.requests:
            come_back(self.requests[which % len(self.requests)])
        elif what < 0xC0:
            await asyncio.sleep(0)  # what was sent has arrived
            if process is not None and process.is_ready and not process.is_cut_off:
                process.go_on(how)
            elif process is not None:
                process.become_ready(fails=how > 0xE8)
        elif what < 0xC8 and process is not None:
            process.kill()
        elif what < 0xCB and process is not None:
            process.cut_off()
        elif what < 0xCD and process is not None:
            process.babble()
        elif what < 0xE0:
            await asyncio.sleep(WAITS_S[how % len(WAITS_S)])
        elif what < 0xE8:
            self.pool.resize(1 + how % 4)
        elif what < 0xF0:
            self.pool.limits = LIMITS[how % len(LIMITS)]
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)

    async def _end(self) -> None:
        for request in self.requests:
            come_back(request)
        draining = self.loop.create_task(self.pool.drain(DRAIN_S))
        while not draining.done():
            for process in self.source.made:
                if not self._hangs and process.exit is None and process.is_ready and not process.is_cut_off:
                    process.go_on(0x81)
            for request in self.requests:
                come_back(request)
            await asyncio.sleep(0.05)
        for ticket in draining.result():
            ticket.refused(Refusal.NO_WORKER)
        await asyncio.sleep(60.0)


def come_back(request: Request) -> None:
    if request.gone_away is not None and not request.gone_away.done():
        request.gone_away.set_result(None)


def check_one(data: bytes) -> None:
    loop = Loop()
    steps = [data[start : start + STEP] for start in range(2, len(data) - STEP + 1, STEP)][:MOST_STEPS]
    with ExitStack() as patches:
        for module in TIMED:
            patches.enter_context(patch.object(module, "time", SimpleNamespace(monotonic=loop.time)))
        try:
            visit = Visit(loop, data[1] if len(data) > 1 else 0, random.Random(data[:1]))
            loop.run_until_complete(visit.run(steps))
            check_end(visit)
        finally:
            loop.close()


def check_end(visit: Visit) -> None:
    """Each request has its end, and nothing is left."""
    assert not visit.loop.faults, visit.loop.faults
    for request in visit.requests:
        ends = [what for what in request.told if what in ENDS]
        assert len(ends) == 1 or (request.has_left and not ends), f"{request.told}, {request.has_left}"
    assert not asyncio.all_tasks(visit.loop), "something is still done"
    line = visit.pool.line
    assert (len(line), line._bytes, line._abandoned, line.has_any()) == (0, 0, 0, False), "somebody waits for ever"
    assert not visit.pool.in_flight
    assert visit.pool._unfinished.away == 0
    for process in visit.source.made:
        assert process.exit is not None, "a worker is left"
        assert process.page.descriptor < 0, "the memory of a worker is left"
