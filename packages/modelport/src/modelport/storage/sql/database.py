"""An open database: where it is, and its two kinds of transactions."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from modelport.domain.errors import StoreException
from modelport.storage.sql import postgresql, sqlite
from modelport.storage.sql.failures import translated


class Database(Protocol):
    """SQLite or PostgreSQL. All methods raise StoreException for what the database raises within."""

    @property
    def engine(self) -> sa.Engine: ...

    @property
    def place(self) -> str:
        """The path, or the URL without its password."""

    def reading(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """One transaction that sees one state of the database."""

    def writing(self, workspace: str) -> contextlib.AbstractContextManager[sa.Connection]:
        """One transaction that may change the workspace, and is the only one that does until it ends."""

    def upgrading(self) -> contextlib.AbstractContextManager[sa.Connection]:
        """One transaction that may change the tables, and is the only one that does until it ends."""


@dataclass(frozen=True)
class SqliteDatabase:
    engine: sa.Engine
    path: Path

    @property
    def place(self) -> str:
        return str(self.path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        with translated(self.place), self.engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, workspace: str) -> Iterator[sa.Connection]:
        with translated(self.place), self.engine.execution_options(**{sqlite.WRITES: True}).begin() as connection:
            yield connection

    @contextlib.contextmanager
    def upgrading(self) -> Iterator[sa.Connection]:
        with translated(self.place), sqlite.alone(self.path):
            sqlite.switch_to_wal(self.engine)
            with self.writing("") as connection:
                yield connection


@dataclass(frozen=True)
class PostgresqlDatabase:
    engine: sa.Engine
    place: str

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        snapshot = self.engine.execution_options(isolation_level="REPEATABLE READ")
        with translated(self.place), snapshot.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, workspace: str) -> Iterator[sa.Connection]:
        with translated(self.place), self.engine.begin() as connection:
            postgresql.lock_workspace(connection, workspace)
            yield connection

    @contextlib.contextmanager
    def upgrading(self) -> Iterator[sa.Connection]:
        with translated(self.place), self.engine.begin() as connection:
            postgresql.lock_schema(connection)
            yield connection


def connect(location: str | Path, *, lock_timeout_s: float) -> Database:
    """The database at a path or URL; a missing SQLite file is created, empty. Raises StoreException."""
    database = _database(location, lock_timeout_s=lock_timeout_s)
    _forget_connections_after_fork(database.engine)
    return database


def _database(location: str | Path, *, lock_timeout_s: float) -> Database:
    if isinstance(location, Path) or "://" not in location:
        return _sqlite(Path(location), lock_timeout_s=lock_timeout_s)
    url = _parsed(location)
    if url.drivername == "sqlite" and url.database:
        return _sqlite(Path(url.database), lock_timeout_s=lock_timeout_s)
    if url.drivername in postgresql.SCHEMES:
        engine = postgresql.create_engine(url, lock_timeout_s=lock_timeout_s)
        return PostgresqlDatabase(engine, url.render_as_string(hide_password=True))
    raise StoreException(f"Databases of the kind {url.drivername!r} are not known.", hint=_KNOWN)


_KNOWN = "Give a path for SQLite, or a URL such as postgresql://user:password@host/database."


def _parsed(location: str) -> sa.URL:
    try:
        return sa.make_url(location)
    except (sa.exc.ArgumentError, ValueError):
        # The text is not shown: a password may be anywhere in it.
        raise StoreException("The URL of the database cannot be understood.", hint=_KNOWN) from None


def _sqlite(path: Path, *, lock_timeout_s: float) -> SqliteDatabase:
    absolute = path.absolute()
    sqlite.create_file(absolute)
    return SqliteDatabase(sqlite.create_engine(absolute, lock_timeout_s=lock_timeout_s), absolute)


def _forget_connections_after_fork(engine: sa.Engine) -> None:
    """A connection must not be used by two processes; a forked child opens its own."""
    reference = weakref.ref(engine)

    def forget() -> None:
        forked = reference()
        if forked is not None:
            forked.dispose(close=False)

    os.register_at_fork(after_in_child=forget)
