"""What an open workspace says of itself (azureml-v1 reference, 2.1)."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

from modelport.storage.interface import MetadataStore
from modelport.usecases.context import Context


class OpenedWorkspace:
    """The names of ``Workspace``, and what its parts work with."""

    def _take(self, context: Context, auth: object = None) -> None:
        self._context = context
        self._auth_object = auth
        weakref.finalize(self, context.registry.close)

    @property
    def name(self) -> str:
        return self._context.record.name

    @property
    def subscription_id(self) -> str:
        return self._context.record.subscription_id or _NONE_GIVEN

    @property
    def resource_group(self) -> str:
        return self._context.record.resource_group or "local"

    @property
    def location(self) -> str:
        return self._context.record.location

    @property
    def sku(self) -> str:
        return self._context.record.sku

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._context.record.tags)

    @property
    def folder(self) -> Path:
        """Where this machine keeps the workspace."""
        return self._context.folder

    @property
    def context(self) -> Context:
        """What the use cases work with."""
        return self._context

    @property
    def registry(self) -> MetadataStore:
        return self._context.registry

    def get_details(self) -> dict[str, Any]:
        """The workspace as a dictionary with the keys that v1 had; what only a cloud has is None."""
        record = self._context.record
        own = {
            "id": f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}/providers/"
            f"Microsoft.MachineLearningServices/workspaces/{record.name}",
            "name": record.name,
            "location": record.location,
            "type": "Microsoft.MachineLearningServices/workspaces",
            "tags": dict(record.tags),
            "sku": record.sku,
            "workspaceid": record.id,
            "description": record.description,
            "friendlyName": record.friendly_name or record.name,
            "creationTime": record.created_time.isoformat(),
            "hbiWorkspace": False,
            "provisioningState": "Succeeded",
            "storageAccount": str(self._context.folder / "objects"),
        }
        return own | dict.fromkeys(_CLOUD_ONLY)

    def __repr__(self) -> str:
        return (
            f"Workspace.create(name={self.name!r}, subscription_id={self.subscription_id!r}, "
            f"resource_group={self.resource_group!r})"
        )


_NONE_GIVEN = "00000000-0000-0000-0000-000000000000"
_CLOUD_ONLY = (
    "identityPrincipalId",
    "identityTenantId",
    "identityType",
    "containerRegistry",
    "keyVault",
    "applicationInsights",
    "imageBuildCompute",
    "discoveryUrl",
    "notebookInfo",
)
