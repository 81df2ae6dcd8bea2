"""States, from objects that a real cluster of Kubernetes 1.20 showed, and from made ones."""

from __future__ import annotations

import copy
import dataclasses
import datetime as dt
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelport.domain.failures import Phase
from modelport.domain.services import ServiceState, shown_state
from modelport.targets.interface import Observation, RevisionObservation
from modelport.targets.kubernetes.cluster import Cluster
from modelport.targets.kubernetes.failing import Blamed, blamed
from modelport.targets.kubernetes.observing import (
    is_rolled_out,
    observation,
    revision_observation,
    was_rolled_out,
    why_not_scaling,
)
from modelport.targets.kubernetes.rollout import Rollout

from .services import endpoint, revision, service

RECORDED = Path(__file__).with_name("recorded")


@functools.cache
def read(name: str) -> str:
    return (RECORDED / f"{name}.json").read_text(encoding="utf-8")


class Recording:
    """What the cluster showed of a service at one moment."""

    def __init__(self, name: str) -> None:
        found = json.loads(read(name))
        self.deployments: list[Any] = found["deployments"]
        self.replica_sets: list[Any] = found["replicasets"]
        self.pods: list[Any] = found["pods"]
        self.events: list[Any] = found["events"]

    @property
    def deployment(self) -> Any:
        (found,) = self.deployments
        return found

    @property
    def pod(self) -> Any:
        return self.pods[0]

    @property
    def container(self) -> Any:
        return self.pod["status"]["containerStatuses"][0]

    def revision(self, number: int, *, now: dt.datetime | None = None) -> RevisionObservation:
        return revision_observation(
            self.deployment, self.pods, self.replica_sets, revision=number, events=self.events, now=now
        )

    def service(self, active: int) -> Observation:
        row = service(name="line", revisions=(revision(active),), active_revision=active)
        return observation(row, self.deployments, self.pods, self.replica_sets, port=80, events=self.events, now=None)


# --- as it was seen ---------------------------------------------------------------------------------------------------


def test_healthy() -> None:
    seen = Recording("healthy")
    assert seen.revision(1) == RevisionObservation(state=ServiceState.RUNNING, replicas=1, ready_replicas=1)
    assert seen.service(1).active_revision == 1
    assert is_rolled_out(seen.deployment)
    assert was_rolled_out(seen.deployment)
    assert blamed(seen.pods) is None


@pytest.mark.parametrize("name", ["init_fails", "init_fails_again"])
def test_a_script_that_raises(name: str) -> None:
    found = Recording(name).revision(3)
    assert (found.state, found.replicas, found.ready_replicas) == (ServiceState.FAILED, 1, 0)
    assert found.failure is not None
    assert found.failure.phase is Phase.INIT
    assert found.failure.message == "RuntimeError: the model is no model"
    assert "raise RuntimeError('the model is no model')" in found.failure.traceback
    assert "CrashLoopBackOff" not in found.failure.describe()
    assert blamed(Recording(name).pods) == Blamed(pod="line-8d86d5f88-7tnv7", container="scoring", previous=True)


def test_a_bad_version_leaves_the_one_before_serving() -> None:
    seen = Recording("mid_rollout_of_a_bad_version")
    assert seen.revision(3).state is ServiceState.FAILED
    assert seen.revision(1).state is ServiceState.RUNNING
    for believed in (1, 3):
        whole = seen.service(believed)
        assert whole.state is ServiceState.RUNNING
        assert whole.active_revision == 1
        assert set(whole.revisions) == {1, 3}
    assert not is_rolled_out(seen.deployment)


def test_an_image_that_does_not_exist() -> None:
    found = Recording("image_does_not_exist").revision(6)
    assert found.state is ServiceState.FAILED
    assert found.failure is not None
    assert found.failure.message.startswith("The image localhost:16500/dev:gone cannot be pulled: rpc error")
    assert "image_pull_secrets" in found.failure.hint


def test_an_image_that_is_tried_again_is_explained_by_its_events() -> None:
    seen = Recording("image_does_not_exist")
    seen.container["state"] = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    failure = seen.revision(6).failure
    assert failure is not None
    assert "not found" in failure.message


def test_no_room() -> None:
    found = Recording("unschedulable").revision(1)
    assert found.state is ServiceState.UNSCHEDULABLE
    assert found.failure is not None
    assert "1 Insufficient" in found.failure.message


def test_too_little_memory() -> None:
    found = Recording("out_of_memory").revision(5)
    assert found.state is ServiceState.FAILED
    assert found.failure is not None
    assert found.failure.message == (
        "The container 'scoring' used more memory than its limit of 512Mi and was killed (OOMKilled), 2 times so far."
    )
    assert "memory_gb_limit" in found.failure.hint


