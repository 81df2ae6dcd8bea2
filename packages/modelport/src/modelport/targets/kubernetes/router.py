"""Modelport's own router before the versions of an endpoint, where no Gateway divides the requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from modelport.domain.deployments import Deployment
from modelport.domain.endpoints import LIMITS_OF_VERSIONS
from modelport.targets.kubernetes.pods import (
    CONTAINER_SECURITY,
    DEFAULT_CONTAINER,
    LAST_WORDS,
    pod_spec,
    scratch_volume,
    secret_volume,
)
from modelport.targets.kubernetes.probes import PYTHON, lifecycle, probes, termination_grace_s
from modelport.targets.kubernetes.scoring import MOUNTED, MOUNTED_TLS, PORT, TLS_FOLDER, document
from modelport.targets.kubernetes.secrets import secret
from modelport.targets.kubernetes.subject import ROUTER, Manifest, Subject
from modelport.targets.kubernetes.workloads import disruption_budget, rollout
from modelport.targets.serving.service import traffic
from modelport.targets.serving.settings import front_end, scoring_settings
from modelport_scoring import Limits
from modelport_scoring.router.settings import RouterSettings, UpstreamSettings

Fields = dict[str, Any]

ROUTER_FILE = "router.json"
_START = {"start_timeout_s": 60.0}


def router(subject: Subject) -> Iterator[Manifest]:
    """Its settings, its pods, and their disruption budget."""
    labels = {**subject.labels, "app.kubernetes.io/component": ROUTER}
    settings = document(router_settings(subject))
    yield secret(subject, subject.names.router_secret, {ROUTER_FILE: settings}, labels=labels)
    yield subject.manifest(
        "Deployment",
        subject.names.base,
        labels=labels,
        spec={
            "replicas": subject.settings.router_replicas,
            **rollout(progress_deadline_s=600),
            "selector": {"matchLabels": subject.router_selector},
            "template": _template(subject, labels),
        },
    )
    if subject.settings.router_replicas > 1:
        yield disruption_budget(subject, name=subject.names.base, selector=subject.router_selector)


def router_settings(subject: Subject) -> RouterSettings:
    """``router.json``: where the versions are, and how they share the requests. Keys are checked by the versions."""
    service, namespace = subject.service, subject.names.namespace
    return RouterSettings(
        name=service.name,
        workspace=subject.workspace,
        host="0.0.0.0",  # noqa: S104 - of the pod
        port=PORT,
        path_prefix=subject.path_prefix,
        front_end=front_end(service),
        tls=MOUNTED_TLS if subject.speaks_tls else None,
        default=service.active_revision,
        upstreams=[
            UpstreamSettings(
                revision=unit.revision.number,
                version=unit.version.name if unit.version else None,
                url=f"http://{unit.name}.{namespace}.svc:80",
            )
            for unit in subject.units
        ],
        traffic=traffic(service),
        limits=_limits(subject),
    )


def _limits(subject: Subject) -> Limits:
    """The endpoint's; and of those that each version has, the longest: the router must not give up before it does."""
    asked = dict(subject.deployment.limits)
    for name in LIMITS_OF_VERSIONS:
        given = [unit.deployment.limits.get(name, getattr(Limits(), name)) for unit in subject.units]
        asked[name] = max(given)
    limits: Limits = scoring_settings(replace(subject.deployment, limits=asked))["limits"]
    return limits


def _template(subject: Subject, labels: dict[str, str]) -> Fields:
    image = subject.settings.router_image or subject.images[subject.service.active_revision].reference
    port = "https" if subject.speaks_tls else "http"
    mounts = [{"name": "settings", "mountPath": MOUNTED, "readOnly": True}, {"name": "tmp", "mountPath": "/tmp"}]  # noqa: S108
    volumes: list[Fields] = [
        secret_volume("settings", subject.names.router_secret, ROUTER_FILE),
        scratch_volume("tmp"),
    ]
    if subject.speaks_tls:
        mounts.append({"name": "tls", "mountPath": TLS_FOLDER, "readOnly": True})
        volumes.append(secret_volume("tls", subject.names.tls_secret))
    quick = Deployment(limits=_START)
    container = {
        "name": "router",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [PYTHON, "-P", "-m", "modelport_scoring.router"],
        "args": ["--settings", f"{MOUNTED}/{ROUTER_FILE}"],
        "ports": [{"name": port, "containerPort": PORT, "protocol": "TCP"}],
        "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        **_probes(subject, quick, scheme=port.upper()),
        "lifecycle": lifecycle(subject.cluster),
        "terminationMessagePolicy": LAST_WORDS,
        "securityContext": CONTAINER_SECURITY,
        "volumeMounts": mounts,
    }
    return {
        "metadata": {"labels": labels, "annotations": {DEFAULT_CONTAINER: "router"}},
        "spec": {
            **pod_spec(subject, selector=subject.router_selector),
            "terminationGracePeriodSeconds": termination_grace_s(subject.deployment),
            "containers": [container],
            "volumes": volumes,
        },
    }


def _probes(subject: Subject, quick: Deployment, *, scheme: str) -> Fields:
    found = probes(quick, path=f"{subject.path_prefix}/", scheme=scheme)
    return {**found, "livenessProbe": {**found["livenessProbe"], "initialDelaySeconds": 0}}
