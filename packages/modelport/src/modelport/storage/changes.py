"""The events that changes leave behind: subject and data, the same from every store.

The keys of the data are those of the published event payloads (azureml-v1 reference, section on events).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelport.domain.assets import Asset
from modelport.domain.environments import EnvironmentVersion
from modelport.domain.events import EventType
from modelport.domain.models import ModelVersion
from modelport.domain.services import Service
from modelport.domain.tokens import SigningKey


@dataclass(frozen=True, kw_only=True)
class Change:
    """An event before it has a number and a time."""

    type: EventType
    subject: str
    data: Mapping[str, str] = field(default_factory=dict)


def workspace_change(type: EventType, name: str) -> Change:
    return Change(type=type, subject=f"workspaces/{name}", data={"WorkspaceName": name})


def model_change(type: EventType, model: ModelVersion) -> Change:
    return Change(
        type=type,
        subject=f"models/{model.id}",
        data={"ModelName": model.name, "ModelVersion": str(model.version)},
    )


def environment_change(type: EventType, environment: EnvironmentVersion) -> Change:
    name = environment.definition.name
    return Change(
        type=type,
        subject=f"environments/{name}:{environment.version}",
        data={"EnvironmentName": name, "EnvironmentVersion": environment.version},
    )


def service_change(type: EventType, service: Service) -> Change:
    return Change(
        type=type,
        subject=f"services/{service.name}",
        data={
            "ServiceName": service.name,
            "ServiceComputeType": service.compute_type,
            "ModelIds": ",".join(service.model_ids),
        },
    )


def asset_change(type: EventType, asset: Asset) -> Change:
    return Change(
        type=type,
        subject=f"assets/{asset.kind}/{asset.id}",
        data={"AssetKind": asset.kind, "AssetName": asset.name, "AssetVersion": str(asset.version)},
    )


def signing_key_change(workspace: str, key: SigningKey) -> Change:
    return Change(
        type=EventType.TOKEN_KEY_CREATED,
        subject=f"workspaces/{workspace}",
        data={"WorkspaceName": workspace, "KeyId": key.id},
    )
