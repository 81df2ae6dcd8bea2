"""How a service is, from the objects that a cluster shows of it: Deployments, ReplicaSets, Pods, Events."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import Observation, RevisionObservation
from modelport.targets.kubernetes.failing import failed_container, why_container_failed, why_evicted
from modelport.targets.kubernetes.subject import REVISION_LABEL, VERSION_LABEL

Object = Mapping[str, Any]

UNSCHEDULABLE_S = 300

_TEMPLATE_HASH = "pod-template-hash"
"""Label of a Deployment's ReplicaSets and of their pods; ReplicaSets are named by it too."""
_ROLLOUT_ANNOTATION = "deployment.kubernetes.io/revision"
"""How many templates the Deployment had before that of a ReplicaSet was the newest."""

_NO_METRICS = "could not find the requested resource"
"""In what an autoscaler says where there is no metrics API."""

NO_EVENTS: Sequence[Object] = ()

_TRY_RESOURCES = (
    "Add nodes, or ask for less: cpu_cores, memory_gb, gpu_cores. kubectl describe node says what is taken."
)


def observation(
    service: Service,
    deployments: Sequence[Object],
    pods: Sequence[Object],
    replica_sets: Sequence[Object],
    *,
    port: int | None,
    events: Sequence[Object] = NO_EVENTS,
    now: dt.datetime | None = None,
) -> Observation:
    """The service and its revisions. Only objects of the service are to be given; ``now`` is the cluster's time.

    While one revision rolls out, the one before serves: the active one is the workspace's as long as it has ready pods,
    and then the one that took its place.
    """
    deployments = [deployment for deployment in deployments if revision_of(deployment) is not None]
    groups = [_revisions_of(deployment, pods) for deployment in deployments]
    found = {
        number: revision_observation(deployment, pods, replica_sets, revision=number, events=events, now=now)
        for deployment, numbers in zip(deployments, groups, strict=True)
        for number in numbers
    }
    active = _active(service, groups, found)
    if active is None:
        return Observation(state=ServiceState.STOPPED, port=port, revisions=found)
    seen = found[active]
    is_there = seen.state is not ServiceState.STOPPED
    return Observation(
        state=seen.state,
        active_revision=active if is_there else None,
        port=port,
        failure=seen.failure,
        revisions=found,
    )


def _revisions_of(deployment: Object, pods: Sequence[Object]) -> list[int]:
    """That which the Deployment says, and those whose pods it still has, newest first."""
    version = _version_of(deployment)
    beside = (pod for pod in pods if _version_of(pod) == version and not is_leaving(pod))
    numbers = {revision_of(one) for one in (deployment, *beside)}
    return sorted((number for number in numbers if number is not None), reverse=True)


def _version_of(manifest: Object) -> str | None:
    version: str | None = (manifest["metadata"].get("labels") or {}).get(VERSION_LABEL)
    return version


def _active(service: Service, groups: Sequence[Sequence[int]], found: Mapping[int, RevisionObservation]) -> int | None:
    """Which revision takes the requests, or would; None: nothing is there."""
    wanted = service.active_revision
    if wanted in found and found[wanted].ready_replicas:
        return wanted
    group = next((group for group in groups if wanted in group), None)
    if group is None:
        group = groups[0] if len(groups) == 1 and not service.versions else []
    ready = [number for number in group if found[number].ready_replicas]
    return next(iter([*ready, *(number for number in group if number == wanted), *group]), None)


def revision_of(manifest: Object) -> int | None:
    """The revision that an object says it is of, if it does."""
    metadata = manifest["metadata"]
    said = {**(metadata.get("labels") or {}), **(metadata.get("annotations") or {})}.get(REVISION_LABEL, "")
    return int(said) if said.isdigit() else None


