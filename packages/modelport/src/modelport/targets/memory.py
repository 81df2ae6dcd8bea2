"""A target that runs nothing: for tests of what stands above targets, here and in other projects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from modelport.domain.deployments import ComputeType, Deployment, Placement
from modelport.domain.endpoints import traffic_weights
from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import NONE_BESIDE, Observation, Placed, RevisionObservation, Target

_RUNS = RevisionObservation(state=ServiceState.RUNNING, replicas=1, ready_replicas=1)
_RESTARTING = ("host", "ssl_enabled")


@dataclass
class MemoryTarget:
    """Keeps in memory which revision of which service is active.

    ``failure``: what the next ``start``, ``switch`` or ``configure`` fails with, as a script that raises in ``init()``
    would.
    ``refusal``: what the next ``start`` or ``delete`` raises, as on a full disk or at Ctrl-C.
    """

    failure: Failure | None = None
    refusal: BaseException | None = None
    observations: dict[str, Observation] = field(default_factory=dict)
    weights: dict[str, dict[int, float]] = field(default_factory=dict)
    """Percent of the requests by revision, as the last ``split`` of a service had them."""
    port: int = 10_000

    def check(self, name: str, deployment: Deployment) -> None:
        """Everything is possible."""

    def keep_certificate(self, name: str, deployment: Deployment) -> None:
        """Nothing shows it."""

    def certificate(self, service: Service) -> Path | None:
        """Nothing is spoken."""
        return None

    def start(self, service: Service, bundle: Path, *, beside: Mapping[int, Path] = NONE_BESIDE) -> Observation:
        """Active at once, or failed. Raises the refusal."""
        self._refuse()
        failure, self.failure = self.failure, None
        state = ServiceState.FAILED if failure else ServiceState.RUNNING
        revisions = dict.fromkeys(beside, _RUNS)
        self.observations[service.name] = Observation(
            state=state,
            active_revision=service.active_revision,
            port=service.port or self.port,
            failure=failure,
            revisions=revisions | {service.active_revision: replace(_RUNS, state=state, failure=failure)},
        )
        self.split(service)
        return self.observations[service.name]

    def switch(self, service: Service, number: int, bundle: Path, *, replacing: int | None = None) -> None:
        """Active at once, or DeploymentFailed. Raises WebserviceException where nothing runs."""
        present = self._begun(service)
        gone = replacing or present.active_revision
        kept = {other: seen for other, seen in present.revisions.items() if other != gone}
        present = replace(present, revisions=kept | {number: _RUNS})
        if gone == present.active_revision:
            present = replace(present, state=ServiceState.RUNNING, active_revision=number, failure=None)
        self.observations[service.name] = present

    def host(self, service: Service, number: int, bundle: Path) -> None:
        """There at once, or DeploymentFailed."""
        present = self._begun(service)
        self.observations[service.name] = replace(present, revisions={**present.revisions, number: _RUNS})

    def promote(self, service: Service, number: int) -> None:
        """Active at once. Raises WebserviceException for a revision that does not run."""
        self._expect(service, number)
        self.observations[service.name] = replace(self.observe(service), active_revision=number)

    def release(self, service: Service, number: int) -> None:
        """Gone at once. Raises WebserviceException for a revision that does not run, or is the active one."""
        self._expect(service, number)
        present = self.observe(service)
        if number == present.active_revision:
            raise WebserviceException(f"Revision {number} of {service.name!r} is the active one.")
        kept = {other: seen for other, seen in present.revisions.items() if other != number}
        self.observations[service.name] = replace(present, revisions=kept)

    def scale(self, service: Service, number: int) -> None:
        """There at once. Raises WebserviceException for a revision that does not run."""
        self._expect(service, number)
        version = next(version for version in service.versions if version.revision == number)
        replicas = version.deployment.first_replicas
        present = self.observe(service)
        seen = replace(present.revisions[number], replicas=replicas, ready_replicas=replicas)
        self.observations[service.name] = replace(present, revisions={**present.revisions, number: seen})

    def split(self, service: Service) -> None:
        """Keep it."""
        self.weights[service.name] = traffic_weights(service.versions, default=service.active_revision)

    def _begun(self, service: Service) -> Observation:
        """What runs, unless the next start is to fail."""
        present = self.observe(service)
        if not present.has_process:
            raise WebserviceException(f"The service {service.name!r} does not run.")
        failure, self.failure = self.failure, None
        if failure is not None:
            raise DeploymentFailed(failure)
        return present

    def _expect(self, service: Service, number: int) -> None:
        if number not in self.observe(service).revisions:
            raise WebserviceException(f"Revision {number} of {service.name!r} does not run.")

    @contextmanager
    def briefly(self) -> Iterator[MemoryTarget]:
        """One that starts as this one would."""
        yield MemoryTarget(failure=self.failure, refusal=self.refusal, port=self.port)

    def settings(self, service: Service) -> dict[str, Any]:
        """What was asked for."""
        return {name: value for name, value in asdict(service.deployment).items() if value is not None}

    def restarting_changes(self, before: Service, after: Service) -> tuple[str, ...]:
        """The port, the host and TLS."""
        old, new = asdict(before.deployment), asdict(after.deployment)
        port = () if before.port == after.port else ("port",)
        return (*port, *(name for name in _RESTARTING if old[name] != new[name]))

    def configure(self, service: Service) -> None:
        """Applied at once, or DeploymentFailed."""
        failure, self.failure = self.failure, None
        if failure is not None:
            raise DeploymentFailed(failure)

    def observe(self, service: Service) -> Observation:
        """As the last call left it."""
        return self.observations.get(service.name, Observation(state=ServiceState.STOPPED))

    def stop(self, service: Service) -> None:
        """Forget it."""
        self.observations.pop(service.name, None)

    def delete(self, service: Service) -> None:
        """Forget it. Raises the refusal."""
        self._refuse()
        self.stop(service)

    def forget(self, service: Service) -> tuple[str, ...]:
        """Forget it, and say that it was in this memory."""
        self.stop(service)
        return (f"{service.name!r} was in the memory of a program.",)

    def _refuse(self) -> None:
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            raise refusal

    def logs(self, service: Service, *, lines: int, revision: int | None = None) -> str:
        """Nothing was printed."""
        return ""


@dataclass(frozen=True)
class OneTarget:
    """The same target for services of every kind, or of those that are named."""

    target: Target
    kinds: frozenset[ComputeType] = frozenset(ComputeType)

    def of(self, compute_type: str, placement: Placement) -> Target:
        """Always that one. Raises WebserviceException for another kind."""
        if compute_type not in self.kinds:
            raise WebserviceException(f"There is no target of compute type {compute_type!r}.")
        return self.target

    def place(self, compute_type: str, placement: Placement, *, aci: str | None = None) -> Placed:
        """Where it was."""
        return Placed(placement=placement)
