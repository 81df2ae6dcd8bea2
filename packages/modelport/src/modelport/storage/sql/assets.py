"""Rows of assets."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from modelport.domain.assets import Asset, json_object
from modelport.domain.events import EventType
from modelport.storage.changes import asset_change
from modelport.storage.refusals import asset_exists, asset_not_found
from modelport.storage.sql import events
from modelport.storage.sql.counters import next_number
from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import Counter, assets

_FIELDS = [field.name for field in dataclasses.fields(Asset)]


def add(scope: Scope, kind: str, name: str, body: Mapping[str, Any], *, created_by: str, unique: bool) -> Asset:
    if unique and find(scope, kind, name):
        raise asset_exists(kind, name)
    now = dt.datetime.now(dt.UTC)
    asset = Asset(
        kind=kind,
        name=name,
        version=next_number(scope, f"{Counter.ASSET}/{kind}", name),
        body=json_object(body),
        created_time=now,
        updated_time=now,
        created_by=created_by,
    )
    scope.insert(assets, [{field: getattr(asset, field) for field in _FIELDS}])
    events.write(scope, asset_change(EventType.ASSET_CREATED, asset))
    return asset


def find(
    scope: Scope, kind: str, name: str | None = None, *, version: int | None = None, latest: bool = False
) -> list[Asset]:
    query = sa.select(assets).where(scope.of(assets), assets.c.kind == kind)
    if name is not None:
        query = query.where(assets.c.name == name)
    if version is not None:
        query = query.where(assets.c.version == version)
    if latest:
        query = query.where(assets.c.version == _newest())
    rows = scope.connection.execute(query.order_by(assets.c.name, assets.c.version.desc()))
    return [Asset(**{field: row._mapping[field] for field in _FIELDS}) for row in rows]


def replace(scope: Scope, kind: str, name: str, version: int, body: Mapping[str, Any]) -> Asset:
    found = find(scope, kind, name, version=version)
    if not found:
        raise asset_not_found(kind, name, version)
    replaced = dataclasses.replace(found[0], body=json_object(body), updated_time=dt.datetime.now(dt.UTC))
    values = {"body": replaced.body, "updated_time": replaced.updated_time}
    scope.connection.execute(sa.update(assets).where(_is(scope, replaced)).values(values))
    events.write(scope, asset_change(EventType.ASSET_UPDATED, replaced))
    return replaced


def delete(scope: Scope, kind: str, name: str, *, version: int | None) -> int:
    found = find(scope, kind, name, version=version)
    for asset in reversed(found):
        scope.connection.execute(sa.delete(assets).where(_is(scope, asset)))
        events.write(scope, asset_change(EventType.ASSET_DELETED, asset))
    return len(found)


def _is(scope: Scope, asset: Asset) -> sa.ColumnElement[bool]:
    key = (assets.c.kind == asset.kind, assets.c.name == asset.name, assets.c.version == asset.version)
    return sa.and_(scope.of(assets), *key)


def _newest() -> sa.ScalarSelect[int]:
    """The newest version of the same name as the row of ``assets``."""
    other = assets.alias()
    same = [other.c[column] == assets.c[column] for column in ("workspace", "kind", "name")]
    return sa.select(sa.func.max(other.c.version)).where(*same).correlate(assets).scalar_subquery()
