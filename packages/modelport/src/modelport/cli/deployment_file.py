"""Deployment configuration files, ``--dc`` (azureml-v1 reference, 4.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.cli.files import Keys, read_document
from modelport.domain.deployments import ComputeType
from modelport.domain.errors import UserErrorException

_TEXTS = {
    "host": "host",
    "sslCertificate": "ssl_cert_pem_file",
    "sslKey": "ssl_key_pem_file",
    "cname": "ssl_cname",
    "location": "location",
    "dnsNameLabel": "dns_name_label",
    "namespace": "namespace",
    "vnetName": "vnet_name",
    "subnetName": "subnet_name",
    "cmkVaultBaseUrl": "cmk_vault_base_url",
    "cmkKeyName": "cmk_key_name",
    "cmkKeyVersion": "cmk_key_version",
    "versionName": "version_name",
    "workerStart": "worker_start",
    "errorMode": "error_mode",
    "description": "description",
    "keys.primaryKey": "primary_key",
    "keys.secondaryKey": "secondary_key",
}
_TRUTHS = {
    "authEnabled": "auth_enabled",
    "tokenAuthEnabled": "token_auth_enabled",
    "sslEnabled": "ssl_enabled",
    "appInsightsEnabled": "enable_app_insights",
    "warmUp": "warm_up",
    "autoScaler.autoscaleEnabled": "autoscale_enabled",
    "dataCollection.storageEnabled": "collect_model_data",
}
_WHOLE = {
    "port": "port",
    "gpuCores": "gpu_cores",
    "containerResourceRequirements.gpu": "gpu_cores",
    "workers": "workers",
    "serverProcesses": "server_processes",
    "numReplicas": "num_replicas",
    "scoringTimeoutMs": "scoring_timeout_ms",
    "maxConcurrentRequestsPerContainer": "replica_max_concurrent_requests",
    "maxQueueWaitMs": "max_request_wait_time",
    "autoScaler.minReplicas": "autoscale_min_replicas",
    "autoScaler.maxReplicas": "autoscale_max_replicas",
    "livenessProbeRequirements.successThreshold": "success_threshold",
    "livenessProbeRequirements.failureThreshold": "failure_threshold",
}
_NUMBERS = {
    "trafficPercentile": "traffic_percentile",
    "containerResourceRequirements.cpu": "cpu_cores",
    "containerResourceRequirements.cpuLimit": "cpu_cores_limit",
    "containerResourceRequirements.memoryInGB": "memory_gb",
    "containerResourceRequirements.memoryInGBLimit": "memory_gb_limit",
    "autoScaler.refreshPeriodInSeconds": "autoscale_refresh_seconds",
    "autoScaler.targetUtilization": "autoscale_target_utilization",
    "livenessProbeRequirements.periodSeconds": "period_seconds",
    "livenessProbeRequirements.initialDelaySeconds": "initial_delay_seconds",
    "livenessProbeRequirements.timeoutSeconds": "timeout_seconds",
}
_READINGS = ((Keys.text, _TEXTS), (Keys.truth, _TRUTHS), (Keys.whole, _WHOLE), (Keys.number, _NUMBERS))
_KEYS = {setting: key for _, names in _READINGS for key, setting in names.items() if key != "gpuCores"}


@dataclass(frozen=True)
class DeploymentFile:
    """A deployment configuration file."""

    settings: dict[str, Any]
    """Arguments of the ``deploy_configuration`` of whatever kind of target: each has some of them."""
    unknown: list[str] = field(default_factory=list)
    """Keys that no kind of target has."""
    compute_type: ComputeType | None = None
    """None: the file does not say."""


def read_deployment(path: Path) -> DeploymentFile:
    """Read the file. Raises UserErrorException, also for a target that there is none of."""
    keys = _Sections(read_document(path, flag="--deploy-config-file"), path)
    kind = keys.own.text("computeType")
    settings: dict[str, Any] = {}
    for read, names in _READINGS:
        for key, setting in names.items():
            value = keys.read(read, key)
            settings.setdefault(setting, value)
            if value is not None:
                settings[setting] = value
    settings |= {
        "batching": _with_underscores(keys.own.switch_or_table("batching")),
        "cors_origins": keys.own.lines("corsOrigins"),
        "telemetry": _with_underscores(keys.own.table("telemetry")) or None,
        "limits": _limits(keys.own) or None,
        "tags": keys.own.texts("tags") or None,
        "properties": keys.own.texts("properties") or None,
    }
    compute_type = None if kind is None else compute_type_of(kind, where=f"{path}: computeType")
    return DeploymentFile(without_none(settings), keys.rest(), compute_type)


class _Sections:
    """The keys of a file and those of the objects in it, as ``keys.primaryKey``."""

    def __init__(self, document: Mapping[str, Any], path: Path) -> None:
        self.own = Keys(document, where=str(path))
        sections = dict.fromkeys(key.partition(".")[0] for _, names in _READINGS for key in names if "." in key)
        self._sections = {name: Keys(self.own.table(name), where=f"{path}: {name!r}") for name in sections}

    def read(self, reading: Any, key: str) -> Any:
        section, _, rest = key.rpartition(".")
        return reading(self._sections[section] if section else self.own, rest)

    def rest(self) -> list[str]:
        return [*self.own.rest(), *(f"{name}.{key}" for name, keys in self._sections.items() for key in keys.rest())]


def _limits(keys: Keys) -> dict[str, float]:
    return {name: number(value, name) for name, value in _with_underscores(keys.table("limits")).items()}


def _with_underscores(given: Any) -> Any:
    """Keys within a key are written as ``maxRequests`` or ``max_requests``."""
    if not isinstance(given, dict):
        return given
    return {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", str(name)): value for name, value in given.items()}


def key_of(setting: str) -> str:
    """The key of the file that the setting comes from."""
    first, *rest = setting.split("_")
    return _KEYS.get(setting) or first + "".join(word.capitalize() for word in rest)


def compute_type_of(given: str, *, where: str) -> ComputeType:
    """The kind of target; the case does not matter. Raises UserErrorException where there is none of that name."""
    try:
        return ComputeType(given)
    except ValueError:
        known = ", ".join(kind.value.lower() for kind in ComputeType)
        raise UserErrorException(
            f"{where} {given!r}: this Modelport has no such target. It has: {known}.",
            hint="Services of each kind run on this machine; local is the one that says so.",
        ) from None


def without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What was said."""
    return {key: value for key, value in settings.items() if value is not None}


def number(value: object, name: str) -> float:
    """A limit. Raises UserErrorException."""
    try:
        found = float(str(value))
    except ValueError:
        raise UserErrorException(f"The limit {name!r} must be a number, not {value!r}.") from None
    return int(found) if found.is_integer() else found
