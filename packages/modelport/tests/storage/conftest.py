from __future__ import annotations

import itertools
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from modelport.storage.interface import MetadataStore
from modelport.storage.memory import MemoryStore
from modelport.storage.sql import open_sql

from . import samples
from .postgresql_server import running_postgresql

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real server."""
    with running_postgresql() as url:
        yield url


@pytest.fixture
def new_postgresql_database(postgresql: str) -> Iterator[str]:
    """The URL of an empty database."""
    name = f"empty_{next(_numbers)}"
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield postgresql.replace("/postgres?", f"/{name}?")
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The path or URL of a database without tables, on each of the databases."""
    if request.param == "sqlite":
        return str(tmp_path / "workspace.db")
    url: str = request.getfixturevalue("new_postgresql_database")
    return url


Opener = Callable[[], MetadataStore]


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same workspace, not created yet, as often as it is called; in memory, there is one store."""
    name = f"workspace-{next(_numbers)}"
    with ExitStack() as closing:
        if request.param == "memory":
            twin = MemoryStore(workspace=name)
            yield lambda: twin
            return
        on_sqlite = request.param == "sqlite"
        location = tmp_path / "workspace.db" if on_sqlite else request.getfixturevalue("postgresql")

        def opened() -> MetadataStore:
            store = open_sql(location, workspace=name)
            closing.callback(store.close)
            return store

        yield opened


@pytest.fixture
def store(open_store: Opener) -> MetadataStore:
    """A created workspace, in each of the stores."""
    store = open_store()
    store.create_workspace(samples.record(workspace_of(store)))
    return store


def workspace_of(store: MetadataStore) -> str:
    """The name that the fixture gave."""
    name = getattr(store, "_workspace", None) or getattr(store, "_name", None)
    assert isinstance(name, str)
    return name


@pytest.fixture
def folder_in_memory(tmp_path: Path) -> Iterator[Path]:
    """A folder whose fsync costs nothing, where the system has one: killed processes do not need the disk."""
    shared = Path("/dev/shm")
    if not os.access(shared, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="modelport-", dir=shared) as folder:
        yield Path(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of four megabytes."""
    folder = tmp_path / "small"
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder))
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def make_read_only() -> Iterator[Callable[[Path], None]]:
    """Turns a folder read-only, for root too: mounts it over itself."""
    mounted: list[Path] = []

    def make(folder: Path) -> None:
        _mount("--bind", str(folder), str(folder))
        mounted.append(folder)
        _mount("-o", "remount,bind,ro", str(folder))

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"this user may not mount: {done.stderr.strip()}")
