"""A new revision on its way to its pods: waited for, and judged by what they say."""

from __future__ import annotations

import datetime as dt
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelport.domain.errors import DeploymentFailed
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import Observation
from modelport.targets.kubernetes.cluster import Cluster, Object, RightMissing
from modelport.targets.kubernetes.inferring import inference_observation, inference_obstacles, is_inferring
from modelport.targets.kubernetes.logs import blamed_log
from modelport.targets.kubernetes.observing import (
    Obstacles,
    is_rolled_out,
    observation,
    obstacles,
    was_rolled_out,
    why_not_scaling,
)
from modelport.targets.kubernetes.watching import wait_for, woken_by

UNSCHEDULABLE_S = 300.0
"""How long pods may be without a node in an update: as long as v1 tried (azureml-v1 reference, 7.4), in which a cluster
that adds nodes has added one, and a pod that drains has left its place."""
_PROGRESS_WITHIN_S = 3600.0
"""From one pod that is new, or ready, to the next. The Deployment's own deadline comes first: this one is for a cluster
that says nothing at all."""
COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The pods of a service, and where they come from."""

    cluster: Cluster
    namespace: str
    selector: Mapping[str, str]
    is_inferring: bool = False
    """Whether they are KServe's: of an InferenceService, not of Deployments."""

    def wait(self, workloads: Mapping[str, int | None], *, before: Sequence[Object] = ()) -> None:
        """Return when all pods of these Deployments are those of the last template, and ready; or the InferenceService
        of that name is. The values are the numbers of their revisions, None of a router.

        Pods of a Deployment whose template is that of ``before``, where it had come up, are not waited for: the change
        is none of theirs, and must be possible while one of them fails.

        Raises DeploymentFailed as soon as a pod says why it never will be ready.
        """
        templates = {one["metadata"]["name"]: _template(one) for one in before if was_rolled_out(one)}
        kinds = [self._kind, "v1/Pod"]
        with woken_by(self.cluster, kinds, namespace=self.namespace, labels=self.selector) as changed:
            for name, revision in workloads.items():
                now = time.monotonic()
                look = _Look(self, name, revision, templates.get(name), since=now, progress=now)
                found = wait_for(look, changed, within_s=math.inf)
                if found is not None and found.failure is not None:
                    raise DeploymentFailed(found.failure)

    def observe(self, service: Service) -> Observation:
        """The whole service; the log tells why where it has failed."""
        workloads, pods = self._list(self._kind), self.pods()
        if not workloads and not pods:
            return Observation(state=ServiceState.STOPPED)
        if self.is_inferring and workloads:
            found = inference_observation(service, workloads[0], pods, events=self._events(), now=_now())
        else:
            found = observation(
                service, workloads, pods, self._replica_sets(), port=None, events=self._events(), now=_now()
            )
        if found.failure is None and found.state is ServiceState.RUNNING:
            return replace(found, failure=why_not_scaling(self._autoscalers()))
        if found.failure is None or found.failure.log:
            return found
        log = blamed_log(self.cluster, self.namespace, pods)
        return replace(found, failure=replace(found.failure, log=log))

    def _autoscalers(self) -> list[Object]:
        kinds = [f"{version}/HorizontalPodAutoscaler" for version in ("autoscaling/v2", "autoscaling/v2beta2")]
        return self._list(next((kind for kind in kinds if kind in self.cluster.served), kinds[0]))

    def obstacles(self, workload: Object, revision: int | None) -> Obstacles:
        """What is in the way of what the Deployment or InferenceService says now; the log tells why it fails."""
        pods = self.pods()
        if self.is_inferring and revision is not None:
            found = inference_obstacles(workload, pods, revision=revision, events=self._events())
        else:
            found = obstacles(workload, pods, self._replica_sets(), events=self._events())
        if found.failure is None or found.failure.log:
            return found
        log = blamed_log(self.cluster, self.namespace, found.pods)
        return replace(found, failure=replace(found.failure, log=log))

    def workload(self, name: str) -> Object | None:
        """The Deployment, or the InferenceService, of that name."""
        return self.cluster.get(self._kind, name, namespace=self.namespace)

    def is_done(self, workload: Object) -> bool:
        """Whether all of its pods are of what it says now, and take requests."""
        return is_inferring(workload) if self.is_inferring else is_rolled_out(workload)

    @property
    def _kind(self) -> str:
        return "serving.kserve.io/v1beta1/InferenceService" if self.is_inferring else "apps/v1/Deployment"

    def pods(self) -> list[Object]:
        """All that there are."""
        return self._list("v1/Pod")

    def _replica_sets(self) -> list[Object]:
        return self._list("apps/v1/ReplicaSet")

    def _events(self) -> list[Object]:
        """Of the whole namespace: they have no labels. None for who may not see them: then pods alone tell."""
        try:
            return self.cluster.list("v1/Event", namespace=self.namespace)
        except RightMissing:
            return []

    def _list(self, kind: str) -> list[Object]:
        return self.cluster.list(kind, namespace=self.namespace, labels=self.selector)


def _now() -> dt.datetime:
    """The cluster's time, as far as clocks agree."""
    return dt.datetime.now(dt.UTC)


def _template(workload: Object) -> Object | None:
    """Of its pods; None of an InferenceService."""
    found: Object | None = workload["spec"].get("template")
    return found


@dataclass(frozen=True)
class _End:
    """Of a roll-out; ``failure`` says whether a good one."""

    failure: Failure | None = None


@dataclass
class _Look:
    """How the roll-out of a Deployment or an InferenceService has ended, once it has."""

    rollout: Rollout
    name: str
    revision: int | None
    template: Object | None
    """With which its pods had come up before."""
    since: float
    """When its pods last had a place to be."""
    progress: float
    """When there last was some."""
    counts: object = None
    """Of pods, then."""

    def __call__(self) -> _End | None:
        rollout = self.rollout
        workload = rollout.workload(self.name)
        if workload is None:
            return _failed(f"What runs the service, {self.name}, was deleted meanwhile.")
        if rollout.is_done(workload) or (self.template is not None and _template(workload) == self.template):
            return _End()
        found, now = rollout.obstacles(workload, self.revision), time.monotonic()
        if found.failure is not None:
            return _End(found.failure)
        if found.waits_for is None:
            self.since = now
        if now - self.since > UNSCHEDULABLE_S:
            return _End(found.waits_for)
        counts = _counts(workload)
        if counts != self.counts:
            self.counts, self.progress = counts, now
        if now - self.progress > _PROGRESS_WITHIN_S:
            return _failed(f"The pods of {self.name} are not ready, and none came for {_PROGRESS_WITHIN_S:.0f} s.")
        return None


def _counts(workload: Object) -> object:
    """What changes with each pod that a roll-out replaces."""
    status = workload.get("status") or {}
    return [status.get(key) for key in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")]


def _failed(message: str) -> _End:
    return _End(Failure(phase=Phase.START, message=message))
