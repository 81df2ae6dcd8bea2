"""The pods that serve a unit: restricted by the strictest of Kubernetes' own security standards."""

from __future__ import annotations

from typing import Any

from modelport.domain.deployments import Deployment
from modelport.targets.kubernetes.probes import PYTHON, lifecycle, probes, termination_grace_s
from modelport.targets.kubernetes.resources import resources
from modelport.targets.kubernetes.scoring import (
    CONTENT,
    FETCH_FILE,
    FETCHED_ENVIRONMENT,
    MODEL_DATA,
    MOUNTED,
    PORT,
    SETTINGS_FILE,
    TLS_FOLDER,
    restart_digest,
    unit_settings,
)
from modelport.targets.kubernetes.subject import PREFIX, Subject, Unit

Fields = dict[str, Any]

USER = 10001
"""The images' own."""

_GROUP_READS = 0o440

_WRITTEN, _FETCHED = "4Gi", "32Gi"
"""The most that a script may write, and that may be fetched for it: one pod must not fill the disk of its node."""

CONTAINER_SECURITY: Fields = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
}

POD_SECURITY: Fields = {
    "runAsNonRoot": True,
    "runAsUser": USER,
    "runAsGroup": USER,
    "fsGroup": USER,
    "fsGroupChangePolicy": "OnRootMismatch",
    "seccompProfile": {"type": "RuntimeDefault"},
}

LAST_WORDS = "FallbackToLogsOnError"
"""What a container printed last is in its pod's status, for whoever asks why it ended."""

RESTARTS = f"{PREFIX}/restarts"
"""Annotation of pods: changes with the settings that only other pods can have."""

DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def unit_template(subject: Subject, unit: Unit) -> Fields:
    """The pod template of a unit's Deployment. What may change without other pods is in the Secret, not in here."""
    return {
        "metadata": {
            "labels": subject.unit_labels(unit),
            "annotations": {
                DEFAULT_CONTAINER: "scoring",
                RESTARTS: restart_digest(unit_settings(subject, unit, trust=None)),
            },
        },
        "spec": {
            **pod_spec(subject, selector=subject.unit_selector(unit)),
            "terminationGracePeriodSeconds": termination_grace_s(unit.deployment),
            **_scheduling(subject, unit.deployment),
            **({"initContainers": [fetching(unit)]} if unit.image.fetch is not None else {}),
            "containers": [scoring_container(subject, unit)],
            "volumes": mounted_volumes(subject, unit),
        },
    }


def pod_spec(subject: Subject, *, selector: dict[str, str]) -> Fields:
    """What all pods of a service have in common."""
    secrets = [{"name": name} for name in subject.settings.image_pull_secrets]
    priority = subject.settings.priority_class
    return {
        "serviceAccountName": subject.names.base,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **({"imagePullSecrets": secrets} if secrets else {}),
        **({"priorityClassName": priority} if priority else {}),
        "securityContext": POD_SECURITY,
        "topologySpreadConstraints": [
            _spread(subject, selector, topology_key="topology.kubernetes.io/zone"),
            _spread(subject, selector, topology_key="kubernetes.io/hostname"),
        ],
    }


def _spread(subject: Subject, selector: dict[str, str], *, topology_key: str) -> Fields:
    """Wanted, not required: a cluster may have one node. Each revision is spread for itself where that can be said."""
    own = {"matchLabelKeys": ["pod-template-hash"]} if subject.cluster.is_at_least(1, 27) else {}
    return {
        "maxSkew": 1,
        "topologyKey": topology_key,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector},
        **own,
    }


def _scheduling(subject: Subject, deployment: Deployment) -> Fields:
    """On which nodes the pods may be: those with GPUs are kept free of others by a taint of the resource's name."""
    settings = subject.settings
    tolerations = [dict(toleration) for toleration in settings.tolerations]
    if deployment.gpu_cores:
        tolerations.append({"key": settings.gpu_resource, "operator": "Exists", "effect": "NoSchedule"})
    return {
        **({"nodeSelector": dict(settings.node_selector)} if settings.node_selector else {}),
        **({"tolerations": tolerations} if tolerations else {}),
    }


