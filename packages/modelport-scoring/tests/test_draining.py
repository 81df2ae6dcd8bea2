"""What a revision that ends leaves: its requests are settled, whatever becomes of its folder."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from modelport_scoring.revisions.draining import Draining
from modelport_scoring.workers.ticket import Refusal


class Waiting:
    """A request that no worker has begun with."""

    tied = False

    def __init__(self) -> None:
        self.told: list[Refusal] = []

    def refused(self, refusal: Refusal) -> None:
        self.told.append(refusal)


class Ending:
    """A revision, as far as its end matters, in a folder that cannot be removed."""

    number = 1

    def __init__(self, *waiting: Waiting) -> None:
        self.pool = self
        self._waiting = waiting

    async def drain(self, timeout_s: float) -> list[Waiting]:
        return list(self._waiting)

    async def leave_folder(self) -> None:
        raise RuntimeError("can't start new thread")


class Stopping:
    """Who hosts it; nobody goes on with anything."""

    stopping = True


def test_a_folder_that_stays_keeps_no_request_waiting() -> None:
    waiting = Waiting()

    async def end() -> None:
        draining = Draining(cast(Any, Stopping()), loop=asyncio.get_running_loop())
        await draining.end(cast(Any, Ending(waiting)), 0.0)

    with pytest.raises(RuntimeError, match="thread"):
        asyncio.run(end())
    assert waiting.told == [Refusal.NO_WORKER]
