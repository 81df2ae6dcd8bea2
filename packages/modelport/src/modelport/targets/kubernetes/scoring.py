"""What the pods of a service are told: ``service.json`` as it is mounted into them, and ``fetch.json``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from modelport.domain.endpoints import VERSION_HEADER
from modelport.targets.kubernetes.names import digest
from modelport.targets.kubernetes.subject import Subject, Unit
from modelport.targets.serving.model_data import ModelData
from modelport.targets.serving.service import Trust, service_settings
from modelport_scoring import ServiceSettings, TlsSettings, Traffic
from modelport_scoring.control.changeable import CHANGEABLE, OF_REVISION

PORT = 5001
"""Of the containers, as in v1's images (azureml-v1 reference, 2.14)."""

MOUNTED = "/var/modelport/settings"
SETTINGS_FILE = "service.json"
FETCH_FILE = "fetch.json"

MODEL_DATA = "/var/azureml-modeldata"
"""Where scripts write collected model data (azureml-v1 reference, 11)."""

TLS_FOLDER = "/var/modelport/tls"
MOUNTED_TLS = TlsSettings(certificate=f"{TLS_FOLDER}/tls.crt", key=f"{TLS_FOLDER}/tls.key")
"""By the names that Secrets of type kubernetes.io/tls have."""

BAKED_BUNDLE = "/var/azureml-server"
BAKED_APP_ROOT = "/var/azureml-app"
CONTENT = "/var/modelport/content"
FETCHED_BUNDLE = f"{CONTENT}/bundle"
FETCHED_ENVIRONMENT = "/opt/modelport/environment"


def document(value: object) -> bytes:
    """The value as a file: always the same bytes, for whoever compares, and lines, for whoever reads. Settings that are
    as they are by default are left out: servers of older images refuse those that they do not know."""
    return (json.dumps(msgspec.to_builtins(_given(value), str_keys=True), indent=2, sort_keys=True) + "\n").encode()


def _given(value: Any) -> Any:
    """Structs as dictionaries of what differs from the defaults; ``format`` says what all the rest means."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        found = {field.name: getattr(value, field.name) for field in fields}
        default = {field.name: _default(field) for field in fields}
        return {name: _given(each) for name, each in found.items() if name == "format" or each != default[name]}
    if isinstance(value, dict):
        return {name: _given(each) for name, each in value.items()}
    return [_given(each) for each in value] if isinstance(value, list | tuple) else value


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def unit_settings(subject: Subject, unit: Unit, *, trust: Trust | None) -> ServiceSettings:
    """``service.json`` of a unit's pods: one revision, one replica; the cluster has the rest of them.

    Raises UserErrorException for a setting that no scoring server would take.
    """
    told = service_settings(
        _alone(subject, unit),
        workspace=subject.workspace,
        bundles={unit.revision.number: _bundle(unit)},
        trust=trust,
        model_data=ModelData(folder=MODEL_DATA, workspace=subject.data_path or subject.workspace),
    )
    revision = msgspec.structs.replace(
        told.revision,
        interpreter=list(unit.image.interpreter),
        keeps_python_path=unit.image.keeps_python_path,
        app_root=None if unit.image.fetch else BAKED_APP_ROOT,
    )
    return msgspec.structs.replace(
        told,
        revision=revision,
        host="0.0.0.0",  # noqa: S104 - of the pod; a NetworkPolicy says who reaches it
        port=PORT,
        tls=MOUNTED_TLS if subject.speaks_tls and not subject.has_router else None,
        traffic=Traffic(version_header=VERSION_HEADER) if unit.version is not None else Traffic(),
        ends_with_script=True,
    )


def restart_digest(settings: ServiceSettings) -> str:
    """Eight digits that are others where pods have to be others: for what a running server does not take over, such as
    the script's variables. So few that nobody finds a secret by them."""
    given = _given(settings)
    kept = {name: value for name, value in given.items() if name not in CHANGEABLE}
    kept["revision"] = {name: value for name, value in given["revision"].items() if name not in OF_REVISION}
    return digest(document(kept).decode(), length=8)


def _alone(subject: Subject, unit: Unit) -> Any:
    """The service as if this unit were all of it, and a pod one replica."""
    deployment = replace(unit.deployment, replicas=None, autoscale=None)
    return replace(subject.service, deployment=deployment, versions=(), active_revision=unit.revision.number, port=None)


def _bundle(unit: Unit) -> Path:
    return Path(FETCHED_BUNDLE if unit.image.fetch else BAKED_BUNDLE)


def fetch_settings(unit: Unit) -> dict[str, Any]:
    """``fetch.json``: what the init container of a unit's pods is to bring, and where to."""
    fetch = unit.image.fetch
    assert fetch is not None
    bundle, environment = fetch.bundle, fetch.environment
    return {
        "format": 1,
        "bundle": {"url": bundle.url, "digest": bundle.digest, "sha256": bundle.sha256, "to": FETCHED_BUNDLE},
        "environment": environment
        and {"url": environment.url, "sha256": environment.sha256, "to": FETCHED_ENVIRONMENT},
    }
