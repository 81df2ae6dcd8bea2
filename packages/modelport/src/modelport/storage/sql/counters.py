"""Numbers that are given out once: of versions and of events."""

from __future__ import annotations

import sqlalchemy as sa

from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import counters


def next_number(scope: Scope, kind: str, name: str = "") -> int:
    """The next number of that kind (``Counter``) and name: 1, 2, 3 … It is used up when the transaction commits."""
    last = _last(scope, kind, name)
    _keep(scope, kind, name, before=last, last=(last or 0) + 1)
    return (last or 0) + 1


def use_up(scope: Scope, kind: str, name: str, *, number: int) -> int | None:
    """Give out this number; where one as high was given out already, returns the highest and changes nothing."""
    last = _last(scope, kind, name)
    if last is not None and last >= number:
        return last
    _keep(scope, kind, name, before=last, last=number)
    return None


def _last(scope: Scope, kind: str, name: str) -> int | None:
    last = scope.connection.scalar(sa.select(counters.c.last).where(_is(scope, kind, name)))
    return None if last is None else int(last)


def _keep(scope: Scope, kind: str, name: str, *, before: int | None, last: int) -> None:
    if before is None:
        scope.insert(counters, [{"kind": kind, "name": name, "last": last}])
    else:
        scope.connection.execute(sa.update(counters).where(_is(scope, kind, name)).values(last=last))


def _is(scope: Scope, kind: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(scope.of(counters), counters.c.kind == kind, counters.c.name == name)