def test_a_node_that_ran_out_of_memory() -> None:
    seen = Recording("out_of_memory")
    del seen.pod["spec"]["containers"][0]["resources"]["limits"]
    failure = seen.revision(5).failure
    assert failure is not None
    assert "256Mi is set aside for it, and it has no limit" in failure.message
    assert "memory_gb in" in failure.hint


def test_a_log_has_nothing_that_was_written_for_programs() -> None:
    seen = Recording("out_of_memory")
    (status,) = seen.pod["status"]["containerStatuses"]
    ended = status["state"].get("terminated") or status["lastState"]["terminated"]
    ended["message"] = '{"phase": "init", "message": "killed by signal 9 (SIGKILL)", "type": "", "traceback": ""}'
    failure = seen.revision(5).failure
    assert failure is not None
    assert "(OOMKilled)" in failure.message and failure.log == ""


def test_a_worker_that_ends_without_a_word() -> None:
    failure = Recording("worker_exits").revision(4).failure
    assert failure is not None
    assert failure.phase is Phase.INIT
    assert failure.message == "the worker process ended in phase 'init' without saying why: exit status 9"
    assert "init of crash" in failure.log


# --- what follows from what was seen ----------------------------------------------------------------------------------


def test_last_words_of_the_scoring_server() -> None:
    seen = Recording("init_fails")
    told = {"phase": "import", "type": "ImportError", "message": "no module", "traceback": "Traceback …"}
    seen.container["lastState"]["terminated"]["message"] = json.dumps(told)
    failure = seen.revision(3).failure
    assert failure is not None
    assert (failure.phase, failure.message, failure.traceback) == (
        Phase.IMPORT,
        "ImportError: no module",
        "Traceback …",
    )


def test_a_failure_after_it_was_ready_is_no_failed_deployment() -> None:
    seen = Recording("init_fails")
    progressing = next(one for one in seen.deployment["status"]["conditions"] if one["type"] == "Progressing")
    progressing["reason"] = "NewReplicaSetAvailable"
    assert seen.revision(3).state is ServiceState.UNHEALTHY
    assert seen.revision(3).failure is not None


def test_a_first_end_may_be_an_accident() -> None:
    seen = Recording("init_fails")
    ended = {**seen.container["lastState"]["terminated"], "exitCode": 1, "message": "lost the connection"}
    seen.container.update(state={"terminated": ended}, lastState={}, restartCount=0)
    assert seen.revision(3).state is ServiceState.DEPLOYING
    seen.container.update(state={"running": {}}, lastState={"terminated": ended}, restartCount=1)
    assert seen.revision(3).state is ServiceState.DEPLOYING
    seen.container.update(state={"terminated": ended}, lastState={"terminated": ended}, restartCount=1)
    assert seen.revision(3).state is ServiceState.FAILED
    failure = seen.revision(3).failure
    assert failure is not None
    assert failure.message == "The container 'scoring' ended with status 1, 2 times so far: lost the connection"


def test_a_failed_probe_is_named() -> None:
    seen = Recording("init_fails")
    seen.container["lastState"]["terminated"].update(exitCode=137, message="")
    event = {"reason": "Unhealthy", "message": "Liveness probe failed: timeout", "involvedObject": {}}
    event["involvedObject"] = {"uid": seen.pod["metadata"]["uid"]}
    seen.events.append(event)
    failure = seen.revision(3).failure
    assert failure is not None
    assert "Liveness probe failed: timeout" in failure.message
    seen.events.pop()
    failure = seen.revision(3).failure
    assert failure is not None
    assert "was killed by signal 9" in failure.message


@pytest.mark.parametrize("reason", ["CreateContainerConfigError", "RunContainerError"])
def test_a_container_that_cannot_be_made(reason: str) -> None:
    seen = Recording("init_fails")
    seen.container.update(state={"waiting": {"reason": reason, "message": 'secret "x" not found'}}, lastState={})
    failure = seen.revision(3).failure
    assert failure is not None
    assert failure.message == "The container 'scoring' cannot be started: secret \"x\" not found"


def test_what_cannot_be_fetched() -> None:
    seen = Recording("healthy")
    ended = {"exitCode": 1, "reason": "Error", "message": "…\nbundle: HTTP 403"}
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    seen.container.update(ready=False, state={"waiting": {"reason": "PodInitializing"}})
    seen.pod["status"]["conditions"] = []
    seen.pod["status"]["initContainerStatuses"] = [
        {"name": "fetch", "state": waiting, "lastState": {"terminated": ended}, "restartCount": 3, "ready": False}
    ]
    failure = seen.revision(1).failure
    assert failure is not None
    assert failure.message == "What the service serves could not be fetched: bundle: HTTP 403"
    assert blamed(seen.pods) == Blamed(pod=seen.pod["metadata"]["name"], container="fetch", previous=True)


