"""Workers that cannot be started or watched, since the system refuses the server what that takes, or whose template's
end or whose own comes in that moment: nothing of them is left, neither a process nor a descriptor."""

from __future__ import annotations

import asyncio
import dataclasses
import errno
import gc
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from few_descriptors import room_for
from modelport_scoring.bundle import WorkingFolder
from modelport_scoring.failures import Failure, StartFailed
from modelport_scoring.processes.status import PARENT, STATE, read_status
from modelport_scoring.revisions.revision import remove
from modelport_scoring.settings.service import WorkerStart
from modelport_scoring.workers import template as templates
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.forked import ForkedProcesses
from modelport_scoring.workers.group import WorkerGroup
from modelport_scoring.workers.launch import Launch, worker_command
from modelport_scoring.workers.page import SharedPage
from modelport_scoring.workers.process import SpawnedProcess, SpawnedProcesses
from modelport_scoring.workers.template import Template
from modelport_scoring.workers.worker import Worker
from scoring_services import PATIENCE_S
from test_worker_group import Told

SCRIPT = """
import os, time
def init():
    os.register_at_fork(after_in_child=lambda: time.sleep(600))
def run(x):
    return x
"""
"""Its forks do not see that their link is closed."""


def open_descriptors() -> list[str]:
    gc.collect()  # what earlier tests have left
    return sorted(path.name for path in Path("/proc/self/fd").iterdir())


def children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """Of a script whose forks hang."""
    (tmp_path / "score.py").write_text(SCRIPT)
    return Launch(
        command=worker_command([sys.executable]),
        environment={**os.environ, "AML_APP_ROOT": str(tmp_path), "AZUREML_ENTRY_SCRIPT": "score.py"},
        cwd=tmp_path,
        log=tmp_path / "log",
        start_timeout_s=PATIENCE_S,
    )


def refuse(*_: object) -> None:
    raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def test_memory_that_cannot_be_mapped_keeps_no_descriptor() -> None:
    before = open_descriptors()
    with room_for(1), pytest.raises(OSError, match="Too many open files"):
        SharedPage()
    assert open_descriptors() == before


def test_a_worker_that_cannot_be_watched_is_ended(launch: Launch) -> None:
    before, children = open_descriptors(), children_of(os.getpid())

    async def start() -> None:
        loop = asyncio.get_running_loop()
        process = SpawnedProcess(launch)
        loop.add_reader = refuse  # type: ignore[method-assign, assignment]
        with pytest.raises(OSError, match="memory"):
            process.watch(loop, ended=lambda: None)

    asyncio.run(start())
    assert children_of(os.getpid()) == children
    assert open_descriptors() == before


@pytest.mark.parametrize("refused", [1, 2])
def test_a_template_that_cannot_be_watched_is_ended(launch: Launch, refused: int) -> None:
    """Its process, or its link."""
    before, children = open_descriptors(), children_of(os.getpid())

    async def start() -> None:
        loop = asyncio.get_running_loop()
        add, calls = loop.add_reader, iter(range(1, 3))

        def add_or_refuse(*arguments: Any) -> None:
            (refuse if next(calls) == refused else add)(*arguments)

        loop.add_reader = add_or_refuse  # type: ignore[method-assign, assignment]
        with pytest.raises(StartFailed, match="could not be started: Cannot allocate memory"):
            Template(launch, loop=loop)
        while children_of(os.getpid()) != children:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(start(), PATIENCE_S))
    assert open_descriptors() == before


