"""Looking out for the next request where it comes sooner than a sleep takes (ADR 12)."""

from __future__ import annotations

import asyncio
import time

LONGEST_S = 50e-6
"""About what it costs to fall asleep and to be woken by another core. A client on this machine that waits for each
answer sends the next request within a third of it."""


class Alertness:
    """Keeps the event loop from sleeping for a moment after an answer, as long as that pays: the last request came
    within that moment, and alone. With many clients there is always something to do; slow ones are not waited for."""

    __slots__ = ("_given", "_is_looking", "_longest_s", "_loop", "_pays", "_since", "is_idle")

    def __init__(self, loop: asyncio.AbstractEventLoop, *, longest_s: float = LONGEST_S) -> None:
        self.is_idle = False
        """Whether all that came has been answered: then ``request_came`` is to be called for the next one."""
        self._loop = loop
        self._longest_s = longest_s
        self._since = 0.0
        self._given = 0
        self._pays = False
        self._is_looking = False

    def all_answered(self, given: int) -> None:
        """No request is with a worker any more. ``given``: how many there were, from the beginning on."""
        came_alone, self._given = given == self._given + 1, given
        self.is_idle = True
        self._since = time.monotonic()
        if came_alone and self._pays and not self._is_looking:
            self._is_looking = True
            self._loop.call_soon(self._look)

    def request_came(self, now: float) -> None:
        """``now``: by ``time.monotonic``."""
        self.is_idle = False
        self._pays = now - self._since < self._longest_s

    def _look(self) -> None:
        """Have the event loop come here again: with something to do it does not sleep."""
        self._is_looking = self.is_idle and time.monotonic() - self._since < self._longest_s
        if self._is_looking:
            self._loop.call_soon(self._look)
