"""What the statements of one transaction work with."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True)
class Scope:
    """A transaction's connection, and the workspace whose rows are meant."""

    connection: sa.Connection
    workspace: str

    def of(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """The condition that a row of the table is the workspace's."""
        return table.c.workspace == self.workspace

    def insert(self, table: sa.Table, rows: list[dict[str, object]]) -> None:
        """Add rows; the workspace is filled in."""
        if rows:
            self.connection.execute(sa.insert(table), [{"workspace": self.workspace, **row} for row in rows])
