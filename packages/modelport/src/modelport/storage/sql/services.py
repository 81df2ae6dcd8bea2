"""Rows of services, their revisions and their labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import msgspec
import sqlalchemy as sa

from modelport.domain.deployments import ComputeType
from modelport.domain.errors import StoreException
from modelport.domain.events import EventType
from modelport.domain.names import split_model_id
from modelport.domain.services import DesiredState, Keys, Service, ServiceFilter
from modelport.storage.changes import service_change
from modelport.storage.refusals import (
    models_of_service_not_found,
    service_exists,
    service_not_found,
    service_unreadable,
)
from modelport.storage.sql import events, labels, models
from modelport.storage.sql.scope import Scope
from modelport.storage.sql.tables import Label, revision_models, revisions, service_labels, services

NO_SENSE = (ValueError, msgspec.ValidationError)
"""What a row raises that is no service."""


def read(scope: Scope, name: str) -> Service | None:
    return next(iter(_select(scope, [services.c.name == name])), None)


def find(scope: Scope, wanted: ServiceFilter, unreadable: dict[str, StoreException] | None = None) -> list[Service]:
    conditions = list(_conditions(wanted))
    try:
        return _select(scope, conditions)
    except NO_SENSE:
        if unreadable is None:
            raise
    names = scope.connection.execute(
        sa.select(services.c.name).where(scope.of(services), *conditions).order_by(services.c.name)
    )
    found: list[Service] = []
    for name in names.scalars().all():
        try:
            found += _select(scope, [services.c.name == name])
        except NO_SENSE as error:
            unreadable[name] = service_unreadable(name, str(error))
    return found


def create(scope: Scope, service: Service) -> None:
    if read(scope, service.name) is not None:
        raise service_exists(service.name)
    _check_models(scope, service)
    scope.insert(services, [_row(service)])
    _insert_parts(scope, service)
    events.write(scope, service_change(EventType.SERVICE_CREATED, service))


def update(scope: Scope, service: Service) -> None:
    if read(scope, service.name) is None:
        raise service_not_found(service.name)
    _check_models(scope, service)
    scope.connection.execute(
        sa.update(services).where(scope.of(services), services.c.name == service.name).values(_row(service))
    )
    _delete_parts(scope, service.name)
    _insert_parts(scope, service)
    events.write(scope, service_change(EventType.SERVICE_UPDATED, service))


def delete(scope: Scope, name: str) -> None:
    service = read(scope, name)
    if service is not None:
        scope.connection.execute(sa.delete(services).where(scope.of(services), services.c.name == name))
        events.write(scope, service_change(EventType.SERVICE_DELETED, service))


def _conditions(wanted: ServiceFilter) -> Iterator[sa.ColumnElement[bool]]:
    if wanted.compute_type is not None:
        yield sa.func.upper(services.c.compute_type) == wanted.compute_type.upper()
    if wanted.model_name is not None:
        yield _active_has(revision_models.c.model_name == wanted.model_name)
    if wanted.model_id is not None:
        name, version = split_model_id(wanted.model_id)
        yield _active_has(revision_models.c.model_name == name, revision_models.c.model_version == version)
    owned = sa.and_(service_labels.c.workspace == services.c.workspace, service_labels.c.service == services.c.name)
    yield from labels.matching(service_labels, owned, Label.TAG, wanted.tags)
    yield from labels.matching(service_labels, owned, Label.PROPERTY, wanted.properties)


def _active_has(*conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The active revision has a model for which the conditions hold; of an endpoint, which keeps the revisions of its
    versions and no other, any of them."""
    is_endpoint = services.c.compute_type == ComputeType.AKS_ENDPOINT.value
    return sa.exists().where(
        revision_models.c.workspace == services.c.workspace,
        revision_models.c.service == services.c.name,
        sa.or_(revision_models.c.revision == services.c.active_revision, is_endpoint),
        *conditions,
    )


