"""The parts of a cloud's service, as v1 had them as objects (azureml-v1 reference, 2.8, 2.9 and 4.7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from modelport.domain.deployments import Autoscale, Deployment, Placement, Probe, Resources


def plain(number: float | None) -> float | None:
    """As JSON of v1 had it: without a fraction where there is none."""
    return int(number) if number is not None and number == int(number) else number


@dataclass(frozen=True, kw_only=True)
class AutoScaler:
    """How many replicas there are, by how busy they are."""

    autoscale_enabled: bool | None = None
    max_replicas: int | None = None
    min_replicas: int | None = None
    refresh_period_seconds: float | None = None
    target_utilization: float | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> AutoScaler:
        asked = deployment.autoscale or Autoscale()
        return cls(
            autoscale_enabled=asked.enabled,
            max_replicas=asked.max_replicas,
            min_replicas=asked.min_replicas,
            refresh_period_seconds=plain(asked.refresh_s),
            target_utilization=plain(asked.target_utilization),
        )

    def serialize(self) -> dict[str, Any]:
        return {
            "autoscaleEnabled": self.autoscale_enabled,
            "minReplicas": self.min_replicas,
            "maxReplicas": self.max_replicas,
            "refreshPeriodInSeconds": self.refresh_period_seconds,
            "targetUtilization": self.target_utilization,
        }


@dataclass(frozen=True, kw_only=True)
class ContainerResourceRequirements:
    """What a replica may use. A container instance has no limits beyond what it asks for."""

    cpu: float | None = None
    memory_in_gb: float | None = None
    gpu: int | None = None
    cpu_limit: float | None = None
    memory_in_gb_limit: float | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> ContainerResourceRequirements:
        asked = deployment.resources or Resources()
        return cls(
            cpu=asked.cpu,
            memory_in_gb=asked.memory_gb,
            gpu=deployment.gpu_cores,
            cpu_limit=asked.cpu_limit,
            memory_in_gb_limit=asked.memory_gb_limit,
        )

    def serialize(self) -> dict[str, Any]:
        return {
            "cpu": self.cpu,
            "cpuLimit": self.cpu_limit,
            "memoryInGB": self.memory_in_gb,
            "memoryInGBLimit": self.memory_in_gb_limit,
            "gpu": self.gpu,
        }


@dataclass(frozen=True, kw_only=True)
class LivenessProbeRequirements:
    """How a cluster would have asked whether a replica lives."""

    period_seconds: float | None = None
    initial_delay_seconds: float | None = None
    timeout_seconds: float | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None

    @classmethod
    def of(cls, deployment: Deployment) -> LivenessProbeRequirements:
        asked = deployment.probe or Probe()
        return cls(
            period_seconds=plain(asked.period_s),
            initial_delay_seconds=plain(asked.initial_delay_s),
            timeout_seconds=plain(asked.timeout_s),
            success_threshold=asked.success_threshold,
            failure_threshold=asked.failure_threshold,
        )

    def serialize(self) -> dict[str, Any]:
        return {
            "periodSeconds": self.period_seconds,
            "initialDelaySeconds": self.initial_delay_seconds,
            "timeoutSeconds": self.timeout_seconds,
            "successThreshold": self.success_threshold,
            "failureThreshold": self.failure_threshold,
        }


@dataclass(frozen=True, kw_only=True)
class DataCollection:
    """Whether the script's ``ModelDataCollector`` is to store what it is given."""

    event_hub_enabled: bool = False
    storage_enabled: bool = False

    def serialize(self) -> dict[str, Any]:
        return {"eventHubEnabled": self.event_hub_enabled, "storageEnabled": self.storage_enabled}


@dataclass(frozen=True, kw_only=True)
class EncryptionProperties:
    """The customer's key that a cloud would have encrypted with."""

    cmk_vault_base_url: str | None = None
    cmk_key_name: str | None = None
    cmk_key_version: str | None = None

    @classmethod
    def of(cls, placement: Placement) -> EncryptionProperties:
        return cls(
            cmk_vault_base_url=placement.cmk_vault_base_url,
            cmk_key_name=placement.cmk_key_name,
            cmk_key_version=placement.cmk_key_version,
        )

    def serialize(self) -> dict[str, Any]:
        return {
            "vaultBaseUrl": self.cmk_vault_base_url,
            "keyName": self.cmk_key_name,
            "keyVersion": self.cmk_key_version,
        }


@dataclass(frozen=True, kw_only=True)
class VnetConfiguration:
    """The network that a cloud would have put the service into."""

    vnet_name: str | None = None
    subnet_name: str | None = None

    @classmethod
    def of(cls, placement: Placement) -> VnetConfiguration:
        return cls(vnet_name=placement.vnet_name, subnet_name=placement.subnet_name)

    def serialize(self) -> dict[str, Any]:
        return {"vnetName": self.vnet_name, "subnetName": self.subnet_name}


@dataclass(frozen=True, kw_only=True)
class DeploymentStatus:
    """How many replicas there are, and how many take requests."""

    replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0
    error: str | None = None

    def serialize(self) -> dict[str, Any]:
        return {
            "replicas": self.replicas,
            "updatedReplicas": self.updated_replicas,
            "availableReplicas": self.available_replicas,
            "error": self.error,
        }
