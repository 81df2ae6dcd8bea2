"""What a server process that follows does with orders that overlap: of a leader that has died, and of the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import msgspec
import pytest

from few_descriptors import room_for
from modelport_scoring.control import leading
from modelport_scoring.control.peers import Done, Order, PeerEndpoint
from modelport_scoring.failures import Failure, GivenUp, StartFailed
from modelport_scoring.processes.backoff import BackOff
from modelport_scoring.revisions import hosting as hostings
from modelport_scoring.revisions.hosting import Hosting
from modelport_scoring.service_folder import peer_socket, write_settings
from modelport_scoring.settings.service import RevisionSettings, ServiceSettings
from modelport_scoring.settings.share import WHOLE, Share
from modelport_scoring.telemetry.telemetry import Telemetry


def hosts(*numbers: int) -> ServiceSettings:
    first, *others = [RevisionSettings(number=each, bundle="/nowhere", interpreter=["python"]) for each in numbers]
    return ServiceSettings(name="demo", workspace="tests", revision=first, others=others)


class Up:
    """A revision whose workers come up when they are let, or are ended."""

    def __init__(self) -> None:
        self.pool = SimpleNamespace(wanted=1, line=Mock())
        self.is_ended = False
        self.goes_on = asyncio.Event()

    async def start(self) -> None:
        await self.goes_on.wait()
        if self.is_ended:
            raise StartFailed(Failure(phase="start", message="killed by signal 9"))

    async def leave_folder(self) -> None: ...


class Follower:
    """One server process, whose workers are made up."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings, self.share = hosts(1), WHOLE
        self.made: list[tuple[int, Up]] = []
        self.gave_up: list[str] = []
        self.ends_slowly = False
        self.hosting = Hosting(
            self, folder=folder, loop=asyncio.get_running_loop(), telemetry=cast(Telemetry, SimpleNamespace())
        )
        self.hosting._earlier = cast(Any, SimpleNamespace(note=lambda _: None))
        self.hosting._draining = cast(
            Any, SimpleNamespace(end=self._end, ended=self._ended, discard=self._discard, retire=Mock())
        )
        self.hosting._has_folders.set()
        monkeypatch.setattr(hostings, "prepare", self._make)
        self._endpoint = PeerEndpoint(
            cast(Any, self), process=1, status=cast(Any, None), give_up=self.gave_up.append, reopened=cast(Any, None)
        )

    async def told(self, do: str, settings: ServiceSettings | None = None) -> Done:
        line, _ = await self._endpoint._answer(msgspec.json.encode(Order(do=do, settings=settings)))
        return msgspec.json.decode(line, type=Done)

    async def settle(self, settings: ServiceSettings) -> None:
        await self._endpoint.settle(settings)

    @property
    def hosted(self) -> list[int]:
        return [each.number for each in self.hosting.all]

    @property
    def prepared(self) -> list[int]:
        return [each.number for each in self.hosting._prepared.all]

    @property
    def started(self) -> list[int]:
        return [number for number, _ in self.made]

    def let_come_up(self) -> None:
        for _, made in self.made:
            made.goes_on.set()

    def adopt(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.hosting.adopt(settings)

    def revisions_changed(self) -> None: ...

    async def _make(self, settings: ServiceSettings, **_: object) -> Up:
        await asyncio.sleep(0)
        self.made.append((settings.revision.number, made := Up()))
        return made

    async def _end(self, revision: Up, timeout_s: float) -> None:
        revision.is_ended = True
        if self.ends_slowly:
            await revision.goes_on.wait()
        revision.goes_on.set()

    async def _discard(self, given_up: list[Any]) -> None:
        await asyncio.gather(*(self._end(each.revision, 0) for each in given_up))

    async def _ended(self, number: int) -> None: ...


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(test(), 20))


