"""Kill registrations, and look at what they leave.

``killing.py <database> <workspace> <folder> random <times>`` kills a process that registers in a loop, at random
moments; ``… calls`` kills one at every call into the system or the database that a registration makes. After each kill
the next process opens the workspace, which must be whole, before it is killed itself. Prints the number of kills.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from modelport.domain.models import ModelDraft, ModelFile, ModelFilter
from modelport.domain.progress import Silent
from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.interface import MetadataStore, ObjectStore
from modelport.storage.objects import open_objects
from modelport.storage.sql import open_sql

TOUCHES_THE_SYSTEM = {"posix", "fcntl", "_io"}


class Workspace:
    def __init__(self, database: str, name: str, folder: Path) -> None:
        self.registry: MetadataStore = open_sql(database, workspace=name)
        self.root = folder / "objects"
        self.objects: ObjectStore = open_objects(self.root, referenced=self.registry.referenced_objects)
        self.objects.sweep(self.registry)

    def register(self, sources: list[Path]) -> None:
        with self.objects.stage() as staging:
            files = [(path, staging.add_file(path, label="f", progress=Silent())) for path in sources]
            kept = tuple(ModelFile(path.name, size, digest) for path, (digest, size) in files)
            self.registry.add_model(ModelDraft(name="m", files=kept, is_folder=True))
            staging.commit()

    def check(self) -> None:
        """Every version is whole and next to the one before, and there is no file besides theirs."""
        models = self.registry.models(ModelFilter())
        assert [model.version for model in models] == list(range(len(models), 0, -1)), models
        assert len(self.registry.events(limit=10**6)) == len(models) + 1
        assert all(len(model.files) == 2 for model in models), models
        wanted = {file.sha256 for model in models for file in model.files}
        there = {path.name for path in self.root.rglob("*") if path.is_file()}
        assert there == wanted, f"strays: {there - wanted}, lost: {wanted - there}"
        assert not list((self.root / "staging").iterdir())
        for digest in wanted:
            assert hashlib.sha256(b"".join(self.objects.open(digest))).hexdigest() == digest


def in_child(work: Callable[[], None]) -> int:
    """Run in a process of its own; returns its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
        os._exit(0)
    return child


def ended(child: int) -> bool:
    """Wait; whether it was killed. Raises where it failed by itself: the workspace that it found was not whole."""
    _, status = os.waitpid(child, 0)
    assert status == 0 or os.WIFSIGNALED(status)
    return os.WIFSIGNALED(status)


def new_sources(folder: Path, number: int) -> list[Path]:
    """One file that every registration has, and one, of some pieces, that is new each time."""
    shared, own = folder / "shared", folder / "own"
    shared.write_bytes(b"shared")
    own.write_bytes(number.to_bytes(8, "big") * 200_000)
    return [shared, own]


def at_random(open_whole_workspace: Callable[[], Workspace], folder: Path, times: int) -> int:
    for number in range(times):
        first = number * 1000

        def loop(first: int = first) -> None:
            workspace = open_whole_workspace()
            for number in range(first, first + 1000):
                workspace.register(new_sources(folder, number))

        child = in_child(loop)
        time.sleep(random.uniform(0, 0.2))
        os.kill(child, signal.SIGKILL)
        ended(child)
    return times


def at_every_call(open_whole_workspace: Callable[[], Workspace], folder: Path) -> int:
    """Kill at the first call, at the second, … until a registration gets through."""
    kills = 0
    while True:

        def once(at: int = kills) -> None:
            workspace = open_whole_workspace()
            sources = new_sources(folder, at)
            sys.setprofile(_killer(at))
            workspace.register(sources)
            sys.setprofile(None)

        if not ended(in_child(once)):
            return kills
        kills += 1


def _killer(at: int) -> Callable[[FrameType, str, Any], None]:
    calls = 0

    def profile(frame: FrameType, event: str, called: Any) -> None:
        nonlocal calls
        if event == "c_call" and _touches_the_system(called):
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            calls += 1

    return profile


def _touches_the_system(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    return called.__module__ in TOUCHES_THE_SYSTEM or isinstance(owner, sqlite3.Connection | sqlite3.Cursor)


def main(database: str, name: str, folder_name: str, how: str, times: str = "0") -> None:
    folder = Path(folder_name)
    store = open_sql(database, workspace=name)
    store.create_workspace(WorkspaceRecord(name=name, id="i", created_time=dt.datetime.now(dt.UTC)))
    store.close()

    def open_whole_workspace() -> Workspace:
        workspace = Workspace(database, name, folder)
        workspace.check()
        return workspace

    kill = at_every_call if how == "calls" else partial(at_random, times=int(times))
    kills = kill(open_whole_workspace, folder)
    ended(in_child(lambda: open_whole_workspace().registry.close()))
    print(kills)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
