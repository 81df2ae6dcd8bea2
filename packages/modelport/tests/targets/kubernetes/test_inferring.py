"""How a service of KServe is, from what its InferenceService and its pods tell."""

from __future__ import annotations

from typing import Any

import pytest

from modelport.domain.services import ServiceState
from modelport.targets.kubernetes.inferring import (
    inference_observation,
    inference_obstacles,
    inference_revision,
    is_inferring,
)

from .services import revision, service

_NAME = "line-predictor-00002"


def _found(
    status: str = "True",
    *,
    reason: str = "",
    message: str = "",
    ready: str | None = _NAME,
    seen: int = 2,
    **more: Any,
) -> dict[str, Any]:
    """One of the second generation, for revision 2."""
    why = {name: value for name, value in (("reason", reason), ("message", message)) if value}
    conditions = [{"type": type, "status": status, **why} for type in ("PredictorReady", "Ready")]
    predictor = {"latestCreatedRevision": _NAME, **({"latestReadyRevision": ready} if ready else {})}
    return {
        "metadata": {"name": "line", "generation": 2, "labels": {"modelport.dev/revision": "2"}},
        "status": {
            "observedGeneration": seen,
            "conditions": conditions,
            "components": {"predictor": predictor},
            **more,
        },
    }


def _pod(number: int, *, ready: bool = True, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {
        "metadata": {"name": f"line-{number}", "labels": {"modelport.dev/revision": str(number)}},
        "spec": {"containers": [{"name": "kserve-container"}]},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


_FAILED = {
    "containerStatuses": [
        {
            "name": "kserve-container",
            "ready": False,
            "restartCount": 1,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {
                "terminated": {
                    "exitCode": 3,
                    "message": "The phase init failed: ValueError: no\nTraceback (most recent call last):\n  x\n",
                }
            },
        }
    ]
}


def _row(active: int = 2) -> Any:
    return service(name="line", revisions=(revision(1), revision(2)), active_revision=active)


def test_it_runs_whether_somebody_asks_or_not() -> None:
    for pods in ([], [_pod(2)]):
        seen = inference_observation(_row(), _found(), pods)
        assert (seen.state, seen.active_revision, seen.failure) == (ServiceState.RUNNING, 2, None)
        assert seen.revisions[2].ready_replicas == len(pods)


@pytest.mark.parametrize(
    "found",
    [
        _found("Unknown", ready=None),
        _found("False", reason="RevisionMissing", ready=None),
        _found("False", reason="MinimumReplicasUnavailable", ready=None),
        _found(seen=1),
        _found(ready="line-predictor-00001"),
        {"metadata": {"name": "line", "generation": 1}},
    ],
    ids=["unknown", "no revision yet", "no pod yet", "not seen yet", "another one is ready", "no status"],
)
def test_it_is_on_its_way(found: dict[str, Any]) -> None:
    assert not is_inferring(found)
    assert inference_revision(found, [], revision=2).state is ServiceState.DEPLOYING
    assert inference_revision(found, [], revision=2).failure is None


def test_a_container_says_more_than_knative() -> None:
    found = _found("False", reason="RevisionFailed", message="Container failed with: exit 3", ready=None)
    seen = inference_revision(found, [_pod(2, ready=False, **_FAILED)], revision=2)
    assert seen.state is ServiceState.FAILED
    assert seen.failure is not None
    assert seen.failure.message == "ValueError: no"
    alone = inference_revision(found, [], revision=2)
    assert alone.failure is not None
    assert alone.failure.message == "KServe cannot serve it: RevisionFailed: Container failed with: exit 3"


def test_what_kserve_refuses() -> None:
    told = {"transitionStatus": "InvalidSpec", "lastFailureInfo": {"reason": "NoSupportingRuntime", "message": "none"}}
    seen = inference_revision(_found("False", ready=None, modelStatus=told), [], revision=2)
    assert seen.failure is not None
    assert seen.failure.message == "KServe cannot serve it: NoSupportingRuntime: none"


def test_a_bad_revision_leaves_the_one_before_serving() -> None:
    found = _found("False", reason="RevisionFailed", message="failed", ready="line-predictor-00001")
    pods = [_pod(1), _pod(2, ready=False, **_FAILED)]
    seen = inference_observation(_row(active=1), found, pods)
    assert (seen.state, seen.active_revision) == (ServiceState.RUNNING, 1)
    assert seen.revisions[2].state is ServiceState.UNHEALTHY


def test_no_room() -> None:
    waits = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    seen = inference_revision(
        _found("Unknown", ready=None), [_pod(2, ready=False) | {"status": {"conditions": [waits]}}], revision=2
    )
    assert seen.state is ServiceState.UNSCHEDULABLE
    assert seen.failure is not None
    assert "0/1 nodes" in seen.failure.message


def test_only_pods_that_knative_has_made_last_are_judged() -> None:
    """Those of before are of the same revision where a setting was changed, and may fail beside the new one."""
    found = _found("False", reason="RevisionMissing", ready=None)
    pods = [_pod(2, ready=False, **_FAILED), _pod(2)]
    for pod, name in zip(pods, ("line-predictor-00001", _NAME), strict=True):
        pod["metadata"]["labels"]["serving.knative.dev/revision"] = name
    assert inference_obstacles(found, pods, revision=2).failure is None
    pods[0]["metadata"]["labels"]["serving.knative.dev/revision"] = _NAME
    failure = inference_obstacles(found, pods, revision=2).failure
    assert failure is not None and failure.message == "ValueError: no"
    unseen = _found("False", reason="RevisionMissing", ready=None, seen=1)
    assert inference_obstacles(unseen, pods, revision=2).failure is None
