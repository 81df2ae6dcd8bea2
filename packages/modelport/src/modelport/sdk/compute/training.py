"""Clusters and machines that v1 trained on: names that runs are sent to (azureml-v1 reference, 2.11)."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.compute import Compute
from modelport.sdk.compute.target import ComputeTarget, ComputeTargetConfiguration
from modelport.sdk.console import Console
from modelport.usecases import compute_targets

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace

_RUNS_HERE = "runs that are sent to it run on this machine"


@dataclass(frozen=True, kw_only=True)
class ScaleSettings:
    """How many nodes a training cluster was to have."""

    minimum_node_count: int
    maximum_node_count: int | None
    idle_seconds_before_scaledown: int


@dataclass(frozen=True, kw_only=True)
class AmlComputeStatus:
    """The nodes of a training cluster: there are none."""

    scale_settings: ScaleSettings
    vm_size: str | None
    vm_priority: str
    allocation_state: str = "Steady"
    current_node_count: int = 0
    target_node_count: int = 0
    provisioning_state: str = "Succeeded"
    errors: None = None

    def serialize(self) -> dict[str, Any]:
        """With the keys of v1."""
        scale = self.scale_settings
        return {
            "allocationState": self.allocation_state,
            "currentNodeCount": self.current_node_count,
            "targetNodeCount": self.target_node_count,
            "provisioningState": self.provisioning_state,
            "errors": self.errors,
            "vmSize": self.vm_size,
            "vmPriority": self.vm_priority,
            "scaleSettings": {
                "minNodeCount": scale.minimum_node_count,
                "maxNodeCount": scale.maximum_node_count,
                "nodeIdleTimeBeforeScaleDown": f"PT{scale.idle_seconds_before_scaledown}S",
            },
        }


class AmlCompute(ComputeTarget):
    """A training cluster by its name."""

    _compute_type: ClassVar[str] = "AmlCompute"
    _instead: ClassVar[str] = _RUNS_HERE
    _defaults: ClassVar[Mapping[str, Any]] = {
        "vm_priority": "dedicated",
        "min_nodes": 0,
        "idle_seconds_before_scaledown": 1800,
    }

    def _take(self, compute: Compute) -> None:
        super()._take(compute)
        self.vm_size = self._setting("vm_size")
        self.vm_priority = self._setting("vm_priority")
        self.admin_username = self._setting("admin_username")
        self.subnet_id = self._setting("subnet_name")
        self.scale_settings = ScaleSettings(
            minimum_node_count=self._setting("min_nodes"),
            maximum_node_count=self._setting("max_nodes"),
            idle_seconds_before_scaledown=self._setting("idle_seconds_before_scaledown"),
        )
        self.status = AmlComputeStatus(
            scale_settings=self.scale_settings, vm_size=self.vm_size, vm_priority=self.vm_priority
        )

    @staticmethod
    def provisioning_configuration(  # type: ignore[override]
        vm_size: str = "",
        vm_priority: str = "dedicated",
        min_nodes: int = 0,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int = 1800,
        admin_username: str | None = None,
        admin_user_password: str | None = None,
        admin_user_ssh_key: str | None = None,
        vnet_resourcegroup_name: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        remote_login_port_public_access: str = "NotSpecified",
        identity_type: str | None = None,
        identity_id: Sequence[str] | None = None,
        location: str | None = None,
    ) -> ComputeTargetConfiguration:
        """A configuration of a training cluster, kept and shown; passwords are not kept."""
        return configuration_of(AmlCompute, locals())

    def get_status(self) -> AmlComputeStatus:
        """Its nodes: none."""
        self.refresh_state()
        return self.status

    def wait_for_completion(  # type: ignore[override]
        self,
        show_output: bool = False,
        min_node_count: int | None = None,
        timeout_in_minutes: float = 25,
        is_delete_operation: bool = False,
    ) -> None:
        """Nothing is to be waited for."""
        super().wait_for_completion(show_output, is_delete_operation)

    def update(
        self,
        min_nodes: int | None = None,
        max_nodes: int | None = None,
        idle_seconds_before_scaledown: int | None = None,
    ) -> None:
        """Keep other numbers."""
        given = {name: value for name, value in locals().items() if name != "self" and value is not None}
        context, settings = self.workspace.context, {**self._compute.settings, **given}
        self._change(lambda: compute_targets.change_compute(context, self.name, settings=settings))

    def list_nodes(self) -> builtins.list[dict[str, Any]]:
        """None."""
        return []

    @staticmethod
    def supported_vmsizes(workspace: Workspace, location: str | None = None) -> builtins.list[dict[str, Any]]:
        """The one there is: this machine."""
        memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        return [{"name": "this_machine", "vCPUs": os.cpu_count(), "gpus": 0, "memoryGB": round(memory_gb, 1)}]

    def serialize(self) -> dict[str, Any]:
        """With what a training cluster has besides."""
        return {
            **super().serialize(),
            "vmSize": self.vm_size,
            "vmPriority": self.vm_priority,
            "scaleSettings": asdict(self.scale_settings),
            "status": self.status.serialize(),
        }


class ComputeInstance(ComputeTarget):
    """A workstation by its name."""

    _compute_type: ClassVar[str] = "ComputeInstance"
    _instead: ClassVar[str] = _RUNS_HERE

    def _take(self, compute: Compute) -> None:
        super()._take(compute)
        self.vm_size = self._setting("vm_size")
        self.state = self._setting("state") or "Running"

    @staticmethod
    def provisioning_configuration(  # type: ignore[override]
        vm_size: str = "",
        ssh_public_access: bool = False,
        admin_user_ssh_public_key: str | None = None,
        vnet_resourcegroup_name: str | None = None,
        vnet_name: str | None = None,
        subnet_name: str | None = None,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        assigned_user_object_id: str | None = None,
        assigned_user_tenant_id: str | None = None,
    ) -> ComputeTargetConfiguration:
        """A configuration of a workstation, kept and shown."""
        return configuration_of(ComputeInstance, locals())

    def start(self, wait_for_completion: bool = False, show_output: bool = False) -> None:
        """Keep that it runs; this machine does."""
        self._keep_state("Running", show_output=show_output)

    def stop(self, wait_for_completion: bool = False, show_output: bool = False) -> None:
        """Keep that it is stopped; this machine goes on."""
        self._keep_state("Stopped", show_output=show_output)

    def restart(self, wait_for_completion: bool = False, show_output: bool = False) -> None:
        """Keep that it runs; this machine goes on."""
        self._keep_state("Running", show_output=show_output)

    def _keep_state(self, state: str, *, show_output: bool) -> None:
        context, settings = self.workspace.context, {**self._compute.settings, "state": state}
        self._change(lambda: compute_targets.change_compute(context, self.name, settings=settings))
        if show_output:
            Console().step(f"ComputeInstance {self.name!r} is {state}, as a name: this machine is as it was")


def configuration_of(
    kind: type[ComputeTarget], given: Mapping[str, Any], *, is_attached: bool = False
) -> ComputeTargetConfiguration:
    """A configuration with these parameters; labels are the target's own."""
    settings = {name: value for name, value in given.items() if name not in ("tags", "description")}
    return ComputeTargetConfiguration(
        compute_class=kind,
        settings=settings,
        is_attached=is_attached,
        tags=given.get("tags"),
        description=given.get("description"),
    )
