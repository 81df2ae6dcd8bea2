"""Deployment configuration files, ``--dc`` (azureml-v1 reference, 4.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.cli.files import Keys, read_document
from modelport.domain.errors import UserErrorException

BELONGS_ELSEWHERE = ("containerResourceRequirements", "autoScaler", "livenessProbeRequirements")
"""Keys that mean something for another target."""

_TARGETS = ("local",)
_LIMITS_OF_V1 = {
    "scoringTimeoutMs": "scoring_timeout_ms",
    "maxConcurrentRequestsPerContainer": "max_concurrent_requests",
    "maxQueueWaitMs": "queue_wait_ms",
}


@dataclass(frozen=True)
class DeploymentFile:
    """A deployment configuration file: arguments of ``deploy_configuration``, and the keys that have no effect."""

    settings: dict[str, Any]
    unknown: list[str] = field(default_factory=list)


def read_deployment(path: Path) -> DeploymentFile:
    """Read the file. Raises UserErrorException, also for a target that there is none of."""
    keys = Keys(read_document(path, flag="--deploy-config-file"), where=str(path))
    check_target(keys.text("computeType") or "local", where=f"{path}: computeType")
    own_keys = Keys(keys.table("keys"), where=f"{path}: 'keys'")
    collection = Keys(keys.table("dataCollection"), where=f"{path}: 'dataCollection'")
    settings = {
        "port": keys.whole("port"),
        "host": keys.text("host"),
        "gpu_cores": keys.whole("gpuCores"),
        "auth_enabled": keys.truth("authEnabled"),
        "token_auth_enabled": keys.truth("tokenAuthEnabled"),
        "ssl_enabled": keys.truth("sslEnabled"),
        "ssl_cert_pem_file": keys.text("sslCertificate"),
        "ssl_key_pem_file": keys.text("sslKey"),
        "ssl_cname": keys.text("cname"),
        "primary_key": own_keys.text("primaryKey"),
        "secondary_key": own_keys.text("secondaryKey"),
        "enable_app_insights": keys.truth("appInsightsEnabled"),
        "collect_model_data": collection.truth("storageEnabled"),
        "description": keys.text("description"),
        "tags": keys.texts("tags") or None,
        "properties": keys.texts("properties") or None,
        **_scoring(keys),
    }
    rest = [*keys.rest(), *(f"keys.{key}" for key in own_keys.rest())]
    return DeploymentFile(without_none(settings), [*rest, *(f"dataCollection.{key}" for key in collection.rest())])


def _scoring(keys: Keys) -> dict[str, Any]:
    """How the service scores."""
    return {
        "workers": keys.whole("workers"),
        "worker_start": keys.text("workerStart"),
        "warm_up": keys.truth("warmUp"),
        "batching": _with_underscores(keys.switch_or_table("batching")),
        "cors_origins": keys.lines("corsOrigins"),
        "error_mode": keys.text("errorMode"),
        "telemetry": _with_underscores(keys.table("telemetry")) or None,
        "limits": _limits(keys) or None,
    }


def _limits(keys: Keys) -> dict[str, float]:
    named = {name: number(value, name) for name, value in _with_underscores(keys.table("limits")).items()}
    of_v1 = {limit: keys.whole(key) for key, limit in _LIMITS_OF_V1.items()}
    return {**named, **without_none(of_v1)}


def _with_underscores(given: Any) -> Any:
    """Keys within a key are written as ``maxRequests`` or ``max_requests``."""
    if not isinstance(given, dict):
        return given
    return {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", str(name)): value for name, value in given.items()}


def check_target(given: str, *, where: str) -> None:
    """Raise UserErrorException unless the target is one that this Modelport has; the case does not matter."""
    if given.lower() not in _TARGETS:
        raise UserErrorException(
            f"{where} {given!r}: this Modelport has no such target. It has: {', '.join(_TARGETS)} (this machine).",
            hint="Use local, or leave it out.",
        )


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
