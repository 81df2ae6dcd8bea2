"""Tags and properties: one row for each key, in the order they were given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from modelport.domain.models import Condition
from modelport.storage.sql.tables import Label

Labels = dict[Label, dict[str, str]]


def rows(owner: Mapping[str, object], kind: Label, values: Mapping[str, str]) -> list[dict[str, object]]:
    """The rows that keep the values. ``owner`` holds the columns that say whose they are."""
    return [
        {**owner, "kind": kind, "position": position, "key": key, "value": value}
        for position, (key, value) in enumerate(values.items())
    ]


def from_rows(found: Sequence[sa.Row[tuple[object, ...]]]) -> Labels:
    """The tags and properties in the rows of one owner, which are in order."""
    labels: Labels = {kind: {} for kind in Label}
    for row in found:
        labels[Label(row.kind)][row.key] = row.value
    return labels


def matching(
    table: sa.Table, owned: sa.ColumnElement[bool], kind: Label, conditions: Sequence[Condition]
) -> list[sa.ColumnElement[bool]]:
    """One condition for each of the given. ``owned`` says that a row of ``table`` belongs to the row asked for."""
    return [sa.exists().where(owned, table.c.kind == kind, *_label(table, condition)) for condition in conditions]


def _label(table: sa.Table, condition: Condition) -> list[sa.ColumnElement[bool]]:
    key, *value = [condition] if isinstance(condition, str) else condition
    return [table.c.key == key, *(table.c.value == wanted for wanted in value)]
