"""Workers of a revision whose end comes before their beginning, and those that a fault of ours keeps from beginning."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.logs.journal import Journal
from modelport_scoring.processes.backoff import BackOff
from modelport_scoring.workers.batch_size import BatchSize
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.group import WorkerGroup
from modelport_scoring.workers.launch import Launch
from modelport_scoring.workers.process import SpawnedProcesses
from modelport_scoring.workers.worker import Worker
from scoring_services import PATIENCE_S


class Nobody:
    """An owner that is told nothing here."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody is to be told {name}")


def test_a_start_after_the_end_fails_and_does_not_wait(tmp_path: Path) -> None:
    """As when a service is stopped while the files of its revision are being prepared."""

    async def start_and_end() -> None:
        launch = Launch(
            command=(sys.executable,), environment={}, cwd=tmp_path, log=tmp_path / "log", start_timeout_s=5
        )
        group = WorkerGroup(launch, size=2, loop=asyncio.get_running_loop(), owner=Nobody())
        starting = asyncio.ensure_future(group.start())
        group.close()
        group.stop_starting()
        await group.end(patience_s=0.0)
        with pytest.raises(StartFailed, match="stopped before it had started"):
            await asyncio.wait_for(starting, 5)

    asyncio.run(start_and_end())


class Told(Nobody):
    """An owner that notes which failures it is told of."""

    def __init__(self, launch: Launch) -> None:
        self.failures: list[str] = []
        self.batch_size = BatchSize(launch.together, journal=Journal(launch.log))

    def worker_failed(self, failure: Failure) -> None:
        self.failures.append(failure.message)

    def worker_restarted(self) -> None:
        """It is tried again."""


IDLE = """
import mmap, socket, sys
from modelport_worker.frames import MEMORY_SIZE, READY, STARTED, pack
page = mmap.mmap(int(sys.argv[sys.argv.index("--page") + 1]), MEMORY_SIZE)
STARTED.pack_into(page, 0, int(sys.argv[1]), int(sys.argv[1]))
link = socket.socket(fileno=int(sys.argv[sys.argv.index("--socket") + 1]))
link.sendall(pack(0, READY, b'{"input": "text"}'))
link.recv(1)
"""
"""A worker that is ready, has begun with so many requests, and waits until it is told to stop."""


class Seen(Told):
    """An owner that knows its workers, which get no requests."""

    def __init__(self, launch: Launch) -> None:
        super().__init__(launch)
        self.came: list[Worker] = []

    def worker_ready(self, worker: Worker, contract: Contract) -> None:
        self.came.append(worker)

    def worker_ended(self, worker: Worker) -> None:
        """It held nothing."""

    def has_room(self, worker: Worker) -> None:
        """It gets nothing."""


class Faulty(Seen):
    """An owner with a fault in what it does once a worker is there, or has ended."""

    def worker_ready(self, worker: Worker, contract: Contract) -> None:
        super().worker_ready(worker, contract)
        raise MemoryError("not a byte")

    def worker_ended(self, worker: Worker) -> None:
        raise MemoryError("not a byte")


async def kill_the_first(folder: Path, kind: type[Seen], *, begun_with: int = 0) -> None:
    """A worker of the group is killed, and followed by another one."""
    launch = Launch(
        command=(sys.executable, "-c", IDLE, str(begun_with)),
        environment={},
        cwd=folder,
        log=folder / "log",
        start_timeout_s=PATIENCE_S,
    )
    owner = kind(launch)
    group = WorkerGroup(launch, size=1, loop=asyncio.get_running_loop(), owner=owner)
    await group.start()
    owner.came[0].kill()
    while len(owner.came) < 2:
        await asyncio.sleep(0.01)
    group.close()
    await group.end(patience_s=PATIENCE_S)


def test_whatever_goes_wrong_when_a_worker_comes_or_goes_costs_no_place(tmp_path: Path) -> None:
    async def kill() -> None:
        faults: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
        await kill_the_first(tmp_path, Faulty)
        assert len(faults) == 4
        text = "the requests of a worker that came or went could not be seen to"
        assert {fault["message"] for fault in faults} == {text}

    asyncio.run(asyncio.wait_for(kill(), 3 * PATIENCE_S))


@pytest.mark.parametrize(("begun_with", "was_of_use"), [(1, False), (2, True)])
def test_a_worker_that_got_on_to_a_second_request_was_of_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun_with: int, was_of_use: bool
) -> None:
    told: list[bool] = []

    def after(_: BackOff, lived_s: float, *, was_of_use: bool) -> float:
        told.append(was_of_use)
        return 0.0

    monkeypatch.setattr(BackOff, "after", after)
    asyncio.run(asyncio.wait_for(kill_the_first(tmp_path, Seen, begun_with=begun_with), 3 * PATIENCE_S))
    assert told == [was_of_use]


def test_only_lives_without_use_are_followed_by_longer_and_longer_waits() -> None:
    backoff = BackOff()
    waits = [backoff.after(0.0) for _ in range(11)]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]
    assert (backoff.after(1.0, was_of_use=True), backoff.after(1.0), backoff.after(10.0)) == (0.1, 0.2, 0.1)


@pytest.mark.parametrize("step", ["process", "link"])
def test_whatever_goes_wrong_at_a_start_costs_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    async def no_memory(*_: object, **__: object) -> None:
        raise MemoryError("not a byte")

    async def start() -> None:
        loop = asyncio.get_running_loop()
        if step == "process":
            monkeypatch.setattr(SpawnedProcesses, "start", no_memory)
        else:
            monkeypatch.setattr(loop, "create_unix_connection", no_memory)
        faults: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: faults.append(context))
        launch = Launch(
            command=(sys.executable,), environment={}, cwd=tmp_path, log=tmp_path / "log", start_timeout_s=5
        )
        owner = Told(launch)
        group = WorkerGroup(launch, size=1, loop=loop, owner=owner)
        starting = asyncio.ensure_future(group.start(is_proven=True))
        while len(owner.failures) < 2:
            await asyncio.sleep(0.01)
        group.close()
        await group.end(patience_s=0.0)
        with pytest.raises(StartFailed, match="not a byte"):
            await starting
        assert {fault["message"] for fault in faults} == {"a worker could not be started"}

    asyncio.run(asyncio.wait_for(start(), 20))
