"""From what a deployment asks for to the settings of its scoring server, which says what is allowed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from modelport.domain.deployments import BOTH_CREDENTIALS, ComputeType, Deployment, path_prefix
from modelport.domain.deployments import Autoscale as AskedAutoscale
from modelport.domain.deployments import Batching as AskedBatching
from modelport.domain.errors import UserErrorException
from modelport.domain.services import Service
from modelport.targets.serving.certificates import COPIES
from modelport_scoring import (
    AuthSettings,
    Autoscale,
    Batching,
    Changes,
    ErrorMode,
    FrontEnd,
    Limits,
    RevisionSettings,
    ServiceSettings,
    SettingsInvalid,
    TelemetrySettings,
    WorkerStart,
    check_settings,
)

RESTARTING = ("host", "tls", "server_processes")
"""Settings that a running scoring server cannot take over, beside its port."""

_FRONT_ENDS = {
    ComputeType.ACI: FrontEnd.ACI,
    ComputeType.AKS: FrontEnd.AKS,
    ComputeType.AKS_ENDPOINT: FrontEnd.AKS,
}

_Choice = TypeVar("_Choice", bound=StrEnum)
_Table = TypeVar("_Table", bound=msgspec.Struct)


def scoring_settings(deployment: Deployment) -> dict[str, Any]:
    """The fields of ``ServiceSettings`` that the deployment alone decides, defaults where it asks for nothing.

    Raises UserErrorException that names the setting and says what is allowed.
    """
    return {
        "host": deployment.host or "127.0.0.1",
        "server_processes": deployment.server_processes or 1,
        "workers": _workers(deployment),
        "autoscale": _autoscale(deployment),
        "worker_start": _choice(deployment.worker_start or WorkerStart.SPAWN, WorkerStart, name="worker_start"),
        "warm_up": bool(deployment.warm_up),
        "batching": _batching(deployment.batching),
        "cors_origins": [_origin(origin) for origin in deployment.cors_origins or ()],
        "error_mode": _choice(deployment.error_mode or ErrorMode.CLOUD, ErrorMode, name="error_mode"),
        "telemetry": _telemetry(deployment),
        "tls": COPIES if deployment.ssl_enabled else None,
        "limits": _table({**deployment.limits, **_limits_of_replicas(deployment)}, Limits, name="limits"),
    }


def version_settings(endpoint: Deployment, version: Deployment) -> dict[str, Any]:
    """The fields of ``RevisionSettings`` that a version of an endpoint decides."""
    limits = {**version.limits, **_limits_of_replicas(replace(version, workers=endpoint.workers))}
    return {**version_size(endpoint, version), "limits": limits}


def version_size(endpoint: Deployment, version: Deployment) -> dict[str, Any]:
    """How many workers a version has: each replica, as many as the endpoint says."""
    whole = replace(version, workers=endpoint.workers)
    return {"workers": _workers(whole), "autoscale": _autoscale(whole)}


def front_end(service: Service) -> FrontEnd:
    """In whose words the service refuses requests."""
    return _FRONT_ENDS.get(ComputeType(service.compute_type), FrontEnd.OWN)


def _workers(deployment: Deployment) -> int:
    """Replicas are workers here. Each server process needs one at least, where their number is not asked for."""
    return deployment.first_replicas * (deployment.workers or deployment.server_processes or 1)


def _autoscale(deployment: Deployment) -> Autoscale | None:
    asked, each = deployment.autoscale or AskedAutoscale(), deployment.workers or 1
    if not asked.enabled:
        return None
    given = {
        "min_workers": asked.min_replicas and asked.min_replicas * each,
        "max_workers": asked.max_replicas and asked.max_replicas * each,
        "refresh_s": asked.refresh_s,
        "target_utilization": asked.target_utilization,
    }
    return _table({name: value for name, value in given.items() if value is not None}, Autoscale, name="autoscale")


def _limits_of_replicas(deployment: Deployment) -> dict[str, int]:
    """What a replica may take at once, for each of its workers."""
    asked = deployment.requests_per_replica
    return {} if asked is None else {"requests_per_worker": math.ceil(asked / (deployment.workers or 1))}


def check_deployment(deployment: Deployment) -> None:
    """Raise UserErrorException for settings that no scoring server would take, or two kinds of credentials."""
    if deployment.auth_enabled and deployment.token_auth_enabled:
        raise UserErrorException(BOTH_CREDENTIALS)
    nowhere = RevisionSettings(number=1, bundle="", interpreter=["python"])
    settings = ServiceSettings(name="", workspace="", revision=nowhere, **scoring_settings(deployment))
    where = Path("settings")
    try:
        check_settings(settings, path=where)
    except SettingsInvalid as error:
        raise UserErrorException(f"Invalid settings: {str(error).removeprefix(f'{where}: ')}.") from None


def shown_settings(deployment: Deployment) -> dict[str, Any]:
    """The settings as JSON has them. Nothing in them is secret."""
    settings = scoring_settings(deployment)
    del settings["tls"]
    shown: dict[str, Any] = msgspec.to_builtins(settings)
    return shown


def changes(deployment: Deployment, auth: AuthSettings) -> Changes:
    """All that a running scoring server can take over. Raises UserErrorException as ``scoring_settings`` does."""
    settings = scoring_settings(deployment)
    return Changes(auth=auth, **{name: value for name, value in settings.items() if name not in RESTARTING})


def restarting_changes(before: Service, after: Service) -> tuple[str, ...]:
    """Names of the settings that differ, and that a running scoring server cannot take over."""
    old, new = (_all_settings(service) for service in (before, after))
    return tuple(name for name in ("port", "path_prefix", "front_end", *RESTARTING) if old[name] != new[name])


def _all_settings(service: Service) -> dict[str, Any]:
    return {
        "port": service.port,
        "path_prefix": path_prefix(service.compute_type, service.name),
        "front_end": front_end(service),
        **scoring_settings(service.deployment),
    }


def _choice(given: str, choices: type[_Choice], *, name: str) -> _Choice:
    try:
        return choices(given.lower())
    except ValueError:
        known = ", ".join(choice.value for choice in choices)
        raise UserErrorException(f"Invalid {name} {given!r}: it must be one of {known}.") from None


def _batching(asked: AskedBatching | None) -> Batching | None:
    if asked is None or not asked.enabled:
        return None
    given = {"max_requests": asked.max_requests, "max_wait_ms": asked.max_wait_ms}
    return _table({name: value for name, value in given.items() if value is not None}, Batching, name="batching")


def _telemetry(deployment: Deployment) -> TelemetrySettings:
    """What v1's Application Insights recorded goes to the access log, and to a collector where one is named."""
    asked = dict(deployment.telemetry)
    if deployment.app_insights_enabled:
        has_collector = asked.get("otlp_endpoint") is not None
        asked = {"access_log": True, "access_log_format": "json", "tracing": has_collector, **asked}
    return _table(asked, TelemetrySettings, name="telemetry")


