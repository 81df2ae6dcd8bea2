"""Roll-outs are judged by the pods that they bring, not by those that they are to replace."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest

from modelport.domain.errors import DeploymentFailed
from modelport.targets.kubernetes import rollout
from modelport.targets.kubernetes.cluster import Cluster
from modelport.targets.kubernetes.observing import obstacles, revision_observation
from modelport.targets.kubernetes.rollout import Rollout

Object = dict[str, Any]

OLD, NEW = "5d4f", "86bc"
"""Hashes of a Deployment's templates."""


def _template(hash: str, *, component: str = "scoring", memory: str = "256Mi") -> Object:
    labels = {"app.kubernetes.io/component": component, "modelport.dev/revision": "1", "pod-template-hash": hash}
    container = {"name": component, "resources": {"limits": {"memory": memory}}}
    return {"metadata": {"labels": labels}, "spec": {"containers": [container]}}


def _deployment(*, component: str = "scoring", memory: str = "512Mi", seen: int = 2, **status: int) -> Object:
    """In the middle of its second roll-out."""
    metadata = {"name": "line", "generation": 2, "labels": {"modelport.dev/revision": "1"}}
    progressing = {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"}
    counts = {"replicas": 2, "updatedReplicas": 1, "availableReplicas": 0, **status}
    template = _template(NEW, component=component, memory=memory)
    return {
        "metadata": metadata,
        "spec": {"replicas": 1, "template": template},
        "status": {"observedGeneration": seen, "conditions": [progressing], **counts},
    }


def _set(hash: str, number: int, *, component: str = "scoring") -> Object:
    template = _template(hash, component=component)
    annotations = {"deployment.kubernetes.io/revision": str(number)}
    return {"metadata": {"name": f"line-{hash}", "annotations": annotations}, "spec": {"template": template}}


def _pod(name: str, hash: str, status: Object, *, component: str = "scoring") -> Object:
    template = _template(hash, component=component)
    return {"metadata": {"name": name, **template["metadata"]}, "spec": template["spec"], "status": status}


def _crashing(name: str = "scoring") -> Object:
    killed = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    container = {"name": name, "ready": False, "restartCount": 3, "state": waiting, "lastState": killed}
    return {"phase": "Running", "containerStatuses": [container]}


READY: Object = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
COMING: Object = {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]}
NO_NODE: Object = {
    "phase": "Pending",
    "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes are available."}
    ],
}


class Shown:
    """A cluster that shows these objects, a Deployment first as it is and then as it becomes."""

    served = frozenset[str]()

    def __init__(
        self, deployments: Sequence[Object], pods: Sequence[Object], sets: Sequence[Object], *, look_takes_s: float = 0
    ) -> None:
        self._look_takes_s = look_takes_s
        self._deployments = list(deployments)
        self._kinds = {"Pod": pods, "ReplicaSet": sets}
        self.looks = 0

    def get(self, _kind: str, name: str, **_where: Any) -> Object:
        assert name == "line"
        self.looks += 1
        time.sleep(self._look_takes_s)
        return self._deployments.pop(0) if len(self._deployments) > 1 else self._deployments[0]

    def list(self, kind: str, **_where: Any) -> Sequence[Object]:
        return self._kinds.get(kind.rpartition("/")[2], ())

    def changes(self, _kind: str, **_where: Any) -> Iterator[str]:
        yield "changed"

    def log(self, pod: str, _container: str, **_lines: Any) -> str:
        return f"log of {pod}"

    def rollout(self) -> Rollout:
        return Rollout(cluster=cast(Cluster, self), namespace="n", selector={})


SETS = (_set(OLD, 1), _set(NEW, 2))
DONE = _deployment(replicas=1, availableReplicas=1)


@pytest.mark.parametrize("new", [READY, COMING])
def test_a_pod_that_is_to_go_may_fail(new: Object) -> None:
    """It was told to take more memory, because it is killed for want of it."""
    pods = [_pod("line-a", OLD, _crashing()), _pod("line-b", NEW, new)]
    shown = Shown([_deployment(), DONE], pods, SETS)
    shown.rollout().wait({"line": 1})
    assert shown.looks == 2
    assert revision_observation(_deployment(), pods, SETS, revision=1).failure is None


