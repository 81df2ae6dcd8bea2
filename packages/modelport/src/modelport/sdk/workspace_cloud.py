"""Members of ``Workspace`` for what only v1's cloud had (azureml-v1 reference, 2.1); each says what it does instead."""

from __future__ import annotations

from typing import Any

from modelport.composition import Installation, open_workspace
from modelport.domain.errors import WorkspaceException
from modelport.sdk.cloud_only import say_unused
from modelport.sdk.workspace_opened import OpenedWorkspace
from modelport.usecases.checks import Verdict

_KEYS = (
    "userStorageKey",
    "userStorageResourceId",
    "appInsightsInstrumentationKey",
    "containerRegistryCredentials",
    "notebookAccessKeys",
)
_DIAGNOSES = (
    "userDefinedRouteResults",
    "networkSecurityRuleResults",
    "resourceLockResults",
    "dnsResolutionResults",
    "storageAccountResults",
    "keyVaultResults",
    "containerRegistryResults",
    "applicationInsightsResults",
)
_LEVELS = {Verdict.OK: "Information", Verdict.WARNING: "Warning", Verdict.PROBLEM: "Error"}


class AbsentMember(NotImplementedError, AttributeError):
    """A member that a workspace here has not. To ``hasattr`` and ``inspect.getmembers`` that is nothing unusual."""


class WorkspaceOfACloud(OpenedWorkspace):
    """Storage accounts, networks and connections: a workspace on this machine has none."""

    @property
    def discovery_url(self) -> str:
        """Where the workspace is: its folder, as a URL."""
        return self.folder.as_uri()

    @property
    def service_context(self) -> Any:
        """Raises NotImplementedError: what v1 kept there, the addresses of its services, a workspace here has not."""
        raise AbsentMember(
            "A workspace on this machine has no service_context: it is opened by its name, and its services have "
            "scoring_uri and swagger_uri."
        )

    @property
    def private_endpoints(self) -> dict[str, Any]:
        """Empty: there is no private network."""
        return {}

    @property
    def linked_services(self) -> dict[str, Any]:
        """Empty: no service of a cloud is linked."""
        return {}

    def list_keys(self) -> dict[str, Any]:
        """The keys of v1, each None: there is no storage account and no registry that would have one."""
        self.context.progress.step("There are no keys: the files of this workspace are in " + str(self.folder))
        return dict.fromkeys(_KEYS)

    def sync_keys(self, no_wait: bool = False) -> None:
        """Says that there are no keys to take over."""
        self.context.progress.step("There are no keys of a storage account or a registry that could have changed.")

    def update_dependencies(self, container_registry: str | None = None, force: bool = False) -> dict[str, Any]:
        """Says that no registry is used, and returns ``get_details()``."""
        say_unused(self.context.progress, {"container_registry": container_registry})
        return self.get_details()

    def diagnose_workspace(self, diagnose_parameters: object = None) -> dict[str, Any]:
        """What ``modelport doctor`` finds on this machine and in this workspace, in the form of v1's answer."""
        from modelport.usecases.doctor import Machine, examine  # noqa: PLC0415 - it knows clients of engines and clusters

        home = Installation.from_environment().home
        checks = examine(Machine(home=home, workspaces={self.name: lambda: open_workspace(self.name)}))
        found = [
            {"code": check.name, "level": _LEVELS[check.verdict], "message": f"{check.finding} {check.hint}".strip()}
            for check in checks
        ]
        return {"value": {**{key: [] for key in _DIAGNOSES}, "otherResults": found}}

    def get_mlflow_tracking_uri(self) -> str:
        """A folder of the workspace, as MLflow names one: ``mlflow.set_tracking_uri`` then records there."""
        return (self.folder / "mlruns").as_uri()

    # --- networks and connections -------------------------------------------------------------------------------------

    def add_private_endpoint(
        self,
        private_endpoint_config: object,
        private_endpoint_auto_approval: bool = True,
        location: str | None = None,
        show_output: bool = True,
        tags: object = None,
    ) -> None:
        """Raises WorkspaceException: there is no private network."""
        raise _no_network()

    def delete_private_endpoint_connection(self, private_endpoint_connection_name: str) -> None:
        """Raises WorkspaceException: there is no private network."""
        raise _no_network()

    def set_connection(self, name: str, category: str, target: str, authType: str, value: str) -> None:
        """Raises WorkspaceException: what a connection was for, this machine's own settings say."""
        raise WorkspaceException(
            f"The connection {name!r} cannot be kept: a workspace on this machine has no connections.",
            hint="Package indexes and their credentials are taken from pip's and uv's settings, git's from git.",
        )

    def list_connections(self, category: str | None = None, target: str | None = None) -> list[Any]:
        """Empty."""
        return []

    def get_connection(self, name: str) -> None:
        """Raises WorkspaceException: there are none."""
        raise WorkspaceException(f"There is no connection named {name!r}: a workspace on this machine has none.")

    def delete_connection(self, name: str) -> None:
        """Raises WorkspaceException: there are none."""
        self.get_connection(name)


def _no_network() -> WorkspaceException:
    return WorkspaceException(
        "A workspace on this machine has no private endpoints.",
        hint="Services listen on this machine only, unless a deployment asks for another host.",
    )
