"""Rows of the keys that sign access tokens."""

from __future__ import annotations

import dataclasses
import datetime as dt

import sqlalchemy as sa

from modelport.domain.tokens import SigningKey
from modelport.storage.changes import signing_key_change
from modelport.storage.sql import events
from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import signing_keys

_FIELDS = [field.name for field in dataclasses.fields(SigningKey)]


def find(scope: Scope) -> list[SigningKey]:
    query = sa.select(signing_keys).where(scope.of(signing_keys)).order_by(signing_keys.c.created_time.desc())
    rows = scope.connection.execute(query)
    return [SigningKey(**{name: row._mapping[name] for name in _FIELDS}) for row in rows]


def keep(scope: Scope, key: SigningKey) -> SigningKey:
    for present in find(scope):
        if present.accepted_until is None:
            return present
    _insert(scope, key)
    return key


def rotate(scope: Scope, key: SigningKey, *, accepted_until: dt.datetime | None) -> None:
    mine, until = scope.of(signing_keys), signing_keys.c.accepted_until
    over = sa.true() if accepted_until is None else until < key.created_time
    scope.connection.execute(sa.delete(signing_keys).where(mine, over))
    scope.connection.execute(sa.update(signing_keys).where(mine, until.is_(None)).values(accepted_until=accepted_until))
    _insert(scope, key)


def _insert(scope: Scope, key: SigningKey) -> None:
    scope.insert(signing_keys, [{name: getattr(key, name) for name in _FIELDS}])
    events.write(scope, signing_key_change(scope.workspace, key))