def _origin(given: str) -> str:
    """The origin as browsers write it."""
    if given in ("*", "null"):
        return given
    try:
        parts = urlsplit(given)
        is_origin = bool(parts.scheme and parts.hostname) and parts.port != 0
    except ValueError:
        is_origin = False
    if not is_origin or f"{parts.scheme}://{parts.netloc}" != given.rstrip("/").lower() or "@" in parts.netloc:
        raise UserErrorException(
            f"Invalid cors_origins {given!r}: an origin is a scheme, a host in lower case and maybe a port, as "
            "https://example.org or http://localhost:3000, or * for any."
        )
    return given.rstrip("/")


def _table(given: Mapping[str, object], kind: type[_Table], *, name: str) -> _Table:
    try:
        return msgspec.convert(dict(given), kind, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(kind))
        hint = f"The {_PLURALS[name]} are: {known}."
        raise UserErrorException(f"Invalid {name}: {_in_words(error, given, kind)}.", hint=hint) from None


def _in_words(error: msgspec.ValidationError, given: Mapping[str, object], kind: type[msgspec.Struct]) -> str:
    """What is wrong, with the name of the setting and what it was given."""
    wrong = re.fullmatch(r".* - at `\$\.(\w+)`", str(error))
    if wrong is None:
        return str(error).replace("Object contains unknown field", "there is no setting").replace("`", "'")
    name = wrong[1]
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return f"{name} must be {_form(types[name])}, not {given[name]!r}"


def _form(kind: object) -> str:
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"one of {', '.join(choice.value for choice in kind)}"
    return _FORMS.get(kind, "a text")


_FORMS: Mapping[object, str] = {bool: "true or false", int: "a whole number", float: "a number"}
_PLURALS = {
    "limits": "limits",
    "telemetry": "settings of telemetry",
    "batching": "settings of batching",
    "autoscale": "settings of autoscale",
}
