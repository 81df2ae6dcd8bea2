"""Verbs of the control socket that come to no end, and what they may not change."""

from __future__ import annotations

import asyncio
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest

from modelport_scoring.control.changeable import as_far_as_changeable
from modelport_scoring.control.peers import Peers
from modelport_scoring.control.verbs import Verbs
from modelport_scoring.service import Service
from modelport_scoring.settings.service import Autoscale, Changes, RevisionSettings, ServiceSettings


def revision(number: int) -> RevisionSettings:
    return RevisionSettings(number=number, bundle="/nowhere", interpreter=["python"])


def settings() -> ServiceSettings:
    return ServiceSettings(name="demo", workspace="tests", revision=revision(1))


class Others:
    """The other processes of a service: what they prepared, they have until it is adopted or discarded."""

    def __init__(self) -> None:
        self.has_prepared = False

    def prepare(self, settings: ServiceSettings) -> list[Any]:
        async def prepare() -> None:
            self.has_prepared = True

        return [prepare()]

    async def discard(self) -> None:
        self.has_prepared = False


def test_whatever_goes_wrong_leaves_nothing_prepared() -> None:
    """No memory, for one, while the own process prepares; another verb can be asked for afterwards."""
    discarded = []

    async def no_memory(_: ServiceSettings) -> None:
        await asyncio.sleep(0)
        raise MemoryError

    async def discard() -> None:
        discarded.append(True)

    hosting = SimpleNamespace(
        stopping=False, default=SimpleNamespace(number=1), others={}, prepare=no_memory, discard=discard
    )
    others: Any = Others()
    service: Any = SimpleNamespace(hosting=hosting, settings=settings())
    peers: Peers = others
    running: Service = service
    verbs = Verbs(running, peers)
    with pytest.raises(MemoryError):
        asyncio.run(verbs.switch(revision(2), replacing=None, changes=Changes()))
    assert discarded and not others.has_prepared
    assert not verbs.is_busy


@pytest.mark.parametrize("who", ["own", "others"])
def test_a_release_waits_for_the_end_of_the_revision_in_all_processes(who: str) -> None:
    """Whoever asked for it may remove the bundle then."""

    async def release() -> None:
        has_ended = {"own": asyncio.Event(), "others": asyncio.Event()}
        for other in {*has_ended} - {who}:
            has_ended[other].set()

        async def ended(where: str, number: int) -> None:
            assert number == 2
            await has_ended[where].wait()

        one, two = SimpleNamespace(number=1), SimpleNamespace(number=2)
        hosting = SimpleNamespace(stopping=False, default=one, find=lambda _: two, ended=partial(ended, "own"))
        service: Any = SimpleNamespace(hosting=hosting, settings=settings(), put_in_force=lambda _: None)
        peers: Any = SimpleNamespace(ended=partial(ended, "others"), adopt=AsyncMock())
        verbs = Verbs(service, peers)
        releasing = asyncio.create_task(verbs.release(2))
        await asyncio.sleep(0.01)
        assert not releasing.done() and not verbs.is_busy
        peers.adopt.assert_awaited_once()
        has_ended[who].set()
        await asyncio.wait_for(releasing, 20)

    asyncio.run(release())


def test_of_a_revision_that_keeps_its_number_its_size_and_limits_change_and_nothing_else() -> None:
    now = msgspec.structs.replace(settings(), port=4000, others=[revision(2)])
    changes: dict[str, Any] = {"workers": 3, "autoscale": Autoscale(max_workers=7), "limits": {"queue_wait_ms": 5.0}}
    same = msgspec.structs.replace(revision(1), **changes)
    wanted = msgspec.structs.replace(
        now, port=0, name="other", revision=revision(3), others=[msgspec.structs.replace(same, bundle="/elsewhere")]
    )
    merged, kept = as_far_as_changeable(now, wanted)
    assert kept == ["name", "bundle of revision 1"]
    assert merged == msgspec.structs.replace(now, revision=revision(3), others=[same])