def scoring_container(subject: Subject, unit: Unit) -> Fields:
    """The scoring server with its worker."""
    tls = subject.speaks_tls and not subject.has_router
    port = "https" if tls else "http"
    health = probes(unit.deployment, path=f"{subject.path_prefix}/", scheme=port.upper())
    return {
        "name": "scoring",
        "image": unit.image.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": [PYTHON, "-P", "-m", "modelport_scoring.container"],
        "args": ["--settings", f"{MOUNTED}/{SETTINGS_FILE}"],
        "ports": [{"name": port, "containerPort": PORT, "protocol": "TCP"}],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - of the pod: the only folder that can be written
        "resources": resources(unit.deployment, gpu_resource=subject.settings.gpu_resource),
        **health,
        "lifecycle": lifecycle(subject.cluster),
        "terminationMessagePolicy": LAST_WORDS,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": _mounts(unit, tls=tls),
    }


def _mounts(unit: Unit, *, tls: bool) -> list[Fields]:
    mounts: list[Fields] = [
        {"name": "settings", "mountPath": MOUNTED, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
    ]
    if tls:
        mounts.append({"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True})
    if unit.image.fetch is not None:
        mounts.extend(_content_mounts(unit, read_only=True))
    if unit.deployment.collects_model_data:
        mounts.append({"name": "modeldata", "mountPath": MODEL_DATA})
    return mounts


def _content_mounts(unit: Unit, *, read_only: bool) -> list[Fields]:
    access = {"readOnly": True} if read_only else {}
    mounts = [{"name": "content", "mountPath": CONTENT, **access}]
    if unit.image.fetch is not None and unit.image.fetch.environment is not None:
        mounts.append({"name": "environment", "mountPath": FETCHED_ENVIRONMENT, **access})
    return mounts


def fetching(unit: Unit) -> Fields:
    """Fetches the bundle, and the environment if there is one, and verifies them, before the server starts."""
    credentials = unit.image.fetch and unit.image.fetch.credentials_secret
    return {
        "name": "fetch",
        "image": unit.image.reference,
        "imagePullPolicy": "IfNotPresent",
        "command": [PYTHON, "-P", "-m", "modelport_scoring.fetch"],
        "args": ["--settings", f"{MOUNTED}/{FETCH_FILE}"],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108
        **({"envFrom": [{"secretRef": {"name": credentials}}]} if credentials else {}),
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
        "terminationMessagePolicy": LAST_WORDS,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": [
            {"name": "fetch", "mountPath": MOUNTED, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
            *_content_mounts(unit, read_only=False),
        ],
    }


def mounted_volumes(subject: Subject, unit: Unit) -> list[Fields]:
    volumes: list[Fields] = [
        secret_volume("settings", unit.settings_secret, SETTINGS_FILE),
        scratch_volume("tmp"),
    ]
    if subject.speaks_tls and not subject.has_router:
        volumes.append(secret_volume("tls", subject.names.tls_secret))
    if unit.image.fetch is not None:
        volumes.append(secret_volume("fetch", unit.settings_secret, FETCH_FILE))
        volumes.append(scratch_volume("content", most=_FETCHED))
        if unit.image.fetch.environment is not None:
            volumes.append(scratch_volume("environment", most=_FETCHED))
    if unit.deployment.collects_model_data:
        claim = {"claimName": subject.names.model_data_claim}
        volumes.append({"name": "modeldata", "persistentVolumeClaim": claim})
    return volumes


def scratch_volume(name: str, *, most: str = _WRITTEN) -> Fields:
    """An empty folder for as long as the pod lives. Its node gives a pod up that fills more than that."""
    return {"name": name, "emptyDir": {"sizeLimit": most}}


def secret_volume(name: str, secret: str, *keys: str) -> Fields:
    """A mounted Secret, or only those keys of it. Whole folders follow a changed Secret; single files would not."""
    items = {"items": [{"key": key, "path": key} for key in keys]} if keys else {}
    return {"name": name, "secret": {"secretName": secret, "defaultMode": _GROUP_READS, **items}}
