"""Pods that say in their logs what they have taken over, beside whatever their scripts print."""

from __future__ import annotations

import base64
import time
from typing import Any, cast

import pytest

from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.targets.kubernetes import settling
from modelport.targets.kubernetes.cluster import Cluster
from modelport.targets.kubernetes.rollout import Rollout
from modelport.targets.kubernetes.settling import Settling
from modelport_scoring.container.settings_file import fingerprint

OLD, NEW = b'{"key": 1}', b'{"key": 2}'
TAKEN = f"the new settings ({fingerprint(NEW)}) are in force"


def _secret(content: bytes) -> dict[str, Any]:
    metadata = {"name": "line-r1", "labels": {"modelport.dev/revision": "1"}}
    return {"kind": "Secret", "metadata": metadata, "data": {"service.json": base64.b64encode(content).decode()}}


def _pod(name: str, **more: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": "scoring", "modelport.dev/revision": "1"}
    return {
        "metadata": {"name": name, "namespace": "n", "labels": labels, **more},
        "spec": {"containers": [{"name": "scoring"}]},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }


class Shown:
    """A cluster with these pods, whose logs have lines of known ages."""

    def __init__(self, pods: list[dict[str, Any]], lines: list[tuple[float, str]], *, unanswered: int = 0) -> None:
        self.pods = pods
        self._lines = [(time.monotonic() - age, line) for age, line in lines]
        self._unanswered = unanswered
        self.asked: list[str] = []

    def list(self, _kind: str, **_where: Any) -> list[dict[str, Any]]:
        return self.pods

    def apply(self, manifest: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(f"nudge {manifest['metadata']['name']}")
        return manifest

    def log_of_last(self, seconds: int, pod: str, _container: str, **_where: Any) -> str | None:
        self.asked.append(pod)
        if self.asked.count(pod) <= self._unanswered:
            return None
        return "\n".join(line for at, line in self._lines if at >= time.monotonic() - seconds)

    def settle(self, *, since_s: float = 10) -> None:
        cluster = cast(Cluster, self)
        rollout = Rollout(cluster=cluster, namespace="n", selector={})
        names = [pod["metadata"]["name"] for pod in self.pods]
        since = time.monotonic() - since_s
        Settling(cluster=cluster, rollout=rollout, pods=names, since=since).wait([_secret(OLD)], [_secret(NEW)])


def test_a_script_that_prints_much_hides_nothing() -> None:
    lines = [(9.0, TAKEN), *((9.0 - number / 1000, f"request {number}") for number in range(5000))]
    Shown([_pod("line-a")], lines).settle()


def test_a_log_that_cannot_be_read_for_a_moment_is_read_whole() -> None:
    shown = Shown([_pod("line-a")], [(9.0, TAKEN)], unanswered=2)
    shown.settle()
    assert shown.asked.count("line-a") == 3


def test_what_was_said_before_the_change_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_WITHIN_S", 1)
    with pytest.raises(WebserviceException, match="not taken the new settings over: line-a"):
        Shown([_pod("line-a")], [(60.0, TAKEN)]).settle()


def test_a_pod_refuses() -> None:
    refused = TAKEN.replace("in force", "not taken over: the limit is no number")
    with pytest.raises(DeploymentFailed, match="line-a refuses the settings: the limit is no number"):
        Shown([_pod("line-a")], [(1.0, refused)]).settle()


def test_a_pod_that_is_going_is_not_waited_for() -> None:
    """It is ready still, for the seconds in which nodes learn that it goes."""
    going = _pod("line-a", deletionTimestamp="2026-11-27T03:00:00Z")
    shown = Shown([going], [])
    shown.settle()
    assert shown.asked == []


def test_a_pod_that_goes_meanwhile_is_not_waited_for() -> None:
    class Going(Shown):
        def log_of_last(self, seconds: int, pod: str, _container: str, **_where: Any) -> str | None:
            self.pods[0]["metadata"]["deletionTimestamp"] = "2026-11-27T03:00:00Z"
            return super().log_of_last(seconds, pod, _container)

    shown = Going([_pod("line-a")], [])
    shown.settle()
    assert shown.asked == ["nudge line-a", "line-a"]
