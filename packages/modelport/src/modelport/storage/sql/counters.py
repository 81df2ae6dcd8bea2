"""Numbers that are given out once: of versions and of events."""

from __future__ import annotations

import sqlalchemy as sa

from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import counters


def next_number(scope: Scope, kind: str, name: str = "") -> int:
    """The next number of that kind (``Counter``) and name: 1, 2, 3 … It is used up when the transaction commits."""
    mine = sa.and_(scope.of(counters), counters.c.kind == kind, counters.c.name == name)
    last = scope.connection.scalar(sa.select(counters.c.last).where(mine))
    if last is None:
        scope.insert(counters, [{"kind": kind, "name": name, "last": 1}])
        return 1
    scope.connection.execute(sa.update(counters).where(mine).values(last=last + 1))
    return int(last) + 1
