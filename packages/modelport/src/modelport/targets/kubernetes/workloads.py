"""Deployments, and how many pods they have: fixed numbers, autoscalers, disruption budgets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from modelport.domain.deployments import Autoscale, Deployment
from modelport.targets.kubernetes.pods import unit_template
from modelport.targets.kubernetes.probes import start_timeout_s
from modelport.targets.kubernetes.subject import REVISION_LABEL, Manifest, Subject, Unit

Fields = dict[str, Any]

_CALM_S = 60
"""v1's autoscaler removed replicas after about a minute (azureml-v1 reference, 6.9)."""

_PULLING_S = 600
"""How long the image may take to come, and a node to be found, beside the start of the script."""


def workload(subject: Subject, unit: Unit) -> Iterator[Manifest]:
    """Everything that runs a unit's pods."""
    yield deployment(subject, unit)
    if _scales(unit.deployment):
        yield autoscaler(subject, unit)
    if _most_replicas(unit.deployment) > 1:
        yield disruption_budget(subject, name=unit.name, selector=subject.unit_selector(unit))


def deployment(subject: Subject, unit: Unit) -> Manifest:
    """One version's pods. Where an autoscaler decides how many there are, the number is not ours to say."""
    replicas = {} if _scales(unit.deployment) else {"replicas": unit.deployment.first_replicas}
    return subject.manifest(
        "Deployment",
        unit.name,
        labels=subject.unit_labels(unit),
        annotations={REVISION_LABEL: str(unit.revision.number)},
        spec={
            **replicas,
            **rollout(progress_deadline_s=_PULLING_S + math.ceil(start_timeout_s(unit.deployment))),
            "selector": {"matchLabels": subject.unit_selector(unit)},
            "template": unit_template(subject, unit),
        },
    )


def rollout(*, progress_deadline_s: int) -> Fields:
    """A new pod is ready before an old one goes, and one that never is leaves the old ones alone."""
    return {
        # kubectl rollout undo would bring back pods whose Secret is gone: another revision is rolled out by Modelport
        "revisionHistoryLimit": 0,
        "progressDeadlineSeconds": progress_deadline_s,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
    }


def autoscaler(subject: Subject, unit: Unit) -> Manifest:
    """Eager to add replicas, slow to remove them, as v1's was. It looks at CPU, of what the pods request."""
    asked = unit.deployment.autoscale or Autoscale()
    least = asked.min_replicas or 1
    period = min(1800, max(1, math.ceil(asked.refresh_s or 1)))
    return subject.manifest(
        "HorizontalPodAutoscaler",
        unit.name,
        labels=subject.unit_labels(unit),
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": unit.name},
            "minReplicas": least,
            "maxReplicas": max(least, asked.max_replicas or 10),
            "metrics": [_cpu(asked.target_utilization or 70)],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "selectPolicy": "Max",
                    "policies": [
                        {"type": "Percent", "value": 100, "periodSeconds": period},
                        {"type": "Pods", "value": 4, "periodSeconds": period},
                    ],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": _CALM_S,
                    "selectPolicy": "Max",
                    "policies": [{"type": "Percent", "value": 50, "periodSeconds": _CALM_S}],
                },
            },
        },
    )


def _cpu(target: float) -> Fields:
    return {
        "type": "Resource",
        "resource": {
            "name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": max(1, round(target))},
        },
    }


def disruption_budget(subject: Subject, *, name: str, selector: dict[str, str]) -> Manifest:
    """Nodes are drained one pod at a time. Pods that are not ready do not hold a drain up, where that can be said."""
    unready = {"unhealthyPodEvictionPolicy": "AlwaysAllow"} if subject.cluster.is_at_least(1, 27) else {}
    return subject.manifest(
        "PodDisruptionBudget",
        name,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": selector}, **unready},
    )


def _scales(deployment: Deployment) -> bool:
    return deployment.scales_by_itself


def _most_replicas(deployment: Deployment) -> int:
    scale = deployment.autoscale
    return (scale.max_replicas or 10) if scale is not None and scale.enabled else deployment.first_replicas
