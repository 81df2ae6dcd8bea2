"""A pool whose size follows its load, over time: whatever its workers and clients do, and however the bounds change, it
has as many workers as it may have, grows for a reason, shrinks only once it was calm, and rests at the least.

An input is that of ``pool``, whose checks hold as well; where that resizes its pool, the bounds are others from now on.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from fuzz.made_up_workers import Loop
from fuzz.targets import pool
from modelport_scoring.logs.journal import Journal
from modelport_scoring.settings.service import Autoscale
from modelport_scoring.settings.size import Size
from modelport_scoring.workers.autoscaler import Autoscaler
from modelport_scoring.workers.worker import WorkerState

SETTINGS = (
    Autoscale(min_workers=1, max_workers=4, refresh_s=0.5, calm_s=2.0),
    Autoscale(min_workers=2, max_workers=3, refresh_s=0.2, calm_s=1.0, target_utilization=100.0),
    Autoscale(min_workers=1, max_workers=8, refresh_s=1.0, calm_s=0.1, target_utilization=10.0),
    Autoscale(min_workers=3, max_workers=3, refresh_s=1.0, calm_s=5.0),
    Autoscale(min_workers=1, max_workers=6, refresh_s=2.0, calm_s=0.5, target_utilization=50.0),
)
TICK_S = 0.1
REST_S = 60.0
"""In which all that has failed is tried again, and it was calm for longer than it need be."""


class Visit(pool.Visit):
    """Its life."""

    def __init__(self, loop: Loop, settings: int, chance: random.Random) -> None:
        super().__init__(loop, settings & ~0x10, chance)  # nobody hangs: it could not rest
        self._settings = SETTINGS[settings // 32 % len(SETTINGS)]
        self._autoscaler: Autoscaler | None = None
        self._since = 0.0
        self._grown: list[tuple[float, int]] = []
        """When it was to have how many workers more."""
        self._had_load, self._before = False, 0
        """Whether there were requests when it was resized, and how many there had been until then."""
        self._resize = self.pool.resize
        self.pool.resize = self._resized  # type: ignore[method-assign]

    async def _start(self) -> None:
        await super()._start()
        if not self.pool.is_closing:
            self._scale()

    def _scale(self) -> None:
        """As a revision does with other settings."""
        if self._autoscaler is not None:
            self._autoscaler.stop()
        self._grown.clear()
        self._resize(Size(workers=1, autoscale=self._settings).fitted(self.pool.wanted))
        self._since = self.loop.time()
        self._autoscaler = Autoscaler(self.pool, self._settings, loop=self.loop, journal=Journal(Path("/dev/null")))

    async def _step(self, what: int, which: int, how: int) -> None:
        if 0xE0 <= what < 0xE8:
            self._settings = SETTINGS[how % len(SETTINGS)]
            if self._autoscaler is not None:
                self._scale()
        else:
            await super()._step(what, which, how)
        if self._autoscaler is not None and not self.pool.is_closing:
            self._look()

    def _look(self) -> None:
        """What holds after each step."""
        group, ready = self.pool.group, self.pool._ready
        staying = [seat for seat in group.seats if not seat.given_up.is_set()]
        assert len(staying) == group.wanted, f"{len(staying)} workers are kept, not {group.wanted}"
        leaving = [seat.worker for seat in group.seats if seat.given_up.is_set()]
        assert not any(worker in leaving for worker in ready), "one that goes is still among those that are ready"

    @property
    def _asked(self) -> int:
        return len(self.requests) + self.pool.given

    @property
    def _has_load(self) -> bool:
        return bool(self.pool.busy_count or self.pool.waiting_count)

    def _resized(self, wanted: int) -> None:
        """By the autoscaler."""
        before, now, settings = self.pool.wanted, self.loop.time(), self._settings
        assert settings.min_workers <= wanted <= settings.max_workers, f"{wanted} workers, with {settings}"
        assert not self.pool.is_closing, "a pool that is being closed is resized"
        if wanted > before:
            assert self._had_load or self._has_load or self._asked > self._before, "more workers for nothing"
            self._grown.append((now, wanted))
        else:
            assert wanted < before, "nothing is changed"
            assert now - self._since >= settings.calm_s, "fewer before it was calm"
            assert self.pool.ready_count >= before, "fewer while some are still starting"
            recent = [grown for moment, grown in self._grown if moment >= now - settings.calm_s]
            assert all(grown <= wanted for grown in recent), f"{wanted} workers, where {recent} were needed just now"
        self._had_load, self._before = self._has_load, self._asked
        self._resize(wanted)

    async def _end(self) -> None:
        begun = self.loop.time()
        while self.loop.time() - begun < REST_S:
            for process in self.source.made:
                if process.exit is None and not process.is_cut_off:
                    process.go_on(0x81) if process.is_ready else process.become_ready(fails=False)
            for request in self.requests:
                pool.come_back(request)
            await asyncio.sleep(TICK_S)
        if self._autoscaler is not None:
            self._check_rest()
        await super()._end()

    def _check_rest(self) -> None:
        assert not self.loop.faults, self.loop.faults
        group, least = self.pool.group, self._settings.min_workers
        states = [seat.worker.state for seat in group.seats if seat.worker is not None]
        assert states == [WorkerState.READY] * least, f"{states}, where {least} are enough"
        assert group.wanted == self.pool.ready_count == least
        assert sum(process.exit is None for process in self.source.made) == least, "a worker belongs to nobody"


def check_one(data: bytes) -> None:
    loop = Loop()
    steps = [data[start : start + pool.STEP] for start in range(2, len(data) - pool.STEP + 1, pool.STEP)]
    with ExitStack() as patches:
        for module in pool.TIMED:
            patches.enter_context(patch.object(module, "time", SimpleNamespace(monotonic=loop.time)))
        patches.enter_context(patch.object(Journal, "write", lambda *_: None))
        try:
            visit = Visit(loop, data[1] if len(data) > 1 else 0, random.Random(data[:1]))
            loop.run_until_complete(visit.run(steps[: pool.MOST_STEPS]))
            pool.check_end(visit)
        finally:
            loop.close()
