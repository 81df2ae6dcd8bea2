"""Rows of model versions, their files and their labels."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from modelport.domain.events import EventType
from modelport.domain.models import ModelChange, ModelDraft, ModelFile, ModelFilter, ModelVersion
from modelport.storage.changes import model_change
from modelport.storage.refusals import model_in_use, model_not_found, version_given_out
from modelport.storage.sql import events, labels
from modelport.storage.sql.counters import next_number, use_up
from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import Counter, Label, model_files, model_labels, models, revision_models

_ROWS_AT_ONCE = 1000
"""Databases limit the number of values in one statement."""

_ELSEWHERE = {"files", "tags", "properties"}
_COLUMNS = [field.name for field in dataclasses.fields(ModelVersion) if field.name not in _ELSEWHERE]

_Key = tuple[str, int]


def add(scope: Scope, draft: ModelDraft, *, version: int | None = None) -> ModelVersion:
    if version is None:
        version = next_number(scope, Counter.MODEL, draft.name)
    else:
        last = use_up(scope, Counter.MODEL, draft.name, number=version)
        if last is not None:
            raise version_given_out(draft.name, version, last)
    fields = {field.name: getattr(draft, field.name) for field in dataclasses.fields(ModelDraft)}
    model = ModelVersion(**fields, version=version, created_time=dt.datetime.now(dt.UTC))
    scope.insert(models, [{column: getattr(model, column) for column in _COLUMNS}])
    scope.insert(model_files, list(_file_rows(model)))
    scope.insert(model_labels, _label_rows(model, Label.TAG) + _label_rows(model, Label.PROPERTY))
    events.write(scope, model_change(EventType.MODEL_REGISTERED, model))
    return model


def find(scope: Scope, wanted: ModelFilter) -> list[ModelVersion]:
    fitting = sa.select(models).where(scope.of(models), *_conditions(wanted))
    query = _newest(fitting) if wanted.latest else fitting.order_by(models.c.name, models.c.version.desc())
    return _with_parts(scope, scope.connection.execute(query).all())


def change(scope: Scope, name: str, version: int, change: ModelChange) -> ModelVersion:
    model = _required(scope, name, version)
    given = _given(change)
    changed = dataclasses.replace(model, **given)
    columns = {key: value for key, value in given.items() if key not in _ELSEWHERE}
    if columns:
        scope.connection.execute(sa.update(models).where(_is(scope, name, version)).values(columns))
    for kind, field in ((Label.TAG, "tags"), (Label.PROPERTY, "properties")):
        if field in given:
            _replace_labels(scope, changed, kind)
    events.write(scope, model_change(EventType.MODEL_UPDATED, changed))
    return changed


def delete(scope: Scope, name: str, version: int) -> ModelVersion:
    model = _required(scope, name, version)
    users = _services_that_have(scope, name, version)
    if users:
        raise model_in_use(name, version, users)
    scope.connection.execute(sa.delete(models).where(_is(scope, name, version)))
    events.write(scope, model_change(EventType.MODEL_DELETED, model))
    return model


def missing(scope: Scope, keys: Iterable[_Key]) -> list[_Key]:
    """Those of the versions that are not there, in order."""
    return [key for key in dict.fromkeys(keys) if not scope.connection.scalar(_exists(scope, *key))]


def referenced(scope: Scope, digests: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(digests), _ROWS_AT_ONCE):
        some = model_files.c.sha256.in_(digests[start : start + _ROWS_AT_ONCE])
        found.update(scope.connection.scalars(sa.select(model_files.c.sha256).where(scope.of(model_files), some)))
    return found


def _given(change: ModelChange) -> dict[str, Any]:
    values = {field.name: getattr(change, field.name) for field in dataclasses.fields(change)}
    return {name: value for name, value in values.items() if value is not None}


def _is(scope: Scope, name: str, version: int) -> sa.ColumnElement[bool]:
    return sa.and_(scope.of(models), models.c.name == name, models.c.version == version)


def _exists(scope: Scope, name: str, version: int) -> sa.Select[tuple[bool]]:
    return sa.select(sa.exists().where(_is(scope, name, version)))


def _owned(parts: sa.Table) -> sa.ColumnElement[bool]:
    """The row of the table of parts belongs to the row of ``models``."""
    return sa.and_(
        parts.c.workspace == models.c.workspace,
        parts.c.model_name == models.c.name,
        parts.c.model_version == models.c.version,
    )


def _conditions(wanted: ModelFilter) -> Iterator[sa.ColumnElement[bool]]:
    for column in (models.c.name, models.c.version, models.c.run_id, models.c.framework):
        value = getattr(wanted, column.name)
        if value is not None:
            yield column == value
    owned = _owned(model_labels)
    yield from labels.matching(model_labels, owned, Label.TAG, wanted.tags)
    yield from labels.matching(model_labels, owned, Label.PROPERTY, wanted.properties)


def _newest(fitting: sa.Select[tuple[object, ...]]) -> sa.Select[tuple[object, ...]]:
    """Only the newest version of each name."""
    place = sa.func.row_number().over(partition_by=models.c.name, order_by=models.c.version.desc())
    ranked = fitting.add_columns(place.label("place")).subquery()
    return sa.select(*(ranked.c[column.name] for column in models.c)).where(ranked.c.place == 1).order_by(ranked.c.name)


def _required(scope: Scope, name: str, version: int) -> ModelVersion:
    found = find(scope, ModelFilter(name=name, version=version))
    if not found:
        raise model_not_found(name, version)
    return found[0]


def _services_that_have(scope: Scope, name: str, version: int) -> list[str]:
    query = (
        sa.select(revision_models.c.service)
        .distinct()
        .where(
            scope.of(revision_models),
            revision_models.c.model_name == name,
            revision_models.c.model_version == version,
        )
        .order_by(revision_models.c.service)
    )
    return list(scope.connection.scalars(query))


def _file_rows(model: ModelVersion) -> Iterator[dict[str, object]]:
    for position, file in enumerate(model.files):
        yield {
            "model_name": model.name,
            "model_version": model.version,
            "position": position,
            "path": file.path,
            "size": file.size,
            "sha256": file.sha256,
            "executable": file.executable,
        }


def _label_rows(model: ModelVersion, kind: Label) -> list[dict[str, object]]:
    owner = {"model_name": model.name, "model_version": model.version}
    return labels.rows(owner, kind, model.tags if kind is Label.TAG else model.properties)


def _replace_labels(scope: Scope, model: ModelVersion, kind: Label) -> None:
    mine = sa.and_(
        scope.of(model_labels),
        model_labels.c.model_name == model.name,
        model_labels.c.model_version == model.version,
        model_labels.c.kind == kind,
    )
    scope.connection.execute(sa.delete(model_labels).where(mine))
    scope.insert(model_labels, _label_rows(model, kind))


def _with_parts(scope: Scope, rows: Sequence[sa.Row[tuple[object, ...]]]) -> list[ModelVersion]:
    keys = [(row.name, row.version) for row in rows]
    files = _parts(scope, model_files, keys)
    marks = _parts(scope, model_labels, keys)
    return [_model(row, files[row.name, row.version], marks[row.name, row.version]) for row in rows]


_Parts = dict[_Key, list[sa.Row[tuple[object, ...]]]]


def _parts(scope: Scope, table: sa.Table, keys: Sequence[_Key]) -> _Parts:
    """The rows of the table that belong to the versions, in order, by version."""
    found: _Parts = defaultdict(list)
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        some = sa.tuple_(table.c.model_name, table.c.model_version).in_(keys[start : start + _ROWS_AT_ONCE])
        query = sa.select(table).where(scope.of(table), some).order_by(table.c.position)
        for row in scope.connection.execute(query):
            found[row.model_name, row.model_version].append(row)
    return found


def _model(
    row: sa.Row[tuple[object, ...]],
    files: Sequence[sa.Row[tuple[object, ...]]],
    marks: Sequence[sa.Row[tuple[object, ...]]],
) -> ModelVersion:
    found = labels.from_rows(marks)
    return ModelVersion(
        **{column: row._mapping[column] for column in _COLUMNS},
        files=tuple(ModelFile(file.path, file.size, file.sha256, file.executable) for file in files),
        tags=found[Label.TAG],
        properties=found[Label.PROPERTY],
    )
