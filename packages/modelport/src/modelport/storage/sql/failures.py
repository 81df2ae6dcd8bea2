"""Database errors as StoreExceptions: what is wrong, where, and what to try.

SQLite is told by its extended result code (https://sqlite.org/rescode.html), PostgreSQL by its SQLSTATE
(https://www.postgresql.org/docs/current/errcodes-appendix.html).
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import sqlalchemy as sa

from modelport.domain.errors import StoreException, UserErrorException


@dataclass(frozen=True)
class Trouble:
    """What happened, and one thing to try."""

    what: str
    hint: str


_DAMAGED = Trouble("is damaged", "Restore it from a backup. It was not changed.")
_FULL = Trouble("cannot be written: the disk is full", "Free some space and try again; nothing was lost.")
_READ_ONLY = Trouble("cannot be written: it is read-only", "Give this user the right to write to it and to its folder.")
_LOCKED = Trouble("is locked by another process", "Wait until the other one has finished and try again.")
_CANNOT_OPEN = Trouble("cannot be opened", "Check that the file and its folder are there and may be read and written.")
_READ_ONLY_DISK = Trouble(
    "cannot be opened: its file system is read-only, and SQLite writes beside a database even to read it",
    "Mount it for writing (where a disk failed, dmesg says so), or set MODELPORT_HOME to another folder.",
)
_FAILING = Trouble("cannot be read or written: the disk reports an error", "Check the disk, and its space.")
_UNREACHABLE = Trouble("cannot be reached", "Check that the server runs, and the host and port in the URL.")
_REFUSED = Trouble("refuses the login", "Check the user and the password in the URL.")
_MISSING = Trouble("does not exist", "Create it first: createdb <name>.")
_FORBIDDEN = Trouble("does not allow this user to do that", "Grant the user the right to create and to change tables.")
_UNEXPECTED = Trouble("answered with an error", "Please report this with the text above.")

_SQLITE = {
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_FULL": _FULL,
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_BUSY": _LOCKED,
    "SQLITE_LOCKED": _LOCKED,
    "SQLITE_CANTOPEN": _CANNOT_OPEN,
    "SQLITE_IOERR": _FAILING,
    "SQLITE_IOERR_SHMSIZE": _FULL,  # the index of the journal, which a reader needs too
}

_POSTGRESQL = {
    "53100": _FULL,
    "25006": _READ_ONLY,
    "55P03": _LOCKED,
    "40P01": _LOCKED,
    "3D000": _MISSING,
    "42501": _FORBIDDEN,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}

_POSTGRESQL_CLASSES = {"08": _UNREACHABLE, "57": _UNREACHABLE, "28": _REFUSED}


@contextlib.contextmanager
def translated(place: str) -> Iterator[None]:
    """Raise StoreException for what the database, or a row that makes no sense, raises inside. ``place`` names it.

    A text that no database can keep, and a value of another type than its field has, is the caller's doing:
    UserErrorException.
    """
    try:
        yield
    except (UnicodeEncodeError, sa.exc.DataError) as error:
        raise UserErrorException(f"A text cannot be kept in a database: {error}.") from error
    except OverflowError as error:
        raise UserErrorException(f"A number is too large for a database: {error}.") from error
    except sa.exc.DBAPIError as error:
        raise _exception(place, _trouble(error, place), str(error.orig)) from error
    except sa.exc.StatementError as error:
        raise UserErrorException(
            f"A value cannot be kept in the database {place}: {error.orig}.",
            hint="Give it the type that the documentation names. Nothing was changed.",
        ) from error
    except sa.exc.TimeoutError as error:
        raise _exception(place, _LOCKED, "every connection is in use") from error
    except sqlite3.Error as error:
        raise _exception(place, _sqlite_trouble(error.sqlite_errorname, place), str(error)) from error
    except (ValueError, msgspec.ValidationError) as error:
        raise _exception(place, _DAMAGED, str(error)) from error


def _exception(place: str, trouble: Trouble, detail: str) -> StoreException:
    return StoreException(f"The database {place} {trouble.what}: {detail.strip()}", hint=trouble.hint)


def _trouble(error: sa.exc.DBAPIError, place: str) -> Trouble:
    name = getattr(error.orig, "sqlite_errorname", None)
    if name is not None:
        return _sqlite_trouble(name, place)
    if hasattr(error.orig, "sqlstate"):
        return _postgresql_trouble(error)
    # The driver's own finding, without a code: text that is not UTF-8.
    return _DAMAGED if isinstance(error, sa.exc.OperationalError) else _UNEXPECTED


def _sqlite_trouble(name: str, path: str) -> Trouble:
    """Extended names begin with the primary one: SQLITE_IOERR_WRITE."""
    primary = "_".join(name.split("_")[:2])
    trouble = _SQLITE.get(name) or _SQLITE.get(primary, _UNEXPECTED)
    return _READ_ONLY_DISK if trouble in (_CANNOT_OPEN, _READ_ONLY) and _is_on_read_only_disk(path) else trouble


def _is_on_read_only_disk(path: str) -> bool:
    """SQLite's codes do not tell: there, it cannot make the files that it needs beside the database."""
    try:
        return bool(os.statvfs(Path(path).parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def _postgresql_trouble(error: sa.exc.DBAPIError) -> Trouble:
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _POSTGRESQL.get(state) or _POSTGRESQL_CLASSES.get(state[:2], _UNEXPECTED)
    return _connection_trouble(str(error.orig)) if isinstance(error, sa.exc.OperationalError) else _UNEXPECTED


def _connection_trouble(message: str) -> Trouble:
    """libpq gives no SQLSTATE for a connection that failed, only the server's sentence."""
    if "does not exist" in message and "database" in message:
        return _MISSING
    if "authentication failed" in message or "no password supplied" in message:
        return _REFUSED
    return _UNREACHABLE
