"""An event loop for tests that wait for seconds in no time."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class Jumping(selectors.SelectSelector):
    """Where nothing is there to be read, it is at once so late that the next timer is due."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is not None:
            self.now += max(timeout, 0.0)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = Jumping()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(test: Callable[[JumpingLoop], Awaitable[None]], *, most_s: float = 10_000.0) -> list[dict[str, Any]]:
    """Run it on such a loop, for so many of its seconds at most; returns what was told to its exception handler."""
    told: list[dict[str, Any]] = []

    async def in_time() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        loop.set_exception_handler(lambda _, context: told.append(context))
        await asyncio.wait_for(test(loop), most_s)

    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(in_time())
    return told
