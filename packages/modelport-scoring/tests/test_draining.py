"""What a revision that ends leaves: its requests are settled, or go on elsewhere, whatever becomes of its folder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from modelport_scoring.revisions.draining import Draining
from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.service import Service
from modelport_scoring.settings.service import Limits, RevisionSettings, ServiceSettings
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.tracer import Described
from modelport_scoring.workers.ticket import Refusal


class Waiting:
    """A request that no worker has begun with. ``tied``: only that revision may answer it."""

    def __init__(self, *, tied: bool = False) -> None:
        self.tied = tied
        self.told: list[Refusal] = []

    def refused(self, refusal: Refusal) -> None:
        self.told.append(refusal)


class Running:
    """A revision, its workers, and its place in a service: as far as its end matters."""

    limits = Limits()

    def __init__(self, number: int, *waiting: Waiting) -> None:
        self.number = number
        self.pool = self.revision = self
        self.waiting = list(waiting)
        self.is_done = asyncio.Event()
        self.is_hurried = False

    def take_over(self, tickets: Sequence[Waiting]) -> None:
        self.waiting += tickets

    def hand_over(self) -> list[Waiting]:
        waiting, self.waiting = self.waiting, []
        return waiting

    async def drain(self, timeout_s: float) -> list[Waiting]:
        await self.is_done.wait()
        return self.hand_over()

    def hurry(self) -> None:
        self.is_hurried = True
        self.is_done.set()

    async def leave_folder(self) -> None: ...


class InLockedFolder(Running):
    """One whose folder cannot be removed."""

    async def leave_folder(self) -> None:
        raise RuntimeError("can't start new thread")


class Hosting:
    """Who hosts revisions, the default one first."""

    stopping = False

    def __init__(self, *hosted: Running) -> None:
        self.all = hosted
        self.default = hosted[0]


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


def draining(*hosted: Running, stopping: bool = False) -> Any:
    """Typed as what takes the stand-ins."""
    owner = Hosting(*hosted)
    owner.stopping = stopping
    return Draining(cast(Any, owner), loop=asyncio.get_running_loop())


class Unlucky(Waiting):
    """There is no memory to make its answer."""

    def refused(self, refusal: Refusal) -> None:
        raise MemoryError

    def lost(self) -> None:
        raise MemoryError


def test_a_request_that_cannot_be_told_keeps_no_other_waiting() -> None:
    async def end() -> None:
        waiting = [Unlucky(), Waiting(), Unlucky(tied=True), Waiting(tied=True)]
        ending = Running(1, *waiting)
        ending.is_done.set()
        await draining(ending, stopping=True).end(ending, 0.0)
        assert [each.told for each in waiting] == [[], [Refusal.NO_WORKER]] * 2

    run(end)


def test_a_folder_that_stays_keeps_no_request_waiting() -> None:
    async def end() -> None:
        waiting = Waiting()
        ending = InLockedFolder(1, waiting)
        ending.is_done.set()
        with pytest.raises(RuntimeError, match="thread"):
            await draining(Running(2), ending, stopping=True).end(ending, 0.0)
        assert waiting.told == [Refusal.NO_WORKER]

    run(end)


@pytest.mark.parametrize("is_hosted", [True, False])
def test_what_waits_goes_on_elsewhere_but_for_what_only_one_may_answer(is_hosted: bool) -> None:
    async def retire() -> None:
        free, tied = Waiting(), Waiting(tied=True)
        default, successor, ending = Running(1), Running(3), Running(2, free, tied)
        draining_ = draining(default, *([successor] if is_hosted else []))
        draining_.retire(ending, successor=successor)
        heir = successor if is_hosted else default
        assert (heir.waiting, ending.waiting) == ([free], [tied])
        late, late_tied = Waiting(), Waiting(tied=True)
        ending.take_over([late, late_tied])
        ending.is_done.set()
        await draining_.all_ended()
        assert heir.waiting == [free, late]
        assert [each.told for each in (free, late, tied, late_tied)] == [[], [], *[[Refusal.NO_WORKER]] * 2]

    run(retire)


def test_the_same_revision_with_other_workers_answers_all_of_it() -> None:
    async def retire() -> None:
        waiting = [Waiting(), Waiting(tied=True)]
        renewed, ending = Running(2), Running(2, *waiting)
        draining(Running(1), renewed).retire(ending, successor=renewed)
        assert (renewed.waiting, ending.waiting) == (waiting, [])

    run(retire)


def test_what_waits_for_the_same_revision_goes_to_the_workers_that_it_has_by_then() -> None:
    """They were replaced a second time while the first ones were ending."""

    async def retire() -> None:
        default, first, second, third = Running(1), Running(2), Running(2), Running(2)
        draining_ = draining(default, second)
        draining_.retire(first, successor=second)
        draining_._owner.all = (default, third)
        left = [Waiting(), Waiting(tied=True)]
        first.take_over(left)
        first.is_done.set()
        await draining_.all_ended()
        assert third.waiting == left

    run(retire)


def test_the_end_of_a_number_is_waited_for_and_can_be_hurried() -> None:
    async def end() -> None:
        first, again, other = Running(2), Running(2), Running(3)
        draining_ = draining(Running(1))
        for each in (first, again, other):
            draining_.retire(each, successor=None)
        waits = asyncio.create_task(draining_.ended(2))
        waits_for_all = asyncio.create_task(draining_.all_ended())
        first.is_done.set()
        await asyncio.sleep(0.01)
        assert not waits.done()
        again.is_done.set()
        await waits
        assert not waits_for_all.done()
        draining_.hurry()
        await waits_for_all
        assert [each.is_hurried for each in (first, again, other)] == [False, False, True], "two have ended before"

    run(end)


@pytest.mark.parametrize("has_time", [True, False])
def test_a_stop_waits_for_what_was_released_before(tmp_path: Path, has_time: bool) -> None:
    """As long as for the others, and no longer."""

    async def stop() -> None:
        first, second = (RevisionSettings(number=each, bundle="/", interpreter=["python"]) for each in (1, 2))
        settings = ServiceSettings(name="demo", workspace="tests", revision=first)
        telemetry = Telemetry(TelemetrySettings(), service=Described("demo"))
        service = Service(settings, folder=tmp_path, loop=asyncio.get_running_loop(), telemetry=telemetry)
        ending: Any = Running(2)
        service.hosting.others[2] = Hosted(second, options=settings.worker_options, revision=ending)
        service.adopt(settings)
        stopping = asyncio.create_task(service.stop(drain_timeout_s=60.0 if has_time else 0.0))
        if has_time:
            await asyncio.sleep(0.01)
            assert not stopping.done()
            ending.is_done.set()
        await stopping
        assert ending.is_done.is_set() and ending.is_hurried is not has_time

    run(stop)


def test_what_is_given_up_is_waited_for_by_who_takes_its_folder() -> None:
    """As where a leader has died: what it had prepared ends while the next one asks for the same revision."""

    async def bring_up_again() -> None:
        given_up = Running(2)
        draining_ = draining(Running(1))
        discarding = asyncio.ensure_future(draining_.discard([given_up]))
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(draining_.ended(2))
        await asyncio.sleep(0)
        assert not waiting.done()
        given_up.is_done.set()
        await asyncio.gather(discarding, waiting)

    run(bring_up_again)