def revision_observation(
    deployment: Object,
    pods: Sequence[Object],
    replica_sets: Sequence[Object],
    *,
    revision: int,
    events: Sequence[Object] = NO_EVENTS,
    now: dt.datetime | None = None,
) -> RevisionObservation:
    """How that revision is, which the Deployment runs or is rolling out.

    ``failure`` is also there where some of its pods serve and others cannot: then the state is that it runs.
    """
    if deployment.get("spec", {}).get("replicas") == 0:
        return RevisionObservation(state=ServiceState.STOPPED)
    own = [pod for pod in pods if revision_of(pod) == revision]
    there = [pod for pod in own if not is_leaving(pod)]
    ready = sum(is_ready(pod) for pod in there)
    was_ready = was_rolled_out(deployment) or revision_of(deployment) != revision
    sets = _newest(deployment, _own_sets(replica_sets, revision))
    newest = _of_sets(there, sets)
    unschedulable = why_unschedulable(newest, sets, now=now)
    failure = _failure(deployment, newest, sets, events) or (None if there else _evicted(own))
    if ready:
        state = ServiceState.RUNNING
    elif failure is not None:
        state = ServiceState.UNHEALTHY if was_ready else ServiceState.FAILED
    elif unschedulable is not None:
        state = ServiceState.UNSCHEDULABLE
    else:
        state = ServiceState.UNHEALTHY if was_ready else ServiceState.DEPLOYING
    return RevisionObservation(state=state, replicas=len(there), ready_replicas=ready, failure=failure or unschedulable)


@dataclass(frozen=True, kw_only=True)
class Obstacles:
    """What is in the way of the pods that a Deployment is rolling out."""

    failure: Failure | None = None
    """What is known for sure to stop them."""
    waits_for: Failure | None = None
    """What they lack and may still get: a node, a place in a quota."""
    pods: Sequence[Object] = ()
    """Those pods."""


def obstacles(
    deployment: Object, pods: Sequence[Object], replica_sets: Sequence[Object], *, events: Sequence[Object] = NO_EVENTS
) -> Obstacles:
    """Only pods of the newest template count: those of before may fail beside them, which is often why there is a new
    one. None as long as the cluster has not looked at what the Deployment says now."""
    if not _is_seen(deployment):
        return Obstacles()
    sets = _newest(deployment, replica_sets)
    there = [pod for pod in _of_sets(pods, sets) if not is_leaving(pod)]
    return Obstacles(
        failure=_failure(deployment, there, sets, events),
        waits_for=why_unschedulable(there, sets, now=None),
        pods=there,
    )


def was_rolled_out(deployment: Object) -> bool:
    """Whether what the Deployment says now was ready once: later failures are an accident, not a bad version."""
    is_whole = (condition(deployment, "Progressing") or {}).get("reason") == "NewReplicaSetAvailable"
    return _is_seen(deployment) and is_whole


def is_rolled_out(deployment: Object) -> bool:
    """Whether all of its pods are of what it says now, and take requests; none of before is left."""
    status: Mapping[str, int] = deployment.get("status") or {}
    wanted, updated = deployment.get("spec", {}).get("replicas", 1), status.get("updatedReplicas", 0)
    is_whole = wanted <= updated and wanted <= status.get("availableReplicas", 0)
    return bool(_is_seen(deployment) and is_whole and status.get("replicas", 0) <= updated)


def _is_seen(deployment: Object) -> bool:
    """Whether the status is of what the Deployment says now, and its ReplicaSet is there."""
    status = deployment.get("status") or {}
    return bool(status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 0))


def why_not_scaling(autoscalers: Sequence[Object]) -> Failure | None:
    """Why the number of pods cannot follow the load, where the cluster measures nothing at all. That a new pod was not
    measured yet is no reason."""
    for one in autoscalers:
        active = condition(one, "ScalingActive") or {}
        said = str(active.get("message", ""))
        if active.get("status") == "False" and _NO_METRICS in said:
            return Failure(
                phase=Phase.START,
                message=f"The number of pods cannot follow the load, and stays as it is: {said}",
                hint="Install metrics-server in the cluster, or give a fixed number: num_replicas.",
            )
    return None


def is_ready(pod: Object) -> bool:
    """Whether it takes requests."""
    return (condition(pod, "Ready") or {}).get("status") == "True"