def unscheduled(message: str) -> Recording:
    seen = Recording("init_fails")
    seen.pod["status"] = {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastTransitionTime": "2026-11-26T22:00:00Z",
            }
        ],
    }
    return seen


def test_no_room_in_the_words_of_the_scheduler() -> None:
    words = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    found = unscheduled(words).revision(3)
    assert found.state is ServiceState.UNSCHEDULABLE
    assert shown_state(found.state, "AKS") == "Unschedulable"
    assert found.failure is not None
    assert found.failure.message == (
        f"Couldn't Schedule because the kubernetes cluster didn't have available resources: {words}"
    )
    late = dt.datetime(2026, 11, 26, 22, 5, tzinfo=dt.UTC)
    failure = unscheduled(words).revision(3, now=late).failure
    assert failure is not None
    assert "after trying for 00:05:00" in failure.message


class Shown:
    """A cluster that has what was recorded, and nothing else."""

    served = frozenset[str]()

    def __init__(self, recorded: Recording) -> None:
        kinds = {"Deployment": recorded.deployments, "ReplicaSet": recorded.replica_sets, "Pod": recorded.pods}
        self._kinds = {**kinds, "Event": recorded.events}

    def list(self, kind: str, **_where: Any) -> list[Any]:
        return self._kinds[kind.rpartition("/")[2]]


def test_who_asks_hears_for_how_long_there_was_no_room() -> None:
    cluster = cast(Cluster, Shown(unscheduled("0/3 nodes are available.")))
    row = service(name="line", revisions=(revision(3),), active_revision=3)
    failure = Rollout(cluster=cluster, namespace="n", selector={}).observe(row).failure
    assert failure is not None
    assert "after trying for 00:05:00: 0/3 nodes" in failure.message


@pytest.mark.parametrize(
    ("message", "state"),
    [
        ('pods "line-1" is forbidden: exceeded quota: team, requested: cpu=1', ServiceState.UNSCHEDULABLE),
        ('pods "line-1" is forbidden: violates PodSecurity "restricted:latest"', ServiceState.FAILED),
    ],
)
def test_pods_that_are_refused(message: str, state: ServiceState) -> None:
    seen = Recording("init_fails")
    seen.pods.clear()
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message}
    seen.replica_sets[0]["status"]["conditions"] = [condition]
    found = seen.revision(3)
    assert found.state is state
    assert found.failure is not None
    assert message in found.failure.message


def test_a_pod_that_its_node_gave_up() -> None:
    seen = Recording("init_fails")
    seen.pod["status"] = {"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."}
    found = seen.revision(3)
    assert (found.state, found.replicas) == (ServiceState.FAILED, 0)
    assert found.failure is not None
    assert "low on resource: memory" in found.failure.message


