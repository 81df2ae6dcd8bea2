"""MetadataStore on a database: each method is one transaction around the statements of the modules beside this one."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.domain.assets import Asset
from modelport.domain.environments import EnvironmentDefinition, EnvironmentVersion
from modelport.domain.errors import StoreException
from modelport.domain.events import Event
from modelport.domain.models import ModelChange, ModelDraft, ModelFilter, ModelVersion
from modelport.domain.services import Service, ServiceFilter
from modelport.domain.tokens import SigningKey
from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.sql import assets, environments, events, models, schema, services, signing_keys, workspaces
from modelport.storage.sql.database import Database, connect
from modelport.storage.sql.scope import Scope


def open_sql(location: str | Path, *, workspace: str, lock_timeout_s: float = 30.0) -> SqlStore:
    """Open the rows of a workspace, and bring the tables up to date.

    ``location`` is the path of an SQLite file, which is created where there is none, or a URL (``sqlite:///…``,
    ``postgresql://…``, ``postgres://…``). ``lock_timeout_s``: how long a change waits for those of others. Raises
    StoreException where the database is damaged, cannot be written or reached, or was written by a newer Modelport.
    """
    database = connect(location, lock_timeout_s=lock_timeout_s)
    try:
        schema.bring_up_to_date(database)
    except BaseException:
        database.engine.dispose()
        raise
    return SqlStore(database, workspace=workspace)


class SqlStore:
    """A MetadataStore (storage/interface.py says what each method promises)."""

    def __init__(self, database: Database, *, workspace: str) -> None:
        self._database = database
        self._workspace = workspace

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Scope]:
        with self._database.reading() as connection:
            yield Scope(connection, self._workspace)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Scope]:
        """Raises WorkspaceException where the workspace was not created: its rows would belong to nothing."""
        with self._database.writing(self._workspace) as connection:
            scope = Scope(connection, self._workspace)
            workspaces.required(scope)
            yield scope

    def workspace(self) -> WorkspaceRecord | None:
        with self._reading() as scope:
            return workspaces.read(scope)

    def create_workspace(self, record: WorkspaceRecord) -> WorkspaceRecord:
        if record.name != self._workspace:
            raise ValueError(f"the store of {self._workspace!r} cannot keep {record.name!r}")
        with self._database.writing(self._workspace) as connection:
            return workspaces.create(Scope(connection, self._workspace), record)

    def update_workspace(
        self,
        *,
        friendly_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        aci: str | None = None,
    ) -> WorkspaceRecord:
        given = {"friendly_name": friendly_name, "description": description, "tags": tags, "aci": aci}
        with self._writing() as scope:
            return workspaces.update(scope, {key: value for key, value in given.items() if value is not None})

    def add_model(self, draft: ModelDraft, *, version: int | None = None) -> ModelVersion:
        with self._writing() as scope:
            return models.add(scope, draft, version=version)

    def models(self, wanted: ModelFilter) -> list[ModelVersion]:
        with self._reading() as scope:
            return models.find(scope, wanted)

    def change_model(self, name: str, version: int, change: ModelChange) -> ModelVersion:
        with self._writing() as scope:
            return models.change(scope, name, version, change)

    def delete_model(self, name: str, version: int) -> ModelVersion:
        with self._writing() as scope:
            return models.delete(scope, name, version)

    def referenced_objects(self, digests: Sequence[str]) -> set[str]:
        # Waits like a writer: a registration that is being committed by the database, though its process was killed,
        # must count.
        with self._database.writing(self._workspace) as connection:
            return models.referenced(Scope(connection, self._workspace), digests)

    def register_environment(self, definition: EnvironmentDefinition) -> EnvironmentVersion:
        with self._writing() as scope:
            return environments.register(scope, definition)

    def environments(self, name: str | None = None) -> list[EnvironmentVersion]:
        with self._reading() as scope:
            return environments.find(scope, name)

    def service(self, name: str) -> Service | None:
        with self._reading() as scope:
            return services.read(scope, name)

    def services(self, wanted: ServiceFilter, *, unreadable: dict[str, StoreException] | None = None) -> list[Service]:
        with self._reading() as scope:
            return services.find(scope, wanted, unreadable)

    def create_service(self, service: Service) -> None:
        with self._writing() as scope:
            services.create(scope, service)

    def update_service(self, service: Service) -> None:
        with self._writing() as scope:
            services.update(scope, service)

    def delete_service(self, name: str) -> None:
        with self._writing() as scope:
            services.delete(scope, name)

    def add_asset(
        self, kind: str, name: str, body: Mapping[str, Any], *, created_by: str, unique: bool = False
    ) -> Asset:
        with self._writing() as scope:
            return assets.add(scope, kind, name, body, created_by=created_by, unique=unique)

    def asset(self, kind: str, name: str, version: int | None = None) -> Asset | None:
        with self._reading() as scope:
            return next(iter(assets.find(scope, kind, name, version=version, latest=version is None)), None)

    def assets(self, kind: str, *, name: str | None = None, latest: bool = False) -> list[Asset]:
        with self._reading() as scope:
            return assets.find(scope, kind, name, latest=latest)

    def replace_asset(self, kind: str, name: str, version: int, body: Mapping[str, Any]) -> Asset:
        with self._writing() as scope:
            return assets.replace(scope, kind, name, version, body)

    def delete_asset(self, kind: str, name: str, version: int | None = None) -> int:
        with self._writing() as scope:
            return assets.delete(scope, kind, name, version=version)

    def signing_keys(self) -> list[SigningKey]:
        with self._reading() as scope:
            return signing_keys.find(scope)

    def keep_signing_key(self, key: SigningKey) -> SigningKey:
        with self._writing() as scope:
            return signing_keys.keep(scope, key)

    def rotate_signing_key(self, key: SigningKey, *, accepted_until: dt.datetime | None) -> None:
        with self._writing() as scope:
            signing_keys.rotate(scope, key, accepted_until=accepted_until)

    def events(self, *, after: int = 0, limit: int = 1000) -> list[Event]:
        with self._reading() as scope:
            return events.read(scope, after=after, limit=limit)

    def close(self) -> None:
        self._database.engine.dispose()
