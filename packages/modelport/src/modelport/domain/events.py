"""Events: one for every change, written in the transaction that makes the change."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class EventType(StrEnum):
    WORKSPACE_CREATED = "WorkspaceCreated"
    WORKSPACE_UPDATED = "WorkspaceUpdated"
    MODEL_REGISTERED = "ModelRegistered"
    MODEL_UPDATED = "ModelUpdated"
    MODEL_DELETED = "ModelDeleted"
    ENVIRONMENT_REGISTERED = "EnvironmentRegistered"
    SERVICE_CREATED = "ServiceCreated"
    SERVICE_UPDATED = "ServiceUpdated"
    SERVICE_DELETED = "ServiceDeleted"
    ASSET_CREATED = "AssetCreated"
    ASSET_UPDATED = "AssetUpdated"
    ASSET_DELETED = "AssetDeleted"
    TOKEN_KEY_CREATED = "TokenKeyCreated"  # noqa: S105 - the name of an event


@dataclass(frozen=True, kw_only=True)
class Event:
    """One change. ``number`` grows with time within a workspace; ``subject`` is ``workspaces/{name}``,
    ``models/{name}:{version}``, ``environments/{name}:{version}``, ``services/{name}`` or
    ``assets/{kind}/{name}:{version}``."""

    number: int
    type: EventType
    subject: str
    time: dt.datetime
    data: Mapping[str, str] = field(default_factory=dict)