def test_pods_that_do_not_become_ready_in_time() -> None:
    seen = Recording("init_fails")
    seen.pods.clear()
    message = 'ReplicaSet "line-1" has timed out progressing.'
    seen.deployment["status"]["conditions"] = [
        {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": message}
    ]
    found = seen.revision(3)
    assert found.state is ServiceState.FAILED
    assert found.failure is not None
    assert message in found.failure.message


def test_nothing_is_there() -> None:
    assert observation(service(), [], [], [], port=80) == Observation(state=ServiceState.STOPPED, port=80)
    seen = Recording("healthy")
    seen.deployment["spec"]["replicas"] = 0
    assert seen.revision(1).state is ServiceState.STOPPED
    assert seen.service(1).active_revision is None


def test_pods_that_end_do_not_count() -> None:
    seen = Recording("healthy")
    seen.pod["metadata"]["deletionTimestamp"] = "2026-11-26T22:00:00Z"
    found = seen.revision(1)
    assert (found.state, found.replicas) == (ServiceState.UNHEALTHY, 0)


def test_versions_of_an_endpoint() -> None:
    healthy, failing = Recording("healthy"), Recording("init_fails")
    for recording, version, number in ((healthy, "blue", "1"), (failing, "green", "2")):
        for one in (recording.deployment, *recording.pods):
            one["metadata"]["labels"] |= {"modelport.dev/version": version, "modelport.dev/revision": number}
            one["metadata"].setdefault("annotations", {})["modelport.dev/revision"] = number
        for replica_set in recording.replica_sets:
            replica_set["spec"]["template"]["metadata"]["labels"]["modelport.dev/revision"] = number
    row = endpoint()
    parts = (healthy.deployments + failing.deployments, healthy.pods + failing.pods)
    found = observation(row, *parts, healthy.replica_sets + failing.replica_sets, port=80)
    assert (found.state, found.active_revision) == (ServiceState.RUNNING, 1)
    assert found.revisions[2].state is ServiceState.FAILED
    switched = observation(dataclasses.replace(row, active_revision=2), *parts, failing.replica_sets, port=80)
    assert (switched.state, switched.active_revision) == (ServiceState.FAILED, 2)


# --- whatever is shown ------------------------------------------------------------------------------------------------

NAMES = [file.stem for file in sorted(RECORDED.glob("*.json"))]

TERMINATED = st.fixed_dictionaries(
    {"exitCode": st.integers(0, 255)},
    optional={
        "reason": st.sampled_from(["Error", "OOMKilled", "Completed", "ContainerCannotRun"]),
        "message": st.one_of(st.text(max_size=50), st.just("{}"), st.just("The phase init failed: \nTraceback")),
    },
)
WAITING = st.fixed_dictionaries(
    {},
    optional={
        "reason": st.sampled_from(
            ["CrashLoopBackOff", "ErrImagePull", "ImagePullBackOff", "ContainerCreating", "CreateContainerError"]
        ),
        "message": st.text(max_size=30),
    },
)
STATE = st.one_of(
    st.just({}),
    st.builds(lambda one: {"terminated": one}, TERMINATED),
    st.builds(lambda one: {"waiting": one}, WAITING),
    st.just({"running": {"startedAt": "2026-11-26T22:00:00Z"}}),
)
STATUS = st.fixed_dictionaries(
    {"name": st.just("scoring")},
    optional={
        "state": STATE,
        "lastState": STATE,
        "ready": st.booleans(),
        "restartCount": st.integers(0, 9),
        "image": st.just("i"),
    },
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(name=st.sampled_from(NAMES), status=STATUS, has_spec=st.booleans(), events=st.booleans())
def test_there_is_always_a_state_and_a_cause(name: str, status: Any, has_spec: bool, events: bool) -> None:
    seen = Recording(name)
    for pod in seen.pods:
        pod["status"]["containerStatuses"] = [status]
        if not has_spec:
            del pod["spec"]
    if not events:
        seen.events.clear()
    numbers = {int(pod["metadata"]["labels"]["modelport.dev/revision"]) for pod in seen.pods}
    for number in numbers:
        found = seen.revision(number)
        assert (found.state is ServiceState.RUNNING) == (found.ready_replicas > 0)
        assert found.ready_replicas <= found.replicas
        if found.state in (ServiceState.FAILED, ServiceState.UNSCHEDULABLE):
            assert found.failure is not None
        if found.failure is not None:
            assert found.failure.message.strip() not in ("", "CrashLoopBackOff")


def shortened(value: Any, choose: Callable[[], bool]) -> Any:
    """The value without some of what is optional in the API."""
    if isinstance(value, dict):
        kept = {"name", "labels", "metadata", "spec", "template", "exitCode", "type", "status"}
        return {key: shortened(one, choose) for key, one in value.items() if key in kept or choose()}
    return [shortened(one, choose) for one in value] if isinstance(value, list) else value


@given(name=st.sampled_from(NAMES), random=st.randoms(use_true_random=False))
def test_what_is_missing_does_no_harm(name: str, random: Any) -> None:
    seen = Recording(name)
    choose = lambda: random.random() < 0.8  # noqa: E731
    pods = shortened(copy.deepcopy(seen.pods), choose)
    deployments = shortened(copy.deepcopy(seen.deployments), choose)
    observation(service(), deployments, pods, shortened(seen.replica_sets, choose), port=None, events=seen.events)


def test_an_autoscaler_that_cannot_measure() -> None:
    """As a cluster without metrics-server says it, and as one does whose pods were not measured yet."""
    said = "the HPA was unable to compute the replica count: unable to get metrics for resource cpu: unable to fetch "
    none = (
        "metrics from resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
    )
    soon = "metrics from resource metrics API: no metrics returned from resource metrics API"

    def scaler(status: str, message: str) -> dict[str, Any]:
        condition = {"type": "ScalingActive", "status": status, "reason": "FailedGetResourceMetric", "message": message}
        return {"metadata": {"name": "line"}, "status": {"conditions": [condition]}}

    failure = why_not_scaling([scaler("True", ""), scaler("False", said + none)])
    assert failure is not None
    assert "stays as it is: the HPA was unable" in failure.message
    assert "metrics-server" in failure.hint
    assert why_not_scaling([scaler("False", said + soon), {"metadata": {"name": "new"}}]) is None
