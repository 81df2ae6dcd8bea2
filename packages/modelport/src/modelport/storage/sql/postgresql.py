"""PostgreSQL: one database, shared by workspaces and machines."""

from __future__ import annotations

import sqlalchemy as sa

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")

_UPGRADE = "modelport upgrade"


def create_engine(url: sa.URL, *, lock_timeout_s: float) -> sa.Engine:
    """An engine for the database. Nothing is connected yet."""
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args=_connect_args(url, lock_timeout_s=lock_timeout_s),
        pool_pre_ping=True,  # a restart of the server costs nobody an error
        hide_parameters=True,  # keys are among them
    )


def _connect_args(url: sa.URL, *, lock_timeout_s: float) -> dict[str, str | int]:
    milliseconds = round(lock_timeout_s * 1000)
    # A client that vanishes within a transaction must not hold the workspace's lock for ever.
    options = f"-c lock_timeout={milliseconds} -c idle_in_transaction_session_timeout=60000"
    given = url.query.get("options", "")
    given = given if isinstance(given, str) else " ".join(given)
    arguments: dict[str, str | int] = {"options": f"{given} {options}".strip(), "application_name": "modelport"}
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = 10
    return arguments


def lock_workspace(connection: sa.Connection, workspace: str) -> None:
    """Wait until no other transaction writes to the workspace; held until this one ends.

    One writer at a time, as in SQLite, is what makes the numbers of versions gapless, the numbers of events grow in the
    order of the commits, and every check within a transaction true until its end.
    """
    _lock(connection, f"modelport workspace {workspace}")


def lock_schema(connection: sa.Connection) -> None:
    """Wait until no other transaction upgrades the database."""
    _lock(connection, _UPGRADE)


def _lock(connection: sa.Connection, name: str) -> None:
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(name, 0))))
