"""The row of a workspace."""

from __future__ import annotations

import dataclasses

import sqlalchemy as sa

from modelport.domain.events import EventType
from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.changes import workspace_change
from modelport.storage.refusals import workspace_missing
from modelport.storage.sql import events
from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import workspaces

_FIELDS = [field.name for field in dataclasses.fields(WorkspaceRecord)]


def read(scope: Scope) -> WorkspaceRecord | None:
    query = sa.select(workspaces).where(workspaces.c.name == scope.workspace)
    row = scope.connection.execute(query).one_or_none()
    return None if row is None else WorkspaceRecord(**row._mapping)


def create(scope: Scope, record: WorkspaceRecord) -> WorkspaceRecord:
    present = read(scope)
    if present is not None:
        return present
    scope.connection.execute(sa.insert(workspaces).values({name: getattr(record, name) for name in _FIELDS}))
    events.write(scope, workspace_change(EventType.WORKSPACE_CREATED, record.name))
    return record


def update(scope: Scope, values: dict[str, object]) -> WorkspaceRecord:
    scope.connection.execute(sa.update(workspaces).where(workspaces.c.name == scope.workspace).values(values))
    events.write(scope, workspace_change(EventType.WORKSPACE_UPDATED, scope.workspace))
    return required(scope)


def required(scope: Scope) -> WorkspaceRecord:
    """The record. Raises WorkspaceException where there is none: nothing else can be kept then."""
    record = read(scope)
    if record is None:
        raise workspace_missing(scope.workspace)
    return record
