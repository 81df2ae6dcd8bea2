"""The workspace: where models, environments and services are (azureml-v1 reference, 2.1)."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from modelport.composition import Installation, open_workspace, workspace_exists
from modelport.domain.errors import ConflictException, UserErrorException, WorkspaceException
from modelport.domain.progress import Progress
from modelport.domain.workspaces import WorkspaceLabels
from modelport.sdk.cloud_only import say_unused
from modelport.sdk.console import Console
from modelport.sdk.workspace_cloud import WorkspaceOfACloud
from modelport.sdk.workspace_config import WorkspaceConfig, read_config, write_config
from modelport.sdk.workspace_contents import WorkspaceContents
from modelport.sdk.workspace_opened import OpenedWorkspace
from modelport.targets.chooser import check_aci
from modelport.usecases import tokens
from modelport.usecases.context import Context


class Workspace(WorkspaceContents, WorkspaceOfACloud, OpenedWorkspace):
    """A workspace on this machine.

    ``subscription_id``, ``resource_group`` and ``location`` are labels: they are kept and shown, and name nothing.
    """

    DEFAULT_CPU_CLUSTER_NAME = "cpu-cluster"
    DEFAULT_GPU_CLUSTER_NAME = "gpu-cluster"

    def __init__(
        self,
        subscription_id: str,
        resource_group: str,
        workspace_name: str,
        auth: object = None,
        _location: str | None = None,
        _disable_service_check: bool = False,
        _workspace_id: str | None = None,
        sku: str = "basic",
        tags: Mapping[str, str] | None = None,
        _cloud: str = "AzureCloud",
    ) -> None:
        """Open the workspace of that name. Raises WorkspaceException where there is none.

        The name alone finds it, and what else it is called was said when it was made. ``auth`` is kept and not needed.
        """
        progress = Console()
        self._take(open_workspace(workspace_name, progress=progress), auth)
        say_unused(progress, {"auth": auth, "tags": tags})

    @classmethod
    def _opened(cls, context: Context, auth: object = None) -> Workspace:
        workspace = cls.__new__(cls)
        workspace._take(context, auth)
        say_unused(context.progress, {"auth": auth})
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
        sku: str = "basic",
        tags: Mapping[str, str] | None = None,
        friendly_name: str | None = None,
        storage_account: str | None = None,
        key_vault: str | None = None,
        app_insights: str | None = None,
        container_registry: str | None = None,
        adb_workspace: str | None = None,
        primary_user_assigned_identity: str | None = None,
        cmk_keyvault: str | None = None,
        resource_cmk_uri: str | None = None,
        hbi_workspace: bool = False,
        default_cpu_compute_target: object = None,
        default_gpu_compute_target: object = None,
        private_endpoint_config: object = None,
        private_endpoint_auto_approval: bool = True,
        exist_ok: bool = False,
        show_output: bool = True,
        user_assigned_identity_for_cmk_encryption: str | None = None,
        system_datastores_auth_mode: str = "accessKey",
        *,
        description: str | None = None,
        progress: Progress | None = None,
    ) -> Workspace:
        """Make a workspace. Raises WorkspaceException where there is one of that name, unless ``exist_ok``.

        A resource group is a label that needs no making. What else only a cloud has is named on the terminal as unused.
        """
        given = locals()
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
        workspace = Workspace._opened(open_workspace(name, create=labels, progress=progress), auth)
        workspace._make_default_targets(cpu=default_cpu_compute_target, gpu=default_gpu_compute_target)
        defaults = inspect.signature(Workspace.create).parameters
        say_unused(progress, {name: given[name] != defaults[name].default for name in _CLOUD_ARGUMENTS})
        return workspace

    @staticmethod
    def get(
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        cloud: str = "AzureCloud",
        id: str | None = None,
        *,
        progress: Progress | None = None,
    ) -> Workspace:
        """The workspace of that name, which alone finds it here. Raises WorkspaceException where there is none."""
        return Workspace._opened(open_workspace(name, progress=progress or Console()), auth)

    @staticmethod
    def from_config(
        path: str | None = None,
        auth: object = None,
        _logger: object = None,
        _file_name: str | None = None,
        *,
        progress: Progress | None = None,
    ) -> Workspace:
        """The workspace that a ``config.json`` names (see ``read_config``); made, and said so, on first use."""
        config = read_config(path, file_name=_file_name)
        labels = WorkspaceLabels(subscription_id=config.subscription_id, resource_group=config.resource_group)
        is_new = not workspace_exists(config.workspace_name)
        context = open_workspace(config.workspace_name, create=labels, progress=progress or Console())
        if is_new:
            # Not on the standard output: scripts may read what v1's function printed there, which was nothing.
            name = config.workspace_name
            sys.stderr.write(f"There was no workspace {name!r} on this machine: the file names it, so it is made.\n")
        return Workspace._opened(context, auth)

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

    @staticmethod
    def setup() -> Workspace:
        """Ask on the terminal for a name, open or make the workspace of that name, and write its ``config.json``.

        Raises UserErrorException where there is nobody to ask.
        """
        if not sys.stdin.isatty():
            raise UserErrorException(
                "Workspace.setup() asks questions, and there is no terminal to ask on.",
                hint="Use Workspace.create(name, exist_ok=True) and its write_config().",
            )
        workspace = Workspace.create(input("Name of the workspace [default]: ").strip() or "default", exist_ok=True)
        workspace.write_config()
        return workspace

    def write_config(self, path: str | None = None, file_name: str | None = None) -> None:
        """Write ``<path or cwd>/.azureml/config.json``, from which ``from_config`` opens this workspace."""
        write_config(WorkspaceConfig(self.subscription_id, self.resource_group, self.name), path, file_name=file_name)

    # --- keys of the tokens -------------------------------------------------------------------------------------------

    def jwks(self) -> dict[str, Any]:
        """The public keys that check the access tokens of the services: a JSON Web Key Set (RFC 7517)."""
        return tokens.jwks(self._context)

    # --- changing it --------------------------------------------------------------------------------------------------

    def update(
        self,
        friendly_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        image_build_compute: str | None = None,
        service_managed_resources_settings: object = None,
        primary_user_assigned_identity: str | None = None,
        allow_public_access_when_behind_vnet: bool | None = None,
        *,
        aci: str | None = None,
    ) -> dict[str, Any]:
        """Replace what is given; returns ``get_details()``. What only a cloud has is named as unused.

        ``aci`` says what the container instances are that are deployed from now on: ``container``, ``process``, or
        ``auto``: containers where an engine is set up.
        """
        if aci is not None:
            check_aci(aci, where="aci")
        unused = {
            "image_build_compute": image_build_compute,
            "service_managed_resources_settings": service_managed_resources_settings,
            "primary_user_assigned_identity": primary_user_assigned_identity,
            "allow_public_access_when_behind_vnet": allow_public_access_when_behind_vnet,
        }
        say_unused(self._context.progress, unused)
        record = self.registry.update_workspace(
            friendly_name=friendly_name, description=description, tags=tags, aci=aci
        )
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


_CLOUD_ARGUMENTS = (
    "storage_account",
    "key_vault",
    "app_insights",
    "container_registry",
    "adb_workspace",
    "primary_user_assigned_identity",
    "cmk_keyvault",
    "resource_cmk_uri",
    "hbi_workspace",
    "private_endpoint_config",
    "private_endpoint_auto_approval",
    "user_assigned_identity_for_cmk_encryption",
    "system_datastores_auth_mode",
)
"""Arguments of ``create``."""