def condition(found: Object, type: str) -> Object | None:
    """The condition of that type in an object's status, where there is one."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == type), None)


def is_leaving(pod: Object) -> bool:
    """Whether it is being deleted, or has ended for good, so that its ReplicaSet makes another one."""
    is_over = (pod.get("status") or {}).get("phase") in ("Failed", "Succeeded")
    return is_over or pod["metadata"].get("deletionTimestamp") is not None


def _evicted(pods: Sequence[Object]) -> Failure | None:
    """Why there is no pod any more, where a node said it."""
    return next((failure for failure in map(why_evicted, pods) if failure is not None), None)


def _own_sets(replica_sets: Sequence[Object], revision: int) -> list[Object]:
    return [one for one in replica_sets if revision_of({"metadata": _template(one)}) == revision]


def _newest(deployment: Object, replica_sets: Sequence[Object]) -> list[Object]:
    """The Deployment's ReplicaSet that has the newest template of these, where there is one."""
    name = deployment["metadata"]["name"]
    own = [one for one in replica_sets if one["metadata"]["name"] == f"{name}-{_hash_of(_template(one))}"]
    return [max(own, key=_rollout_of)] if own else []


def _rollout_of(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(_ROLLOUT_ANNOTATION, "0"))


def _of_sets(pods: Sequence[Object], sets: Sequence[Object]) -> list[Object]:
    """Those that these ReplicaSets have made."""
    hashes = [_hash_of(_template(one)) for one in sets]
    return [pod for pod in pods if _hash_of(pod["metadata"]) in hashes]


def _hash_of(metadata: Object) -> str | None:
    found: str | None = (metadata.get("labels") or {}).get(_TEMPLATE_HASH)
    return found


def _template(replica_set: Object) -> Object:
    metadata: Object = replica_set["spec"]["template"]["metadata"]
    return metadata


def why_unschedulable(
    pods: Sequence[Object], replica_sets: Sequence[Object], *, now: dt.datetime | None
) -> Failure | None:
    """In the words of the scheduler, or of the quota that stands in the way."""
    for pod in pods:
        scheduled = condition(pod, "PodScheduled") or {}
        if scheduled.get("status") == "False" and scheduled.get("reason") in ("Unschedulable", "SchedulingGated"):
            return unschedulable(str(scheduled.get("message") or scheduled["reason"]), long=_is_long(scheduled, now))
    for replica_set in replica_sets:
        refused = condition(replica_set, "ReplicaFailure") or {}
        if refused.get("status") == "True" and "exceeded quota" in str(refused.get("message")):
            return unschedulable(str(refused["message"]), long=_is_long(refused, now))
    return None


def _is_long(since: Object, now: dt.datetime | None) -> bool:
    """Whether a condition holds for so long that v1 gave up."""
    changed = since.get("lastTransitionTime")
    if now is None or not changed:
        return False
    return (now - dt.datetime.fromisoformat(str(changed))).total_seconds() >= UNSCHEDULABLE_S


def unschedulable(reason: str, *, long: bool = False) -> Failure:
    """Why pods wait; ``long``: for as long as v1 tried (azureml-v1 reference, 7.4)."""
    waited = " after trying for 00:05:00" if long else ""
    return Failure(
        phase=Phase.START,
        message=f"Couldn't Schedule because the kubernetes cluster didn't have available resources{waited}: {reason}",
        hint=_TRY_RESOURCES,
    )


def _failure(
    deployment: Object, pods: Sequence[Object], replica_sets: Sequence[Object], events: Sequence[Object]
) -> Failure | None:
    """What is known for sure to stop pods of the revision; None also while it may still come right."""
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        failed = failed_container(pod)
        if failed is not None:
            return why_container_failed(failed, events)
    for replica_set in replica_sets:
        refused = condition(replica_set, "ReplicaFailure") or {}
        message = str(refused.get("message") or refused.get("reason"))
        if refused.get("status") == "True" and "exceeded quota" not in message:
            return Failure(
                phase=Phase.START,
                message=f"The cluster refuses the service's pods: {message}",
                hint="The namespace's owners can tell which policy that is.",
            )
    progressing = condition(deployment, "Progressing") or {}
    if progressing.get("reason") == "ProgressDeadlineExceeded" and not why_unschedulable(pods, replica_sets, now=None):
        return Failure(
            phase=Phase.START,
            message=f"The pods did not become ready in time: {progressing.get('message', '')}".rstrip(": "),
            hint="Look at the log (get_logs); limits.start_timeout_s says how long init() may take.",
        )
    return None
