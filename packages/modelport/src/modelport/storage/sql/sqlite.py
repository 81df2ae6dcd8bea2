"""SQLite: one file in the workspace's folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.pool import ConnectionPoolEntry

from modelport.domain.errors import StoreException

WRITES = "modelport_writes"
"""Execution option of a connection whose next transaction writes."""


def create_engine(path: Path, *, lock_timeout_s: float) -> sa.Engine:
    """An engine for the file, which need not exist."""
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        connect_args={"timeout": lock_timeout_s},
        hide_parameters=True,  # keys are among them
    )
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: sqlite3.Connection, record: ConnectionPoolEntry) -> None:
    # The driver begins transactions on its own, late and without IMMEDIATE: we begin them ourselves.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    # FULL, not NORMAL: in WAL mode NORMAL may forget the last transactions when the power fails, and a version that
    # was reported as registered must be there afterwards. It costs one fsync for each change.
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: sa.Connection) -> None:
    # A writer takes the lock at once: a transaction that reads first and is refused the lock later cannot be repeated.
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def create_file(path: Path) -> None:
    """Make an empty file that only its owner can read, where there is none: it will hold keys.

    SQLite gives the files it puts beside it the same mode. Raises StoreException.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    except OSError as error:
        raise StoreException(
            f"The database {path} cannot be created: {error.strerror}.",
            hint="Check that its folder may be written to, and that the disk has space.",
        ) from error


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Only one process at a time is inside, for this file's folder.

    Switching a database to WAL fails at once, without waiting, where another connection is in the way.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def switch_to_wal(engine: sa.Engine) -> None:
    """Readers and one writer no longer wait for each other. The file keeps the mode."""
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()