async def turns() -> None:
    """Let all others come as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture
def follower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Follower]:
    return lambda: Follower(tmp_path, monkeypatch)


@pytest.mark.parametrize("comes_up", [True, False])
def test_what_was_read_before_does_not_come_last(follower: Callable[[], Follower], comes_up: bool) -> None:
    """A process that has begun brings up what the file said then; meanwhile that revision is released, or a key is
    taken away: which waits for nothing."""

    async def release() -> None:
        process = follower()
        catching_up = asyncio.ensure_future(process.settle(hosts(1, 2)))
        await turns()
        assert process.started == [2]
        assert (await process.told("adopt", hosts(1))).failure is None
        assert process.hosted == [1]
        if not comes_up:
            process.made[0][1].is_ended = True
        process.let_come_up()
        await catching_up
        assert (process.settings, process.hosted, process.prepared, process.gave_up) == (hosts(1), [1], [], [])
        adopting = asyncio.ensure_future(process.told("adopt", hosts(1, 3)))
        await turns()
        process.let_come_up()
        await adopting
        assert process.hosted == [1, 3], "later ones are heard"

    run(release)


def test_nor_does_what_waited_for_others_to_be_given_up(follower: Callable[[], Follower]) -> None:
    async def release() -> None:
        process = follower()
        prepared = asyncio.ensure_future(process.told("prepare", hosts(1, 3)))
        await turns()
        process.ends_slowly = True
        catching_up = asyncio.ensure_future(process.settle(hosts(2, 1)))
        await turns()
        assert process.prepared == []
        adopted = asyncio.ensure_future(process.told("adopt", hosts(1)))
        await turns()
        process.let_come_up()
        await turns()
        process.let_come_up()
        await asyncio.gather(prepared, catching_up, adopted)
        assert (process.hosted, process.prepared, process.gave_up) == ([1], [], [])

    run(release)


@pytest.mark.parametrize("waits", [False, True], ids=["is brought up", "is asked for"])
def test_what_a_dead_leader_had_asked_for_is_given_up(follower: Callable[[], Follower], waits: bool) -> None:
    async def die() -> None:
        process = follower()
        if waits:
            process.hosting._has_folders.clear()
        prepared = asyncio.ensure_future(process.told("prepare", hosts(1, 2)))
        await turns()
        settled = asyncio.ensure_future(process.told("settle", hosts(1)))
        await turns()
        process.hosting._has_folders.set()
        process.let_come_up()
        failure = (await prepared).failure
        assert failure is not None and failure.message == "it was given up"
        assert (await settled).failure is None
        assert (process.hosted, process.prepared, process.gave_up) == ([1], [], [])

    run(die)


def test_what_was_prepared_for_the_settings_in_force_is_kept(follower: Callable[[], Follower]) -> None:
    async def die() -> None:
        process = follower()
        preparing = asyncio.ensure_future(process.told("prepare", hosts(1, 2)))
        await turns()
        process.let_come_up()
        assert (await preparing).failure is None
        await process.told("settle", hosts(2, 1))
        assert (process.hosted, process.prepared, process.started) == ([2, 1], [], [2])

    run(die)


def test_a_verb_that_fails_takes_nothing_from_the_settings_in_force(follower: Callable[[], Follower]) -> None:
    async def fail() -> None:
        process = follower()
        adopted = asyncio.ensure_future(process.told("adopt", hosts(1, 2)))
        await turns()
        await process.told("discard")
        await turns()
        process.let_come_up()
        assert (await adopted).failure is None
        assert (process.hosted, process.started, process.gave_up) == ([1, 2], [2, 2], [])

    run(fail)


def test_what_has_just_come_up_can_be_given_up(follower: Callable[[], Follower]) -> None:
    async def fail() -> None:
        process = follower()
        preparing = asyncio.ensure_future(process.hosting.prepare(hosts(1, 2)))
        await turns()
        process.let_come_up()
        await process.hosting.discard()
        with pytest.raises(GivenUp):
            await preparing
        assert process.prepared == []

    run(fail)


def hosting_one(adopted: list[ServiceSettings]) -> Any:
    """The second server process, which hosts revision 1, and has ready whatever is asked for. ``adopted``: by it."""
    ready = AsyncMock(wants=Mock(return_value=True))
    service = SimpleNamespace(
        settings=hosts(1), share=Share(process=1, processes=2), hosting=ready, adopt=adopted.append
    )
    return SimpleNamespace(service=service, status=None, give_up=None)


@pytest.mark.parametrize("when", ["it begins", "its socket was away"])
def test_it_catches_up_with_what_was_written_while_nobody_could_tell_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    monkeypatch.chdir(tmp_path)
    adopted: list[ServiceSettings] = []
    server = hosting_one(adopted)

    async def catch_up() -> None:
        process = leading.Follower(server)
        await process.open()
        write_settings(tmp_path, hosts(1))
        await process.settle(port=hosts(1).port)
        assert not adopted, "it has these"
        write_settings(tmp_path, hosts(1, 2))
        if when == "it begins":
            await process.settle(port=4000)
        else:
            Path(peer_socket(1)).unlink()
            process.look()
            while not adopted:
                await asyncio.sleep(0.001)
        process.close()

    run(catch_up)
    port = 4000 if when == "it begins" else hosts(1).port
    assert adopted == [msgspec.structs.replace(hosts(1, 2), port=port)]


@pytest.mark.parametrize("do", ["adopt", "settle"])
def test_settings_that_a_fault_of_ours_keeps_from_being_in_force_are_had_by_the_next_one(
    follower: Callable[[], Follower], do: str
) -> None:
    """A key that was taken away would be good here: silence would be taken for our end, and a new beginning."""

    async def fail() -> None:
        process = follower()
        process.adopt = Mock(side_effect=OSError(24, "Too many open files"))  # type: ignore[method-assign]
        faults: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
        assert (await process.told(do, hosts(1))).failure is None
        assert process.gave_up == ["what the settings ask for cannot be had here: [Errno 24] Too many open files"]
        assert [type(each) for each in faults] == [OSError]

    run(fail)


def test_an_order_that_a_fault_of_ours_keeps_from_being_carried_out_is_answered(
    follower: Callable[[], Follower],
) -> None:
    async def fail() -> None:
        process = follower()
        process.hosting.prepare = AsyncMock(side_effect=MemoryError("no room"))  # type: ignore[method-assign]
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        assert (await process.told("prepare", hosts(1))).failure == Failure(
            phase="start", type="MemoryError", message="no room"
        )

    run(fail)


def test_settings_that_cannot_be_read_when_it_catches_up_are_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its leader took it for gone, and relies on its reading them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(leading, "READ_AGAIN_S", 0.001)
    said: list[str] = []
    monkeypatch.setattr(leading, "say", said.append)
    adopted: list[ServiceSettings] = []
    server = hosting_one(adopted)

    async def catch_up() -> None:
        process = leading.Follower(server)
        write_settings(tmp_path, hosts(1, 2))
        with room_for(0):
            catching_up = asyncio.ensure_future(process.settle(port=4000))
            while not said:
                await asyncio.sleep(0.001)
            for _ in range(3):
                await asyncio.sleep(0.002)
            assert not catching_up.done()
        await catching_up

    run(catch_up)
    assert [text.partition(": ")[0] for text in said] == ["the settings of the moment cannot be read yet"]
    assert adopted == [msgspec.structs.replace(hosts(1, 2), port=4000)]


def test_what_is_tried_again_leaves_the_folder_to_what_is_prepared_in_it(
    follower: Callable[[], Follower], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A late revision has the name of its working folder in common with its renewed workers."""
    said: list[str] = []
    monkeypatch.setattr(BackOff, "after", lambda *_: 0.0)
    monkeypatch.setattr(hostings, "say", said.append)

    async def come_late() -> None:
        process = follower()
        late = process.hosting.default
        late.late_failure = Failure(phase="start", message="no room on the disk")
        preparing = asyncio.ensure_future(process.told("prepare", msgspec.structs.replace(hosts(1), warm_up=True)))
        await turns()
        assert process.prepared == [1]
        process.let_come_up()
        await preparing
        coming = asyncio.ensure_future(process.hosting._make_in_the_end(late))
        while len(said) < 3:
            await asyncio.sleep(0)
        assert process.started == [1]
        await process.told("discard")
        await coming
        assert process.started == [1, 1]

    run(come_late)
