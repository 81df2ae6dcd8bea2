"""What the scoring server says of itself, in the words of the domain."""

from __future__ import annotations

from modelport.domain.services import ServiceState
from modelport.targets.interface import Observation, RevisionObservation
from modelport.targets.serving.failures import from_scoring
from modelport_scoring import RevisionStatus, Status, dialect

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
        started_by=other_version(status),
    )


def other_version(status: Status) -> str | None:
    """The version that the scoring server is of, where it understands other words than this one does."""
    return None if status.dialect == dialect() else status.version or "an earlier version"


def _revision(status: RevisionStatus) -> RevisionObservation:
    return RevisionObservation(
        state=_STATES[status.state],
        replicas=len(status.workers),
        ready_replicas=sum(worker.state == _READY for worker in status.workers),
        failure=None if status.failure is None else from_scoring(status.failure),
    )