def test_a_new_pod_that_fails_ends_it_with_its_own_log() -> None:
    pods = [_pod("line-a", OLD, _crashing()), _pod("line-b", NEW, _crashing())]
    with pytest.raises(DeploymentFailed, match=r"used more memory[\s\S]*log of line-b"):
        Shown([_deployment()], pods, SETS).rollout().wait({"line": 1})


def test_a_template_that_was_there_before_is_the_newest_again() -> None:
    """A cluster takes its ReplicaSet again and counts it as the last one."""
    sets = [_set(OLD, 3), _set(NEW, 2)]
    found = obstacles(_deployment(), [_pod("line-a", OLD, _crashing()), _pod("line-b", NEW, READY)], sets)
    assert found.failure is not None
    assert (
        obstacles(_deployment(), [_pod("line-a", OLD, READY), _pod("line-b", NEW, _crashing())], sets).failure is None
    )


def test_nothing_is_judged_before_the_cluster_has_looked() -> None:
    """Until then the newest ReplicaSet is that of before."""
    pods, before = [_pod("line-a", OLD, _crashing())], SETS[:1]
    assert obstacles(_deployment(seen=1), pods, before).failure is None
    assert obstacles(_deployment(), pods, before).failure is not None


def test_a_pod_may_wait_for_a_node_while_another_one_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that drains leaves its place in time, or the cluster adds a node."""
    pods = [_pod("line-b", NEW, READY), _pod("line-c", NEW, NO_NODE)]
    shown = Shown([_deployment(), DONE], pods, SETS)
    shown.rollout().wait({"line": 1})
    assert shown.looks == 2
    monkeypatch.setattr(rollout, "UNSCHEDULABLE_S", -1)
    with pytest.raises(DeploymentFailed, match="Couldn't Schedule"):
        Shown([_deployment()], pods, SETS).rollout().wait({"line": 1})


def test_routers_that_are_to_go_may_fail() -> None:
    sets = [_set(OLD, 1, component="router"), _set(NEW, 2, component="router")]
    old, new = (_pod("line-a", hash, _crashing("router"), component="router") for hash in (OLD, NEW))
    shown = Shown([_deployment(component="router"), DONE], [old, _pod("line-b", NEW, COMING)], sets)
    shown.rollout().wait({"line": None})
    assert shown.looks == 2
    with pytest.raises(DeploymentFailed, match="'router' used more memory"):
        Shown([_deployment(component="router")], [old, new], sets).rollout().wait({"line": None})


def test_pods_that_a_change_leaves_alone_may_fail() -> None:
    """A key is revoked while one of two pods fails again and again."""
    whole = _deployment()
    whole["status"]["conditions"][0]["reason"] = "NewReplicaSetAvailable"
    pods = [_pod("line-a", NEW, READY), _pod("line-b", NEW, _crashing())]
    Shown([whole], pods, SETS).rollout().wait({"line": 1}, before=[whole])
    other, never_up = copy.deepcopy(whole), _deployment()
    other["spec"]["template"] = _template(OLD)
    for before in (other, never_up):
        with pytest.raises(DeploymentFailed):
            Shown([whole], pods, SETS).rollout().wait({"line": 1}, before=[before])


def test_as_long_as_pods_come_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are: an hour is for each."""
    monkeypatch.setattr(rollout, "_PROGRESS_WITHIN_S", -1)
    pods = [_pod("line-b", NEW, COMING)]
    with pytest.raises(DeploymentFailed, match="line are not ready, and none came"):
        Shown([_deployment(), _deployment()], pods, SETS).rollout().wait({"line": 1})
    monkeypatch.setattr(rollout, "_PROGRESS_WITHIN_S", 0.2)
    coming = [_deployment(readyReplicas=number) for number in range(10)]
    shown = Shown([*coming, DONE], pods, SETS, look_takes_s=0.1)
    shown.rollout().wait({"line": 1})
    assert shown.looks == 11
