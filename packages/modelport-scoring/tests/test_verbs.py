"""Verbs of the control socket that come to no end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from modelport_scoring.control.peers import Peers
from modelport_scoring.control.verbs import Verbs
from modelport_scoring.service import Service
from modelport_scoring.settings.service import Changes, RevisionSettings, ServiceSettings


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
