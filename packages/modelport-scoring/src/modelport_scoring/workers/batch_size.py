"""How many requests may be scored by one call of ``run()``: fewer, for a while, where that took too long."""

from __future__ import annotations

import time
from collections.abc import Callable

from modelport_scoring.logs.journal import Journal

SHORTEST_HOLD_S = 10.0
LONGEST_HOLD_S = 600.0
"""How long a smaller batch is kept before twice as many are tried."""


class BatchSize:
    """One for all workers of a pool. A worker that is ended because a batch took too long halves it; where even two are
    too many, each request is scored alone. It recovers step by step, the more slowly the more often it failed to."""

    def __init__(self, largest: int, *, journal: Journal, now: Callable[[], float] = time.monotonic) -> None:
        self.largest = largest
        """What the settings allow; 1: nothing is ever scored together."""
        self.size = largest
        self._journal = journal
        self._now = now
        self._hold_s = SHORTEST_HOLD_S
        self._changed_at = now()
        self._has_grown = False

    def overran(self, count: int) -> None:
        """So many requests took too long together."""
        if self.size == self.largest and self._now() - self._changed_at > LONGEST_HOLD_S:
            self._hold_s = SHORTEST_HOLD_S  # it went well for long
        elif self._has_grown:
            self._hold_s = min(2 * self._hold_s, LONGEST_HOLD_S)
        self._has_grown = False
        self._change(max(1, min(self.size, count) // 2))

    def recover(self) -> None:
        """Try twice as many, if it is time for that. Called now and then while ``size`` is less than ``largest``."""
        if self._now() - self._changed_at >= self._hold_s:
            self._has_grown = True
            self._change(min(2 * self.size, self.largest))

    def _change(self, size: int) -> None:
        self.size = size
        self._changed_at = self._now()
        self._journal.write(
            f"modelport: requests are scored alone for at least {self._hold_s:g} s"
            if size == 1
            else f"modelport: {size} requests at most are scored together"
        )
