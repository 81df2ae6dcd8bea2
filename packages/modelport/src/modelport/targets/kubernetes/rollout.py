"""A new revision on its way to its pods: waited for, and judged by what they say."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from modelport.domain.errors import DeploymentFailed
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import Observation, RevisionObservation
from modelport.targets.kubernetes.cluster import Cluster, Object, RightMissing
from modelport.targets.kubernetes.failing import failed_container, why_container_failed
from modelport.targets.kubernetes.inferring import inference_observation, inference_revision, is_inferring
from modelport.targets.kubernetes.logs import blamed_log
from modelport.targets.kubernetes.observing import (
    is_rolled_out,
    observation,
    revision_observation,
    revision_of,
    why_not_scaling,
)
from modelport.targets.kubernetes.subject import ROUTER
from modelport.targets.kubernetes.watching import wait_for, woken_by

_UNSCHEDULABLE_S = 30.0
"""How long a pod may be without a node in an update: the old ones serve, and whoever waits wants to know."""
_READY_WITHIN_S = 3600
"""The Deployment's own deadline comes first: this one is for a cluster that says nothing at all."""
COMPONENT = "app.kubernetes.io/component"


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The pods of a service, and where they come from."""

    cluster: Cluster
    namespace: str
    selector: Mapping[str, str]
    is_inferring: bool = False
    """Whether they are KServe's: of an InferenceService, not of Deployments."""

    def wait(self, workloads: Mapping[str, int | None]) -> None:
        """Return when all pods of these Deployments are those of the last template, and ready; or the InferenceService
        of that name is. The values are the numbers of their revisions, None of a router.

        Raises DeploymentFailed as soon as a pod says why it never will be.
        """
        kinds = [self._kind, "v1/Pod"]
        with woken_by(self.cluster, kinds, namespace=self.namespace, labels=self.selector) as changed:
            for name, revision in workloads.items():
                look = _Look(self, name, revision, since=time.monotonic())
                found = wait_for(look, changed, within_s=_READY_WITHIN_S)
                if found is None:
                    message = f"The pods of {name} are not ready after {_READY_WITHIN_S} s."
                    raise DeploymentFailed(Failure(phase=Phase.START, message=message))
                if found.failure is not None:
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

    def observe_revision(self, workload: Object, revision: int) -> RevisionObservation:
        """As ``observe``, one revision that its Deployment or InferenceService is rolling out."""
        pods = [pod for pod in self.pods() if revision_of(pod) == revision]
        if self.is_inferring:
            seen = inference_revision(workload, pods, revision=revision, events=self._events())
        else:
            seen = revision_observation(workload, pods, self._replica_sets(), revision=revision, events=self._events())
        if seen.failure is None or seen.failure.log:
            return seen
        log = blamed_log(self.cluster, self.namespace, pods)
        return replace(seen, failure=replace(seen.failure, log=log))

    def observe_router(self) -> RevisionObservation:
        """Only why it fails, where it does."""
        for pod in self.pods():
            failed = failed_container(pod) if pod["metadata"]["labels"].get(COMPONENT) == ROUTER else None
            if failed is not None:
                failure = why_container_failed(failed, self._events())
                return RevisionObservation(state=ServiceState.FAILED, failure=failure)
        return RevisionObservation(state=ServiceState.DEPLOYING)

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


@dataclass
class _Look:
    """How the roll-out of a Deployment or an InferenceService has ended, once it has: ``failure`` says whether well."""

    rollout: Rollout
    name: str
    revision: int | None
    since: float
    """When its pods last had a place to be."""

    def __call__(self) -> RevisionObservation | None:
        rollout = self.rollout
        workload = rollout.workload(self.name)
        if workload is None:
            message = f"What runs the service, {self.name}, was deleted meanwhile."
            return RevisionObservation(state=ServiceState.FAILED, failure=Failure(phase=Phase.START, message=message))
        if rollout.is_done(workload):
            return RevisionObservation(state=ServiceState.RUNNING)
        number = self.revision
        seen = rollout.observe_router() if number is None else rollout.observe_revision(workload, number)
        if seen.state is not ServiceState.UNSCHEDULABLE:
            self.since = time.monotonic()
        is_lost = seen.state is not ServiceState.UNSCHEDULABLE or time.monotonic() - self.since > _UNSCHEDULABLE_S
        return seen if seen.failure is not None and is_lost else None
