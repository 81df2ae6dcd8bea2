"""Column types: what a database keeps, and what the domain sees."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

NAME = sa.String().with_variant(sa.String(collation="C"), "postgresql")
"""Text that is ordered by code point, on every database and under every locale."""


class UtcTime(TypeDecorator[dt.datetime]):
    """A point in time: aware and in UTC in Python, to the microsecond.

    SQLite has no type for time zones: it keeps the UTC reading.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a time zone cannot be kept: {value.isoformat()}")
        utc = value.astimezone(dt.UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


class Document(TypeDecorator[Any]):
    """A value of the domain as JSON, for what no query looks into. ``None`` is NULL.

    Raises msgspec.ValidationError where the JSON in the database is not such a value; and, before anything is written,
    where what is to be kept is none (SQLAlchemy wraps it in a StatementError): nobody could read it again.
    """

    impl = sa.JSON(none_as_null=True)
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        kept = msgspec.to_builtins(value)
        if kept is not None:
            msgspec.convert(kept, type=self.kind)
        return kept

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else msgspec.convert(value, type=self.kind)

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        return self.impl_instance.coerce_compared_value(op, value)
