"""Rows in memory."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from modelport.domain.assets import Asset
from modelport.domain.environments import EnvironmentDefinition, EnvironmentVersion
from modelport.domain.errors import StoreException
from modelport.domain.events import Event, EventType
from modelport.domain.models import ModelChange, ModelDraft, ModelFilter, ModelVersion
from modelport.domain.names import split_model_id
from modelport.domain.services import Service, ServiceFilter
from modelport.domain.tokens import SigningKey
from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.changes import (
    Change,
    asset_change,
    environment_change,
    model_change,
    service_change,
    signing_key_change,
    workspace_change,
)
from modelport.storage.memory.assets import MemoryAssets
from modelport.storage.memory.matching import model_fits, service_fits
from modelport.storage.refusals import (
    model_in_use,
    model_not_found,
    models_of_service_not_found,
    service_exists,
    service_not_found,
    version_given_out,
    workspace_missing,
)


class MemoryStore:
    """A MetadataStore (storage/interface.py says what each method promises)."""

    def __init__(self, *, workspace: str) -> None:
        self._name = workspace
        self._lock = threading.RLock()
        self._record: WorkspaceRecord | None = None
        self._models: dict[tuple[str, int], ModelVersion] = {}
        self._last_versions: Counter[str] = Counter()
        self._environments: dict[str, list[EnvironmentVersion]] = {}
        self._services: dict[str, Service] = {}
        self._assets = MemoryAssets()
        self._signing_keys: list[SigningKey] = []
        self._events: list[Event] = []

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            if self._record is None:
                raise workspace_missing(self._name)
            yield

    def _note(self, change: Change) -> None:
        event = Event(
            number=len(self._events) + 1,
            type=change.type,
            subject=change.subject,
            time=dt.datetime.now(dt.UTC),
            data=change.data,
        )
        self._events.append(event)

    def workspace(self) -> WorkspaceRecord | None:
        return self._record

    def create_workspace(self, record: WorkspaceRecord) -> WorkspaceRecord:
        with self._lock:
            if self._record is None:
                self._record = record
                self._note(workspace_change(EventType.WORKSPACE_CREATED, record.name))
            return self._record

    def update_workspace(
        self,
        *,
        friendly_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        aci: str | None = None,
    ) -> WorkspaceRecord:
        given = {"friendly_name": friendly_name, "description": description, "tags": tags, "aci": aci}
        with self._lock:
            if self._record is None:
                raise workspace_missing(self._name)
            self._record = dataclasses.replace(self._record, **_not_none(given))
            self._note(workspace_change(EventType.WORKSPACE_UPDATED, self._name))
            return self._record

    def add_model(self, draft: ModelDraft, *, version: int | None = None) -> ModelVersion:
        fields = {field.name: getattr(draft, field.name) for field in dataclasses.fields(ModelDraft)}
        with self._writing():
            last = self._last_versions[draft.name]
            if version is not None and version <= last:
                raise version_given_out(draft.name, version, last)
            version = last + 1 if version is None else version
            self._last_versions[draft.name] = version
            model = ModelVersion(**fields, version=version, created_time=dt.datetime.now(dt.UTC))
            self._models[model.name, model.version] = model
            self._note(model_change(EventType.MODEL_REGISTERED, model))
            return model

    def models(self, wanted: ModelFilter) -> list[ModelVersion]:
        with self._lock:
            found = [model for model in self._models.values() if model_fits(model, wanted)]
        found.sort(key=lambda model: (model.name, -model.version))
        if not wanted.latest:
            return found
        newest: dict[str, ModelVersion] = {}
        for model in found:
            newest.setdefault(model.name, model)
        return list(newest.values())

    def change_model(self, name: str, version: int, change: ModelChange) -> ModelVersion:
        given = {field.name: getattr(change, field.name) for field in dataclasses.fields(change)}
        with self._writing():
            changed = dataclasses.replace(self._model(name, version), **_not_none(given))
            self._models[name, version] = changed
            self._note(model_change(EventType.MODEL_UPDATED, changed))
            return changed

    def delete_model(self, name: str, version: int) -> ModelVersion:
        with self._writing():
            model = self._model(name, version)
            users = sorted(service.name for service in self._services.values() if model.id in _all_model_ids(service))
            if users:
                raise model_in_use(name, version, users)
            del self._models[name, version]
            self._note(model_change(EventType.MODEL_DELETED, model))
            return model

    def _model(self, name: str, version: int) -> ModelVersion:
        try:
            return self._models[name, version]
        except KeyError:
            raise model_not_found(name, version) from None

    def referenced_objects(self, digests: Sequence[str]) -> set[str]:
        with self._lock:
            return {file.sha256 for model in self._models.values() for file in model.files} & set(digests)

    def register_environment(self, definition: EnvironmentDefinition) -> EnvironmentVersion:
        with self._writing():
            versions = self._environments.setdefault(definition.name, [])
            if versions and versions[-1].definition == definition:
                return versions[-1]
            versions.append(EnvironmentVersion(definition=definition, version=str(len(versions) + 1)))
            self._note(environment_change(EventType.ENVIRONMENT_REGISTERED, versions[-1]))
            return versions[-1]

    def environments(self, name: str | None = None) -> list[EnvironmentVersion]:
        with self._lock:
            names = sorted(self._environments) if name is None else [name]
            return [version for each in names for version in reversed(self._environments.get(each, []))]

    def service(self, name: str) -> Service | None:
        with self._lock:
            return self._services.get(name)

    def services(self, wanted: ServiceFilter, *, unreadable: dict[str, StoreException] | None = None) -> list[Service]:
        with self._lock:
            found = [service for service in self._services.values() if service_fits(service, wanted)]
        return sorted(found, key=lambda service: service.name)

    def create_service(self, service: Service) -> None:
        with self._writing():
            if service.name in self._services:
                raise service_exists(service.name)
            self._keep_service(service, EventType.SERVICE_CREATED)

    def update_service(self, service: Service) -> None:
        with self._writing():
            if service.name not in self._services:
                raise service_not_found(service.name)
            self._keep_service(service, EventType.SERVICE_UPDATED)

    def _keep_service(self, service: Service, type: EventType) -> None:
        gone = [each for each in dict.fromkeys(_all_model_ids(service)) if split_model_id(each) not in self._models]
        if gone:
            raise models_of_service_not_found(service.name, gone)
        self._services[service.name] = dataclasses.replace(
            service,
            created_time=service.created_time.astimezone(dt.UTC),
            updated_time=service.updated_time.astimezone(dt.UTC),
        )
        self._note(service_change(type, service))

    def delete_service(self, name: str) -> None:
        with self._writing():
            service = self._services.pop(name, None)
            if service is not None:
                self._note(service_change(EventType.SERVICE_DELETED, service))

    def add_asset(
        self, kind: str, name: str, body: Mapping[str, Any], *, created_by: str, unique: bool = False
    ) -> Asset:
        with self._writing():
            asset = self._assets.add(kind, name, body, created_by=created_by, unique=unique)
            self._note(asset_change(EventType.ASSET_CREATED, asset))
            return asset

    def asset(self, kind: str, name: str, version: int | None = None) -> Asset | None:
        with self._lock:
            return next(iter(self._assets.find(kind, name, version=version)), None)

    def assets(self, kind: str, *, name: str | None = None, latest: bool = False) -> list[Asset]:
        with self._lock:
            return self._assets.find(kind, name, latest=latest)

    def replace_asset(self, kind: str, name: str, version: int, body: Mapping[str, Any]) -> Asset:
        with self._writing():
            asset = self._assets.replace(kind, name, version, body)
            self._note(asset_change(EventType.ASSET_UPDATED, asset))
            return asset

    def delete_asset(self, kind: str, name: str, version: int | None = None) -> int:
        with self._writing():
            deleted = self._assets.delete(kind, name, version=version)
            for asset in reversed(deleted):
                self._note(asset_change(EventType.ASSET_DELETED, asset))
            return len(deleted)

    def signing_keys(self) -> list[SigningKey]:
        with self._lock:
            return sorted(self._signing_keys, key=lambda key: key.created_time, reverse=True)

    def keep_signing_key(self, key: SigningKey) -> SigningKey:
        with self._writing():
            for present in self._signing_keys:
                if present.accepted_until is None:
                    return present
            self._add_signing_key(key)
            return key

    def rotate_signing_key(self, key: SigningKey, *, accepted_until: dt.datetime | None) -> None:
        with self._writing():
            kept = [] if accepted_until is None else self._signing_keys
            self._signing_keys = [
                dataclasses.replace(each, accepted_until=each.accepted_until or accepted_until)
                for each in kept
                if each.accepted_until is None or each.accepted_until >= key.created_time
            ]
            self._add_signing_key(key)

    def _add_signing_key(self, key: SigningKey) -> None:
        self._signing_keys.append(key)
        self._note(signing_key_change(self._name, key))

    def events(self, *, after: int = 0, limit: int = 1000) -> list[Event]:
        with self._lock:
            return self._events[after : after + limit]

    def close(self) -> None:
        return None


def _not_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _all_model_ids(service: Service) -> Iterable[str]:
    return [model_id for revision in service.revisions for model_id in revision.model_ids]
