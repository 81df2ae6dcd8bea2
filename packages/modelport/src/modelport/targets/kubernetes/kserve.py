"""A service as an InferenceService of KServe: Knative starts pods when requests come, and ends them when none do.

Knative allows pods less than Kubernetes does: no hooks before they end, no security context of a whole pod, one port.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from modelport.domain.deployments import Autoscale, Deployment
from modelport.domain.errors import UserErrorException
from modelport.targets.kubernetes.pods import RESTARTS, fetching, mounted_volumes, scoring_container
from modelport.targets.kubernetes.probes import start_timeout_s
from modelport.targets.kubernetes.scoring import PORT, restart_digest, unit_settings
from modelport.targets.kubernetes.subject import Manifest, Subject, Unit
from modelport_scoring import Limits

Fields = dict[str, Any]

_EVERYBODY_READS = 0o444
"""Without a group of the pod's files, the user of the image is nobody in particular there."""

_DEPLOYED_S = 600
_BEYOND_S = 5


def inference_service(subject: Subject) -> Iterator[Manifest]:
    """The InferenceService. Raises UserErrorException for an endpoint."""
    if subject.service.versions:
        raise UserErrorException(
            f"{subject.service.name!r} is an endpoint, whose versions share requests: no InferenceService does that.",
            hint="Deploy it without KServe; or each version as a service of its own.",
        )
    (unit,) = subject.units
    deadline = _DEPLOYED_S + math.ceil(start_timeout_s(unit.deployment))
    yield subject.manifest(
        "InferenceService",
        unit.name,
        labels=subject.unit_labels(unit),
        spec={
            "predictor": {
                "labels": subject.unit_labels(unit),
                "annotations": {
                    "serving.knative.dev/progress-deadline": f"{deadline}s",
                    RESTARTS: restart_digest(unit_settings(subject, unit, trust=None)),
                },
                **_scale(unit.deployment),
                "timeout": _answer_s(unit.deployment),
                **_pod(subject, unit),
            }
        },
    )


def _scale(deployment: Deployment) -> Fields:
    """None where nobody asks, unless more than one were asked for; as many as keep to the requests each may hold."""
    asked = deployment.autoscale or Autoscale()
    if not asked.enabled:
        return {"minReplicas": deployment.first_replicas, "maxReplicas": deployment.first_replicas}
    least = asked.min_replicas or 1
    busy = (asked.target_utilization or 70) / 100 * (deployment.requests_per_replica or 1)
    return {
        "minReplicas": least if least > 1 else 0,
        "maxReplicas": max(least, asked.max_replicas or 10),
        "scaleMetric": "concurrency",
        "scaleTarget": max(1, round(busy)),
    }


def _answer_s(deployment: Deployment) -> int:
    """How long Knative may wait: a little longer than the server, whose own words say which limit it was."""
    limits = Limits()
    scoring = deployment.limits.get("scoring_timeout_ms", limits.scoring_timeout_ms)
    return math.ceil((scoring + deployment.limits.get("queue_wait_ms", limits.queue_wait_ms)) / 1000) + _BEYOND_S


def _pod(subject: Subject, unit: Unit) -> Fields:
    secrets = [{"name": name} for name in subject.settings.image_pull_secrets]
    return {
        "serviceAccountName": subject.names.base,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        **({"imagePullSecrets": secrets} if secrets else {}),
        **({"initContainers": [_safe(fetching(unit))]} if unit.image.fetch is not None else {}),
        "containers": [_container(subject, unit)],
        "volumes": [_readable(volume) for volume in mounted_volumes(subject, unit)],
    }


def _container(subject: Subject, unit: Unit) -> Fields:
    """The same server, with what Knative allows; it is KServe's own container by its name."""
    container = scoring_container(subject, unit)
    for absent in ("lifecycle", "startupProbe"):
        del container[absent]
    for probe in ("readinessProbe", "livenessProbe"):
        container[probe] = {**container[probe], "httpGet": {"path": f"{subject.path_prefix}/", "port": PORT}}
    port = {"name": "http1", "containerPort": PORT, "protocol": "TCP"}
    return {**_safe(container), "name": "kserve-container", "ports": [port]}


def _safe(container: Fields) -> Fields:
    """What is said of the whole pod elsewhere."""
    security = {
        **container["securityContext"],
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    return {**container, "securityContext": security}


def _readable(volume: Fields) -> Fields:
    if "secret" not in volume:
        return volume
    return {**volume, "secret": {**volume["secret"], "defaultMode": _EVERYBODY_READS}}
