"""The time of the event loop, of which one turn gives reading only so much.

Thousands of clients that send long heads at once would else be seen to in one turn, and all others, whose requests cost
little, wait for its end: three times until each has its answer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

TURN_S = 0.003
"""Of parsing within one turn of the event loop, and as much again of what waits for it."""

SHORT_BYTES = 2048
"""What is no longer goes before the rest: heads of honest clients are."""

MOST_WAITING_BYTES = 256 * 1024 * 1024
"""Beyond that what comes is parsed when it comes. All the heads that may be unfinished take as much."""

Line = deque[tuple[Callable[[], None], int]]


class Turns:
    """Who is to be parsed now, and who in a later turn of the event loop: the short ones first, each in its order."""

    def __init__(
        self,
        *,
        call_soon: Callable[[Callable[[], None]], Any],
        turn_s: float = TURN_S,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """``call_soon``: have something called in the loop's next turn."""
        self._call_soon = call_soon
        self.turn_s = turn_s
        self.clock = clock
        self._spent_s = 0.0
        """Since the line was empty. That may be many turns: once in so many heads, one waits that need not."""
        self._short: Line = deque()
        self._long: Line = deque()
        self._waiting_bytes = 0
        self._is_taking = False

    @property
    def has_time(self) -> bool:
        """Whether what has come may be parsed now; else it has to wait for its turn, by ``take_later``."""
        if self._is_taking:
            return True
        if self._short or self._long:
            return self._waiting_bytes >= MOST_WAITING_BYTES
        return self._spent_s < self.turn_s

    def spent(self, since: float) -> None:
        """Parsing has taken the time from that one of ``clock`` on."""
        self._spent_s += self.clock() - since

    def take_later(self, take: Callable[[], None], size: int) -> None:
        """Have it called in its turn: so many bytes wait to be parsed."""
        if not (self._short or self._long or self._is_taking):
            self._call_soon(self._take)
        (self._short if size <= SHORT_BYTES else self._long).append((take, size))
        self._waiting_bytes += size

    def _take(self) -> None:
        until = self.clock() + self.turn_s
        self._is_taking = True
        try:
            if self._long:  # one in each turn: so many short ones may come that it would never be theirs
                self._take_first(self._long)
            while line := self._short or self._long:
                self._take_first(line)
                if self.clock() >= until:
                    return
        finally:
            self._is_taking = False
            self._spent_s = 0.0
            if self._short or self._long:
                self._call_soon(self._take)

    def _take_first(self, line: Line) -> None:
        take, size = line.popleft()
        self._waiting_bytes -= size
        take()
