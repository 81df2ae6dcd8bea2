"""Rows of environments."""

from __future__ import annotations

import sqlalchemy as sa

from modelport.domain.environments import EnvironmentDefinition, EnvironmentVersion
from modelport.domain.events import EventType
from modelport.storage.changes import environment_change
from modelport.storage.sql import events
from modelport.storage.sql.counters import next_number
from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import Counter, environments


def register(scope: Scope, definition: EnvironmentDefinition) -> EnvironmentVersion:
    newest = next(iter(find(scope, definition.name, limit=1)), None)
    if newest is not None and newest.definition == definition:
        return newest
    number = next_number(scope, Counter.ENVIRONMENT, definition.name)
    scope.insert(environments, [{"name": definition.name, "version": number, "definition": definition}])
    registered = EnvironmentVersion(definition=definition, version=str(number))
    events.write(scope, environment_change(EventType.ENVIRONMENT_REGISTERED, registered))
    return registered


def find(scope: Scope, name: str | None, *, limit: int | None = None) -> list[EnvironmentVersion]:
    query = sa.select(environments).where(scope.of(environments))
    if name is not None:
        query = query.where(environments.c.name == name)
    query = query.order_by(environments.c.name, environments.c.version.desc()).limit(limit)
    return [
        EnvironmentVersion(definition=row.definition, version=str(row.version))
        for row in scope.connection.execute(query)
    ]
