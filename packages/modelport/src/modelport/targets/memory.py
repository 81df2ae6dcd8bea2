"""A target that runs nothing: for tests of what stands above targets, here and in other projects."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure
from modelport.domain.services import LocalDeployment, Service, ServiceState
from modelport.targets.interface import Observation

_RESTARTING = ("host", "ssl_enabled")


@dataclass
class MemoryTarget:
    """Keeps in memory which revision of which service is active.

    ``failure``: what the next ``start``, ``switch`` or ``configure`` fails with, as a script that raises in ``init()``
    would.
    ``refusal``: what the next ``start`` raises, as on a full disk or at Ctrl-C.
    """

    failure: Failure | None = None
    refusal: BaseException | None = None
    observations: dict[str, Observation] = field(default_factory=dict)
    port: int = 10_000

    def check(self, name: str, deployment: LocalDeployment) -> None:
        """Everything is possible."""

    def keep_certificate(self, name: str, deployment: LocalDeployment) -> None:
        """Nothing shows it."""

    def certificate(self, service: Service) -> Path | None:
        """Nothing is spoken."""
        return None

    def start(self, service: Service, bundle: Path) -> Observation:
        """Active at once, or failed. Raises the refusal."""
        refusal, self.refusal = self.refusal, None
        if refusal is not None:
            raise refusal
        failure, self.failure = self.failure, None
        state = ServiceState.FAILED if failure else ServiceState.RUNNING
        self.observations[service.name] = Observation(
            state=state, active_revision=service.active_revision, port=service.port or self.port, failure=failure
        )
        return self.observations[service.name]

    def switch(self, service: Service, number: int, bundle: Path) -> None:
        """Active at once, or DeploymentFailed. Raises WebserviceException where nothing runs."""
        if not self.observe(service).has_process:
            raise WebserviceException(f"The service {service.name!r} does not run.")
        failure, self.failure = self.failure, None
        if failure is not None:
            raise DeploymentFailed(failure)
        port = self.observe(service).port
        self.observations[service.name] = Observation(state=ServiceState.RUNNING, active_revision=number, port=port)

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
        """Forget it."""
        self.stop(service)

    def logs(self, service: Service, *, lines: int, revision: int | None = None) -> str:
        """Nothing was printed."""
        return ""
