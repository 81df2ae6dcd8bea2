"""What the scoring server says of itself, in the words of the domain."""

from __future__ import annotations

from modelport.domain.services import ServiceState
from modelport.targets.interface import Observation, RevisionObservation
from modelport.targets.serving.failures import from_scoring
from modelport_scoring import RevisionStatus, Status

_STATES = {
    "starting": ServiceState.DEPLOYING,
    "running": ServiceState.RUNNING,
    "unhealthy": ServiceState.UNHEALTHY,
    "failed": ServiceState.FAILED,
}
_READY = "ready"


def observation_of(status: Status) -> Observation:
    """The service and its revisions."""
    return Observation(
        state=_STATES[status.state],
        active_revision=status.revision,
        port=status.port,
        failure=None if status.failure is None else from_scoring(status.failure),
        revisions={revision.revision: _revision(revision) for revision in status.revisions},
    )


def _revision(status: RevisionStatus) -> RevisionObservation:
    return RevisionObservation(
        state=_STATES[status.state],
        replicas=len(status.workers),
        ready_replicas=sum(worker.state == _READY for worker in status.workers),
        failure=None if status.failure is None else from_scoring(status.failure),
    )
