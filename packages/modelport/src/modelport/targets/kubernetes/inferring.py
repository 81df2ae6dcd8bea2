"""How a service is that KServe runs: from its InferenceService and the pods that Knative has made for it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import Observation, RevisionObservation
from modelport.targets.kubernetes.failing import failed_container, why_container_failed
from modelport.targets.kubernetes.observing import (
    NO_EVENTS,
    Obstacles,
    condition,
    is_leaving,
    is_ready,
    revision_of,
    why_unschedulable,
)

Object = Mapping[str, Any]

_STILL_COMES = ("RevisionMissing", "MinimumReplicasUnavailable")
"""Reasons of a predictor that is not ready yet; with any other one it is False for a cause."""
_REFUSED = ("InvalidSpec", "BlockedByFailedLoad")
"""How KServe says that a change came to nothing (status.modelStatus.transitionStatus)."""
_KNATIVE_REVISION = "serving.knative.dev/revision"
_LOOK = "kubectl describe inferenceservice in the service's namespace tells more."


def inference_observation(
    service: Service,
    found: Object,
    pods: Sequence[Object],
    *,
    events: Sequence[Object] = NO_EVENTS,
    now: dt.datetime | None = None,
) -> Observation:
    """The service as its InferenceService tells, which has the label of the revision that it is to serve."""
    wanted = revision_of(found) or service.active_revision
    ready = {number for pod in pods if is_ready(pod) and (number := revision_of(pod)) is not None}
    active = service.active_revision
    if wanted in ready or is_inferring(found):
        active = wanted
    seen = inference_revision(found, pods, revision=wanted, events=events, now=now)
    is_served = seen.state is not ServiceState.RUNNING and active in ready and active != wanted
    return Observation(
        state=ServiceState.RUNNING if is_served else seen.state,
        active_revision=active,
        failure=seen.failure,
        revisions={wanted: seen},
    )


def inference_revision(
    found: Object,
    pods: Sequence[Object],
    *,
    revision: int,
    events: Sequence[Object] = NO_EVENTS,
    now: dt.datetime | None = None,
) -> RevisionObservation:
    """The revision that the InferenceService is to serve. Where it has no pods because nobody asks, it runs."""
    there = [pod for pod in pods if revision_of(pod) == revision and not is_leaving(pod)]
    failure = _failure(found, there, events)
    unschedulable = why_unschedulable(there, [], now=now)
    was_ready = bool(_predictor(found).get("latestReadyRevision"))
    if is_inferring(found):
        state = ServiceState.RUNNING
    elif failure is not None:
        state = ServiceState.UNHEALTHY if was_ready else ServiceState.FAILED
    elif unschedulable is not None:
        state = ServiceState.UNSCHEDULABLE
    else:
        state = ServiceState.DEPLOYING
    count = sum(is_ready(pod) for pod in there)
    return RevisionObservation(state=state, replicas=len(there), ready_replicas=count, failure=failure or unschedulable)


def inference_obstacles(
    found: Object, pods: Sequence[Object], *, revision: int, events: Sequence[Object] = NO_EVENTS
) -> Obstacles:
    """What is in the way of what the InferenceService says now, by the pods that Knative has made for it last."""
    if not _is_seen(found):
        return Obstacles()
    there = [pod for pod in pods if revision_of(pod) == revision and not is_leaving(pod) and _is_newest(pod, found)]
    return Obstacles(
        failure=_failure(found, there, events), waits_for=why_unschedulable(there, [], now=None), pods=there
    )


def _is_newest(pod: Object, found: Object) -> bool:
    """Also where it does not say: Knative is not everywhere below KServe."""
    said = pod["metadata"]["labels"].get(_KNATIVE_REVISION)
    return said in (None, _predictor(found).get("latestCreatedRevision"))


def is_inferring(found: Object) -> bool:
    """Whether what the InferenceService says now takes requests, and nothing of before does."""
    predictor = _predictor(found)
    created, ready = predictor.get("latestCreatedRevision"), predictor.get("latestReadyRevision")
    return _is_seen(found) and _says(found, "Ready") == "True" and created == ready


def _failure(found: Object, pods: Sequence[Object], events: Sequence[Object]) -> Failure | None:
    """What a container says is nearer to the cause than what Knative and KServe make of it."""
    for pod in sorted(pods, key=lambda pod: str(pod["metadata"]["name"])):
        failed = failed_container(pod)
        if failed is not None:
            return why_container_failed(failed, events)
    if not _is_seen(found):
        return None
    model: Mapping[str, Any] = (found.get("status") or {}).get("modelStatus") or {}
    if model.get("transitionStatus") in _REFUSED:
        told = model.get("lastFailureInfo") or {}
        said = [str(told[key]) for key in ("reason", "message") if told.get(key)]
        return _refused(": ".join(said) or str(model["transitionStatus"]))
    predictor = condition(found, "PredictorReady") or {}
    if predictor.get("status") == "False" and predictor.get("reason") not in _STILL_COMES:
        said = [str(predictor[key]) for key in ("reason", "message") if predictor.get(key)]
        return _refused(": ".join(said) or "PredictorReady is False")
    return None


def _refused(said: str) -> Failure:
    return Failure(phase=Phase.START, message=f"KServe cannot serve it: {said}", hint=_LOOK)


def _is_seen(found: Object) -> bool:
    """Whether the status is of what is asked for now."""
    generation = found["metadata"].get("generation", 0)
    return bool((found.get("status") or {}).get("observedGeneration", generation) >= generation)


def _says(found: Object, type: str) -> str | None:
    return (condition(found, type) or {}).get("status")


def _predictor(found: Object) -> Mapping[str, Any]:
    components: Mapping[str, Mapping[str, Any]] = (found.get("status") or {}).get("components") or {}
    return components.get("predictor") or {}
