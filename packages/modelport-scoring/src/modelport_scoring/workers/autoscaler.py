"""How many workers a revision has, where that follows its load (reference, 2.9 and 6.9)."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass
from typing import Protocol

from modelport_scoring.logs.journal import Journal
from modelport_scoring.settings.service import Autoscale

LOOKS = 10
"""So often in ``refresh_s`` the workers are looked at."""

SOONEST_S = 0.01
PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What was seen in one ``refresh_s``, on average."""

    busy: float
    """Workers that had a request."""
    waiting: float
    """Requests that no worker had taken."""
    given: int
    """Requests that workers got, all together."""

    @property
    def demand(self) -> float:
        """How many workers would be busy, if nothing waited longer than a refresh.

        What waits is worked off by its length: ``busy`` workers took ``given`` requests, so that each took
        ``busy / given`` of a refresh, or all of it where none was taken.
        """
        each = min(1.0, self.busy / self.given) if self.given else 1.0
        return self.busy + self.waiting * each


class Decision:
    """The number of workers from the load. More at once; fewer once no more were needed for ``calm_s``."""

    def __init__(self, settings: Autoscale, *, now: float) -> None:
        self._settings = settings
        self._calm_from = now
        self._needed: deque[tuple[float, int]] = deque()
        """When how many were needed, within the last ``calm_s``."""

    def workers(self, load: Load, *, wanted: int, ready: int, now: float) -> int:
        """How many there should be from now on, where ``wanted`` should be by now and ``ready`` of them are."""
        settings = self._settings
        needed = math.ceil(load.demand * PERCENT / settings.target_utilization)
        needed = min(max(needed, settings.min_workers), settings.max_workers)
        if ready < wanted:
            needed = max(needed, wanted)  # nobody can tell yet whether they are too many
        self._needed.append((now, needed))
        while self._needed[0][0] < now - settings.calm_s:
            self._needed.popleft()
        if needed < wanted:
            is_calm = now - self._calm_from >= settings.calm_s
            return max(each for _, each in self._needed) if is_calm else wanted
        return needed


class Scaled(Protocol):
    """A pool, as far as its size is concerned."""

    @property
    def wanted(self) -> int: ...

    @property
    def ready_count(self) -> int: ...

    @property
    def busy_count(self) -> int: ...

    @property
    def waiting_count(self) -> int: ...

    @property
    def given(self) -> int: ...

    @property
    def is_closing(self) -> bool: ...

    def resize(self, wanted: int) -> None: ...


class Autoscaler:
    """Looks at a pool ten times in ``refresh_s``, and resizes it once."""

    def __init__(self, pool: Scaled, settings: Autoscale, *, loop: asyncio.AbstractEventLoop, journal: Journal) -> None:
        self._pool = pool
        self._settings = settings
        self._loop = loop
        self._journal = journal
        self._decision = Decision(settings, now=loop.time())
        self._interval_s = max(settings.refresh_s / LOOKS, SOONEST_S)
        self._timer: asyncio.TimerHandle | None = None
        self._begin()
        self._wait()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        self._looks = self._busy = self._waiting = 0
        self._given_before = self._pool.given
        self._decide_at = self._loop.time() + self._settings.refresh_s

    def _wait(self) -> None:
        self._timer = self._loop.call_later(self._interval_s, self._look)

    def _look(self) -> None:
        pool = self._pool
        if pool.is_closing:
            return
        if pool.ready_count:
            self._looks += 1
            self._busy += pool.busy_count
            self._waiting += pool.waiting_count
            if self._loop.time() >= self._decide_at:
                self._decide()
                self._begin()
        else:
            self._begin()
        self._wait()

    def _decide(self) -> None:
        pool, looks = self._pool, self._looks
        load = Load(busy=self._busy / looks, waiting=self._waiting / looks, given=pool.given - self._given_before)
        before = pool.wanted
        wanted = self._decision.workers(load, wanted=before, ready=pool.ready_count, now=self._loop.time())
        if wanted == before:
            return
        self._journal.write(
            f"modelport: workers wanted: {wanted} instead of {before}; {load.busy:.1f} of {pool.ready_count} were "
            f"busy, {load.waiting:.1f} requests waited"
        )
        pool.resize(wanted)
