"""Databases that are damaged, full, locked, read-only, or not there."""

from __future__ import annotations

import dataclasses
import socket
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from modelport.domain.deployments import Deployment
from modelport.domain.errors import StoreException, UserErrorException
from modelport.domain.models import ModelFilter
from modelport.domain.services import ServiceFilter
from modelport.storage.sql import open_sql
from modelport.storage.sql.store import SqlStore

from . import samples


def created(path: Path | str, *, lock_timeout_s: float = 5) -> SqlStore:
    store = open_sql(path, workspace="w", lock_timeout_s=lock_timeout_s)
    store.create_workspace(samples.record("w"))
    return store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "workspace.db"


@pytest.mark.parametrize(
    "content", [b"not a database, whatever its name says" * 100, b"SQLite format 3\0" + b"\xff" * 9000]
)
def test_a_file_that_is_no_database_is_named_and_kept(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreException, match=f"{path} is damaged") as caught:
        open_sql(path, workspace="w")
    assert "Restore it from a backup" in caught.value.hint
    assert path.read_bytes() == content


def test_a_damaged_page_is_an_error(path: Path) -> None:
    store = created(path)
    for _ in range(50):
        store.add_model(samples.draft())
    store.close()
    pages = bytearray(path.read_bytes())
    pages[8192:] = b"\xa5" * len(pages[8192:])
    path.write_bytes(pages)
    with pytest.raises(StoreException, match=f"{path} is damaged"):
        open_sql(path, workspace="w").models(ModelFilter())


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE modelport_services SET deployment = 'not JSON'",
        'UPDATE modelport_services SET deployment = \'{"port": "not a number"}\'',
        "UPDATE modelport_services SET desired_state = 'no state'",
        "UPDATE modelport_services SET created_time = 'no time'",
        "UPDATE modelport_services SET description = CAST(x'ff' AS TEXT)",
        "UPDATE modelport_assets SET body = '[1]'",
    ],
)
def test_a_row_that_makes_no_sense_is_an_error(path: Path, statement: str) -> None:
    store = created(path)
    store.create_service(samples.service())
    store.add_asset("compute", "cluster", {}, created_by="me")
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    with pytest.raises(StoreException, match=f"{path} is damaged"):
        store.service("diabetes")
        store.assets("compute")
    store.close()


@pytest.mark.parametrize(
    "change", ['deployment = \'{"port": "not a number"}\'', "desired_state = 'no state'", "created_time = 'no time'"]
)
def test_a_row_that_makes_no_sense_does_not_hide_the_others(path: Path, change: str) -> None:
    store = created(path)
    for name in ("bad", "first", "last"):
        store.create_service(samples.service(name=name))
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE modelport_services SET {change} WHERE name = 'bad'")
    connection.close()
    unreadable: dict[str, StoreException] = {}
    found = store.services(ServiceFilter(), unreadable=unreadable)
    assert [service.name for service in found] == ["first", "last"]
    assert list(unreadable) == ["bad"]
    assert "The service 'bad' cannot be read: its row in the database is damaged: " in str(unreadable["bad"])
    with pytest.raises(StoreException, match=f"{path} is damaged"):
        store.services(ServiceFilter())
    store.close()


def test_a_value_of_another_type_is_refused_before_it_is_written(path: Path) -> None:
    store = created(path)
    store.create_service(samples.service())
    wrong: Any = "yes"
    changed = dataclasses.replace(samples.service(), deployment=Deployment(auth_enabled=wrong))
    with pytest.raises(UserErrorException, match=r"cannot be kept .*Expected `bool \| null`, got `str`.*auth_enabled"):
        store.update_service(changed)
    assert store.service("diabetes") == samples.service()
    store.close()


def test_a_text_that_cannot_be_kept_is_the_callers_error(empty_database: str) -> None:
    store = created(empty_database)
    with pytest.raises(UserErrorException, match="cannot be kept"):
        store.add_model(samples.draft(description="a file name of another encoding: \udcff"))
    assert store.add_model(samples.draft()).version == 1
    store.close()


def test_a_version_that_no_database_can_hold_is_the_callers_error(empty_database: str) -> None:
    store = created(empty_database)
    with pytest.raises(UserErrorException, match=r"cannot be kept|too large"):
        store.models(ModelFilter(name="diabetes", version=10**20))
    store.close()


def test_what_was_to_be_written_is_not_in_the_traceback(path: Path) -> None:
    store = created(path)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TRIGGER no BEFORE INSERT ON modelport_models BEGIN SELECT RAISE(ABORT, 'no'); END")
    connection.close()
    with pytest.raises(StoreException) as caught:
        store.add_model(samples.draft(description="secret" * 9))
    assert "secret" * 9 not in "".join(traceback.format_exception(caught.value))
    store.close()


