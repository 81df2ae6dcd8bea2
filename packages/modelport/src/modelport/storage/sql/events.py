"""Rows of events."""

from __future__ import annotations

import datetime as dt

import sqlalchemy as sa

from modelport.domain.events import Event, EventType
from modelport.storage.changes import Change
from modelport.storage.sql.counters import next_number
from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import Counter, events


def write(scope: Scope, change: Change) -> None:
    row = {
        "number": next_number(scope, Counter.EVENT),
        "type": change.type,
        "subject": change.subject,
        "time": dt.datetime.now(dt.UTC),
        "data": change.data,
    }
    scope.insert(events, [row])


def read(scope: Scope, *, after: int, limit: int) -> list[Event]:
    query = sa.select(events).where(scope.of(events), events.c.number > after).order_by(events.c.number).limit(limit)
    return [_event(row) for row in scope.connection.execute(query)]


def _event(row: sa.Row[tuple[object, ...]]) -> Event:
    return Event(number=row.number, type=EventType(row.type), subject=row.subject, time=row.time, data=row.data)