def _select(scope: Scope, conditions: Sequence[sa.ColumnElement[bool]]) -> list[Service]:
    query = sa.select(services).where(scope.of(services), *conditions).order_by(services.c.name)
    rows = scope.connection.execute(query).all()
    names = [row.name for row in rows]
    kept = _parts(scope, revisions, names, order=revisions.c.number)
    marks = _parts(scope, service_labels, names, order=service_labels.c.position)
    return [_service(row, kept[row.name], marks[row.name]) for row in rows]


_Rows = Sequence[sa.Row[tuple[object, ...]]]


def _parts(scope: Scope, table: sa.Table, names: Sequence[str], *, order: sa.Column[int]) -> dict[str, _Rows]:
    """The rows of the table that belong to the services, in order, by service."""
    mine = table.c.service == names[0] if len(names) == 1 else sa.true()
    found: dict[str, list[sa.Row[tuple[object, ...]]]] = defaultdict(list)
    if names:
        for row in scope.connection.execute(sa.select(table).where(scope.of(table), mine).order_by(order)):
            found[row.service].append(row)
    return {name: found[name] for name in names}


def _service(row: sa.Row[tuple[object, ...]], kept: _Rows, marks: _Rows) -> Service:
    found = labels.from_rows(marks)
    return Service(
        name=row.name,
        compute_type=row.compute_type,
        deployment=row.deployment,
        desired_state=DesiredState(row.desired_state),
        revisions=tuple(revision.document for revision in kept),
        active_revision=row.active_revision,
        versions=row.versions or (),
        last_number=row.last_number,
        created_time=row.created_time,
        updated_time=row.updated_time,
        created_by=row.created_by,
        port=row.port,
        keys=None if row.primary_key is None else Keys(primary=row.primary_key, secondary=row.secondary_key),
        description=row.description,
        tags=found[Label.TAG],
        properties=found[Label.PROPERTY],
        failure=row.failure,
    )


def _row(service: Service) -> dict[str, object]:
    return {
        "name": service.name,
        "compute_type": service.compute_type,
        "deployment": service.deployment,
        "desired_state": service.desired_state,
        "active_revision": service.active_revision,
        "versions": service.versions or None,
        "last_number": service.last_number,
        "created_time": service.created_time,
        "updated_time": service.updated_time,
        "created_by": service.created_by,
        "port": service.port,
        "primary_key": service.keys and service.keys.primary,
        "secondary_key": service.keys and service.keys.secondary,
        "description": service.description,
        "failure": service.failure,
    }


def _insert_parts(scope: Scope, service: Service) -> None:
    owner = {"service": service.name}
    tags = labels.rows(owner, Label.TAG, service.tags)
    properties = labels.rows(owner, Label.PROPERTY, service.properties)
    scope.insert(service_labels, tags + properties)
    kept = [{**owner, "number": revision.number, "document": revision} for revision in service.revisions]
    scope.insert(revisions, kept)
    scope.insert(revision_models, list(_revision_models(service)))


def _delete_parts(scope: Scope, name: str) -> None:
    """The rows of ``revision_models`` go with their revisions."""
    for table in (service_labels, revisions):
        scope.connection.execute(sa.delete(table).where(scope.of(table), table.c.service == name))


def _revision_models(service: Service) -> Iterator[dict[str, object]]:
    for revision in service.revisions:
        for position, model_id in enumerate(revision.model_ids):
            name, version = split_model_id(model_id)
            yield {
                "service": service.name,
                "revision": revision.number,
                "position": position,
                "model_name": name,
                "model_version": version,
            }


def _check_models(scope: Scope, service: Service) -> None:
    """Raise ModelNotFoundException where a model of a revision is gone.

    It cannot go between this and the end of the transaction: there is one writer, and a foreign key besides.
    """
    ids = (model_id for revision in service.revisions for model_id in revision.model_ids)
    gone = models.missing(scope, (split_model_id(model_id) for model_id in ids))
    if gone:
        raise models_of_service_not_found(service.name, (f"{name}:{version}" for name, version in gone))
