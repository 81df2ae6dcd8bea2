"""Which state the tables of a database are in, and bringing them up to date."""

from __future__ import annotations

import sqlalchemy as sa

from modelport.domain.errors import StoreException
from modelport.storage.sql.database import Database

REVISIONS = ("0001", "0002", "0003", "0004", "0005")
"""The migrations that this Modelport knows, oldest first. (A test compares them with the files.)"""

VERSION_TABLE = "modelport_schema"
"""Where the number of the last migration is kept. Its own name: a shared database may hold another program's
``alembic_version``."""


def bring_up_to_date(database: Database) -> None:
    """Run the migrations that the database lacks; where there are none that is one query.

    Processes that do so at the same time wait for each other. Raises StoreException where the database was written by a
    newer Modelport, or where it cannot be read or changed.
    """
    with database.reading() as connection:
        current = _is_current(connection, database.place)
    if not current:
        _upgrade(database)


def _upgrade(database: Database) -> None:
    # Importing Alembic takes longer than everything else here together, and nearly every opening does without it.
    from modelport.storage.sql import upgrade  # noqa: PLC0415

    # Whoever waited here for another one finds nothing left to do: Alembic asks again within the transaction.
    with database.upgrading() as connection:
        upgrade.run(connection)


def _is_current(connection: sa.Connection, place: str) -> bool:
    found = _revision(connection)
    if found is not None and found not in REVISIONS:
        raise StoreException(
            f"The database {place} was written by a newer Modelport (its tables have revision {found!r}, and this one "
            f"knows up to {REVISIONS[-1]!r}).",
            hint="Upgrade Modelport: pip install --upgrade modelport.",
        )
    return found == REVISIONS[-1]


def _revision(connection: sa.Connection) -> str | None:
    """The last migration; None in a database that has had none."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608
