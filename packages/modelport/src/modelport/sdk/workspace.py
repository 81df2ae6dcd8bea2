"""The workspace: where models, environments and services are (azureml-v1 reference, 2.1)."""

from __future__ import annotations

import shutil
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from modelport.composition import Installation, open_workspace, workspace_exists
from modelport.domain.errors import ConflictException, WorkspaceException
from modelport.domain.progress import Progress
from modelport.domain.workspaces import WorkspaceLabels
from modelport.sdk.cloud_only import WORKSPACE_ARGUMENTS, without_effect
from modelport.sdk.console import Console
from modelport.sdk.workspace_config import WorkspaceConfig, read_config, write_config
from modelport.sdk.workspace_contents import WorkspaceContents
from modelport.storage.interface import MetadataStore
from modelport.usecases import tokens
from modelport.usecases.context import Context


class Workspace(WorkspaceContents):
    """A workspace on this machine.

    ``subscription_id``, ``resource_group`` and ``location`` are labels: they are kept and shown, and name nothing.
    """

    def __init__(
        self, subscription_id: str = "", resource_group: str = "", workspace_name: str = "", auth: object = None
    ) -> None:
        """Open the workspace of that name. Raises WorkspaceException where there is none. ``auth`` is not needed."""
        self._take(open_workspace(workspace_name, progress=Console()))

    def _take(self, context: Context) -> None:
        self._context = context
        weakref.finalize(self, context.registry.close)

    @classmethod
    def _opened(cls, context: Context) -> Workspace:
        workspace = cls.__new__(cls)
        workspace._take(context)
        return workspace

    # --- finding and making -------------------------------------------------------------------------------------------

    @staticmethod
    def create(
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        create_resource_group: bool = True,
        *,
        sku: str = "basic",
        tags: Mapping[str, str] | None = None,
        friendly_name: str | None = None,
        description: str | None = None,
        exist_ok: bool = False,
        show_output: bool = True,
        progress: Progress | None = None,
        **cloud_only: object,
    ) -> Workspace:
        """Make a workspace. Raises WorkspaceException where there is one of that name, unless ``exist_ok``.

        A resource group is a label that needs no making. What else only a cloud has is named on the terminal as unused.
        """
        unused = without_effect(cloud_only, known=WORKSPACE_ARGUMENTS, function="Workspace.create")
        if not exist_ok and workspace_exists(name):
            raise WorkspaceException(
                f"The workspace {name!r} exists already.",
                hint="Use exist_ok=True (--exist-ok) to open it, or choose another name.",
            )
        labels = WorkspaceLabels(
            subscription_id=subscription_id or "",
            resource_group=resource_group or "",
            location=location or "local",
            sku=sku,
            tags=dict(tags or {}),
            friendly_name=friendly_name,
            description=description,
        )
        progress = progress or Console(shown=show_output)
        if unused:
            progress.step(f"Not used on this machine: {', '.join(unused)}")
        return Workspace._opened(open_workspace(name, create=labels, progress=progress))

    @staticmethod
    def get(
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        cloud: str | None = None,
        id: str | None = None,
        *,
        progress: Progress | None = None,
    ) -> Workspace:
        """The workspace of that name, which alone finds it here. Raises WorkspaceException where there is none."""
        return Workspace._opened(open_workspace(name, progress=progress or Console()))

    @staticmethod
    def from_config(
        path: str | None = None,
        auth: object = None,
        _logger: object = None,
        _file_name: str | None = None,
        *,
        progress: Progress | None = None,
    ) -> Workspace:
        """The workspace that a ``config.json`` names (see ``read_config``); made on first use."""
        config = read_config(path, file_name=_file_name)
        labels = WorkspaceLabels(subscription_id=config.subscription_id, resource_group=config.resource_group)
        context = open_workspace(config.workspace_name, create=labels, progress=progress or Console())
        return Workspace._opened(context)

    @staticmethod
    def list(
        subscription_id: str | None = None, auth: object = None, resource_group: str | None = None
    ) -> dict[str, list[Workspace]]:
        """The workspaces of this machine, by name; those of the subscription and group, where they are given."""
        found = [Workspace.get(name) for name in Installation.from_environment().workspace_names()]
        return {
            workspace.name: [workspace]
            for workspace in found
            if subscription_id in (None, workspace.subscription_id)
            and resource_group in (None, workspace.resource_group)
        }

    def write_config(self, path: str | None = None, file_name: str | None = None) -> None:
        """Write ``<path or cwd>/.azureml/config.json``, from which ``from_config`` opens this workspace."""
        write_config(WorkspaceConfig(self.subscription_id, self.resource_group, self.name), path, file_name=file_name)

    # --- what it is ---------------------------------------------------------------------------------------------------

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

    # --- what is in it ------------------------------------------------------------------------------------------------

    def jwks(self) -> dict[str, Any]:
        """The public keys that check the access tokens of the services: a JSON Web Key Set (RFC 7517)."""
        return tokens.jwks(self._context)

    # --- changing it --------------------------------------------------------------------------------------------------

    def update(
        self, friendly_name: str | None = None, description: str | None = None, tags: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Replace what is given; returns ``get_details()``."""
        record = self.registry.update_workspace(friendly_name=friendly_name, description=description, tags=tags)
        self._context = replace(self._context, record=record)
        return self.get_details()

    def rotate_token_key(self, *, revoke: bool = False) -> str:
        """Sign access tokens with a new key from now on; returns its id. No service restarts.

        The tokens of the old key are accepted until they expire; with ``revoke``, not at all any more.
        """
        return tokens.rotate_signing_key(self._context, revoke=revoke).id

    def delete(self, delete_dependent_resources: bool = False, no_wait: bool = False) -> None:
        """Remove the workspace with its models from this machine.

        Raises ConflictException while it has services, unless ``delete_dependent_resources`` is True.
        """
        services = self.webservices
        if services and not delete_dependent_resources:
            raise ConflictException(
                f"The workspace {self.name!r} still has the services {', '.join(services)}.",
                hint="Delete them first, or use delete_dependent_resources=True.",
            )
        for service in services.values():
            service.delete()
        self.registry.close()
        shutil.rmtree(self._context.folder)

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
