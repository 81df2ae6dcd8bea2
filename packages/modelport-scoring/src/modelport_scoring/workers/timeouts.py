"""Requests whose ``run()`` takes too long: answered, and the worker that does not let go of them replaced."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Protocol

from modelport_scoring.settings.service import Limits
from modelport_scoring.workers.batch_size import BatchSize
from modelport_scoring.workers.limit_log import LimitLog
from modelport_scoring.workers.ticket_ends import time_out
from modelport_scoring.workers.worker import Worker

SOONEST_S = 0.001
LOOK_S = 1.0
"""How often it is looked at least, while something is watched."""
LATE_S = 1.0
"""A look that comes so much too late was kept waiting, as the workers may have been: the whole container was paused,
for one. That time counts for no request."""


class Watched(Protocol):
    """The pool, as far as its workers are watched."""

    @property
    def limits(self) -> Limits: ...

    @property
    def batch_size(self) -> BatchSize: ...

    @property
    def limit_log(self) -> LimitLog: ...

    @property
    def workers(self) -> Sequence[Worker]: ...


class Timeouts:
    """One timer for all requests of a pool: a worker answers in order, so that only the first request that it holds can
    have run too long."""

    def __init__(self, pool: Watched, *, loop: asyncio.AbstractEventLoop) -> None:
        self._pool = pool
        self._loop = loop
        self.timer: asyncio.TimerHandle | None = None
        """None where no worker has a request that is watched: then ``watch`` is to be called for the next one."""
        self._due_at = 0.0
        """When the next look is to be."""

    def watch(self) -> None:
        """A worker has got a request, and there is no timer."""
        self._look_within(self._pool.limits.scoring_timeout_ms / 1000)

    def _look_within(self, seconds: float) -> None:
        delay_s = min(max(seconds, SOONEST_S), LOOK_S)
        self._due_at = time.monotonic() + delay_s
        self.timer = self._loop.call_later(delay_s, self._look)

    def limits_changed(self) -> None:
        """Other limits hold from now on, also for what is being scored."""
        if self._has_unset():
            self._look()

    def _has_unset(self) -> bool:
        """Whether there was a timer; there is none any more."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()
        return timer is not None

    def _look(self) -> None:
        self.timer = None
        now = time.monotonic()
        self._forgive(now)
        remaining_s = [self._remaining_s(worker, now) for worker in self._pool.workers if worker.in_flight]
        if self._has_unset():  # an answer to what was overdue has had another request sent
            remaining_s.append(self._pool.limits.scoring_timeout_ms / 1000)
        if remaining_s:
            self._look_within(min(remaining_s))

    def _forgive(self, now: float) -> None:
        """Have the time not count in which this process stood still, too."""
        late_s = now - self._due_at
        if late_s > LATE_S:
            for worker in self._pool.workers:
                worker.replies.head_since = min(now, worker.replies.head_since + late_s)

    def _remaining_s(self, worker: Worker, now: float) -> float:
        """Settle what is overdue; returns the seconds until something of this worker can be overdue next.

        Of requests that are scored together nobody can tell which one takes the time: none of them is settled, and if
        the worker has to be replaced, each is tried alone, and fewer are scored together from then on.
        """
        limits = self._pool.limits
        timeout_s = limits.scoring_timeout_ms / 1000
        grace_s = limits.scoring_grace_ms / 1000
        replies = worker.replies
        if replies.waits_for_client:
            return timeout_s
        held_s = now - replies.head_since
        if held_s < timeout_s:
            return timeout_s - held_s
        for ticket in () if replies.scores_together else replies.overdue:
            if not ticket.settled:
                ticket.settled = True
                time_out(ticket)
                self._pool.limit_log.timed_out()
        if held_s < timeout_s + grace_s:
            return timeout_s + grace_s - held_s
        if replies.scores_together:
            self._pool.batch_size.overran(replies.started_together)
        worker.replace(f"run() did not end within {limits.scoring_timeout_ms + limits.scoring_grace_ms} ms")
        return timeout_s