@pytest.mark.parametrize("step", ["parent_of", "ProcessGroup"])
def test_a_fork_that_cannot_be_watched_is_ended_and_collected(
    launch: Launch, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """By the template: it hangs, and does not see that its link is closed."""

    async def fork() -> None:
        template = Template(launch, loop=asyncio.get_running_loop())
        await template.ready()
        monkeypatch.setattr(templates, step, refuse)
        with pytest.raises(StartFailed, match="could not be forked: Cannot allocate memory"):
            await template.fork()
        while children_of(template._process.pid):
            await asyncio.sleep(0.01)
        assert template.is_usable
        await template.end()

    before = open_descriptors()
    asyncio.run(asyncio.wait_for(fork(), PATIENCE_S))
    assert open_descriptors() == before


def test_a_template_that_has_ended_unnoticed_costs_no_start(launch: Launch) -> None:
    """The next one is asked for in the moment of its end."""

    before = open_descriptors()

    async def start_twice() -> None:
        source = ForkedProcesses(launch, loop=asyncio.get_running_loop())
        first = await source.start()
        template = source._templates[0]._process.pid
        os.kill(template, signal.SIGKILL)
        while read_status(template)[STATE] != "Z":
            time.sleep(0.001)  # the event loop does not turn
        second = await source.start()
        assert int(read_status(second.pid)[PARENT]) not in (template, os.getpid())
        for process in (first, second):
            has_ended = asyncio.Event()
            process.watch(asyncio.get_running_loop(), ended=has_ended.set)
            process.kill()
            await has_ended.wait()
            process.socket.close()
            process.page.close()
        await source.end()

    asyncio.run(asyncio.wait_for(start_twice(), PATIENCE_S))
    assert open_descriptors() == before


class Counting(Told):
    """An owner that is told of workers too."""

    def worker_ready(self, worker: Worker, contract: Contract) -> None: ...

    def worker_leaves(self, worker: Worker) -> None: ...

    def worker_ended(self, worker: Worker) -> None: ...

    def has_room(self, worker: Worker) -> None: ...


class OneOnly(SpawnedProcesses):
    """Starts one, and no more."""

    started = 0

    async def start(self) -> SpawnedProcess:
        self.started += 1
        if self.started > 1:
            raise StartFailed(Failure(phase="start", message="no room"))
        return await super().start()


def test_why_a_worker_did_not_start_goes_with_its_place(launch: Launch) -> None:
    async def grow_and_shrink() -> None:
        group = WorkerGroup(launch, size=2, loop=asyncio.get_running_loop(), owner=Counting(launch))
        group._processes = OneOnly(launch)

        def has_failed() -> bool:
            return group.failure is not None

        await group.start()
        while len(group.workers) > 1 or not has_failed():
            await asyncio.sleep(0.01)
        group.resize(1)
        assert not has_failed()
        group.close()
        await group.end(patience_s=PATIENCE_S)

    asyncio.run(asyncio.wait_for(grow_and_shrink(), PATIENCE_S))


FORKS_WHEN_TOLD = """
import os, pathlib, time
def before():
    pathlib.Path("asked").touch()
    while not pathlib.Path("told").exists():
        time.sleep(0.01)
def init():
    os.register_at_fork(before=before, after_in_child=lambda: time.sleep(600))
def run(x):
    return x
"""


def test_a_stop_does_not_wait_for_the_warm_up_of_a_late_fork(launch: Launch) -> None:
    (launch.cwd / "score.py").write_text(FORKS_WHEN_TOLD)
    launch = dataclasses.replace(launch, start=WorkerStart.FORK, warm_up=True, start_timeout_s=600.0)

    async def start_and_stop() -> None:
        group = WorkerGroup(launch, size=1, loop=asyncio.get_running_loop(), owner=Told(launch))
        starting = asyncio.ensure_future(group.start())
        while not (launch.cwd / "asked").exists():
            await asyncio.sleep(0.01)
        group.close()
        group.stop_starting()
        ending = asyncio.ensure_future(group.end(patience_s=0.0))
        await asyncio.sleep(0)  # it has ended the workers that there are
        (launch.cwd / "told").touch()
        await ending
        with pytest.raises(StartFailed):
            await starting

    asyncio.run(asyncio.wait_for(start_and_stop(), PATIENCE_S))


def test_a_working_folder_that_cannot_be_removed_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = WorkingFolder(tmp_path / "1")
    folder.app.mkdir(parents=True)

    async def remove_with_few() -> None:
        await asyncio.to_thread(lambda: None)  # there is a thread
        with room_for(0):
            await remove(folder)

    asyncio.run(remove_with_few())
    assert folder.app.exists()
    assert f"what is left at {tmp_path / '1'} is not removed yet" in capfd.readouterr().err
    asyncio.run(remove(folder))
    assert not folder.app.exists()
    assert not capfd.readouterr().err