def test_a_locked_database_says_so_after_the_timeout(path: Path) -> None:
    store = created(path, lock_timeout_s=0.1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreException, match=f"{path} is locked"):
        store.add_model(samples.draft())
    assert store.models(ModelFilter()) == []
    other.execute("ROLLBACK")
    other.close()
    assert store.add_model(samples.draft()).version == 1
    store.close()


def test_a_locked_postgresql_says_so_after_the_timeout(new_postgresql_database: str) -> None:
    store = created(new_postgresql_database, lock_timeout_s=0.1)
    with psycopg.connect(new_postgresql_database) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended('modelport workspace w', 0))")
        with pytest.raises(StoreException, match="is locked"):
            store.add_model(samples.draft())
        assert store.models(ModelFilter()) == []
    assert store.add_model(samples.draft()).version == 1
    store.close()


def test_a_full_disk_is_named_and_loses_nothing(small_disk: Path) -> None:
    store = created(small_disk / "workspace.db")
    kept = store.add_model(samples.draft())
    filling = small_disk / "filling"
    with filling.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 16))
    with pytest.raises(StoreException, match=f"{small_disk}/workspace.db cannot be written: the disk is full"):
        for _ in range(100):
            store.add_model(samples.draft(sample_input="x" * 10_000))
    filling.unlink()
    versions = [model.version for model in store.models(ModelFilter())]
    assert store.models(ModelFilter(version=1)) == [kept]
    assert store.add_model(samples.draft()).version == max(versions) + 1
    store.close()


def test_a_disk_without_room_for_a_reader_is_full_too(small_disk: Path) -> None:
    created(small_disk / "workspace.db").close()
    with (small_disk / "filling").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 10))
    with pytest.raises(StoreException, match=f"{small_disk}/workspace.db .*: the disk is full: disk I/O error"):
        open_sql(small_disk / "workspace.db", workspace="w").models(ModelFilter())


def test_a_full_disk_when_the_workspace_is_new(small_disk: Path) -> None:
    with (small_disk / "filling").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(1 << 12))
    with pytest.raises(StoreException, match=f"{small_disk}/workspace.db .*full"):
        open_sql(small_disk / "workspace.db", workspace="w")


def test_a_read_only_folder_is_named(tmp_path: Path, make_read_only: Callable[[Path], None]) -> None:
    folder = tmp_path / "folder"
    created(folder / "workspace.db").close()
    make_read_only(folder)
    with pytest.raises(StoreException, match=f"{folder}/workspace.db cannot be opened: .*is read-only") as caught:
        open_sql(folder / "workspace.db", workspace="w").add_model(samples.draft())
    assert "MODELPORT_HOME" in caught.value.hint
    with pytest.raises(StoreException, match=f"{folder}/new.db cannot be created: Read-only"):
        open_sql(folder / "new.db", workspace="w")


def test_a_file_or_folder_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreException, match=r"file/workspace\.db cannot be created: "):
        open_sql(tmp_path / "file" / "workspace.db", workspace="w")
    with pytest.raises(StoreException, match=f"{tmp_path} cannot be opened"):
        open_sql(tmp_path, workspace="w")


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        with pytest.raises(
            StoreException, match=f"modelport:\\*\\*\\*@127.0.0.1:{port}/db cannot be reached"
        ) as caught:
            open_sql(f"postgresql://modelport:secret@127.0.0.1:{port}/db", workspace="w")
    assert "host and port" in caught.value.hint
    assert "secret" not in str(caught.value)


def test_a_missing_database_is_named(postgresql: str) -> None:
    with pytest.raises(StoreException, match="does not exist") as caught:
        open_sql(postgresql.replace("/postgres?", "/nowhere?"), workspace="w")
    assert "createdb" in caught.value.hint


def test_a_server_that_went_away_and_came_back_costs_nothing(new_postgresql_database: str) -> None:
    store = created(new_postgresql_database)
    with psycopg.connect(new_postgresql_database, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert store.add_model(samples.draft()).version == 1
    store.close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_is_understood(new_postgresql_database: str, scheme: str) -> None:
    created(new_postgresql_database.replace("postgresql", scheme, 1)).close()


def test_a_url_of_sqlite_is_understood(path: Path) -> None:
    created(f"sqlite:///{path}").close()
    assert path.is_file()


@pytest.mark.parametrize("url", ["mysql://u:secret@h/db", "postgresql://u:secret@h:port/db", "sqlite://"])
def test_other_urls_are_refused_without_showing_a_password(url: str) -> None:
    with pytest.raises(StoreException) as caught:
        open_sql(url, workspace="w")
    assert "postgresql://user:password@host/database" in caught.value.hint
    assert "secret" not in str(caught.value)
