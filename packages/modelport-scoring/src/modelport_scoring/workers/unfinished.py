"""What a pool has to finish before its workers end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial


class Unfinished:
    """Tells whoever waits for it that no request is left: neither in the pool nor away from it."""

    __slots__ = ("_finished", "_holds_any", "_loop", "away", "is_awaited")

    def __init__(self, holds_any: Callable[[], bool], *, loop: asyncio.AbstractEventLoop) -> None:
        """``holds_any``: whether a worker has a request, or one waits that a worker could take."""
        self.away = 0
        """Requests that are on neither side for now, and come back."""
        self.is_awaited = False
        """Whether somebody waits: then ``look`` is to be called when there may be none left."""
        self._holds_any = holds_any
        self._loop = loop
        self._finished: asyncio.Future[None] | None = None

    def expect(self, away: asyncio.Future[None], *, back: Callable[[], None]) -> None:
        """A request is on neither side until that is done; then ``back`` is called."""
        self.away += 1
        away.add_done_callback(partial(self._came_back, back))

    async def none(self, *, timeout_s: float) -> None:
        """Wait until no request is left, at most so long."""
        self.is_awaited = True
        self._finished = self._loop.create_future()
        self.look()
        await asyncio.wait([self._finished], timeout=timeout_s)

    def _came_back(self, back: Callable[[], None], _: asyncio.Future[None]) -> None:
        self.away -= 1
        back()
        self.look()

    def look(self) -> None:
        """Requests may have been finished."""
        if self.is_awaited and not self.away and not self._holds_any():
            self.hurry()

    def hurry(self) -> None:
        """Have nobody wait any longer: what is left is lost."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)
