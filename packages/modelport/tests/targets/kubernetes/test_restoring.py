"""What a cluster is told where a change is taken back that an autoscaler's Deployment was part of."""

from __future__ import annotations

from typing import Any, cast

import pytest

from modelport.targets.kubernetes.applying import Applied
from modelport.targets.kubernetes.cluster import Cluster
from modelport.targets.kubernetes.facts import ClusterFacts


class Shown:
    """A cluster that has this Deployment, and keeps what it is told: by whom, and how many pods."""

    def __init__(self, now: dict[str, Any]) -> None:
        self._now = now
        self.told: list[tuple[str, int | None]] = []

    def get(self, _kind: str, _name: str, **_where: Any) -> dict[str, Any]:
        return self._now

    def list(self, _kind: str, **_where: Any) -> list[dict[str, Any]]:
        return []

    def apply(self, manifest: dict[str, Any], *, manager: str = "modelport") -> dict[str, Any]:
        self.told.append((manager, manifest["spec"].get("replicas")))
        return manifest


def _deployment(replicas: int, *, owns: bool) -> dict[str, Any]:
    """As it is read; ``owns``: whether Modelport has applied the number."""
    fields: dict[str, Any] = {"f:paused": {}} | ({"f:replicas": {}} if owns else {})
    entry = {"manager": "modelport", "operation": "Apply", "fieldsV1": {"f:spec": fields}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "line", "namespace": "n", "managedFields": [entry]},
        "spec": {"replicas": replicas, "paused": False},
    }


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (
            _deployment(5, owns=False),
            _deployment(2, owns=True),
            [("modelport-autoscaled", 5), ("modelport", None)],
        ),
        (_deployment(5, owns=False), _deployment(6, owns=False), [("modelport", None)]),
        (_deployment(3, owns=True), _deployment(2, owns=True), [("modelport", 3)]),
    ],
    ids=["a fixed number that fails", "the autoscaler's all the time", "a fixed number as before"],
)
def test_pods_of_a_change_that_is_taken_back(before: Any, now: Any, told: Any) -> None:
    shown = Shown(now)
    facts = ClusterFacts(served=frozenset())
    applied = Applied(cast(Cluster, shown), facts, namespace="n", selector={})
    assert applied.restore([before]) == {}
    assert shown.told == told
