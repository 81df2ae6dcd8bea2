"""What the control plane needs of a target: run a service's revisions, one active at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from modelport.domain.deployments import Deployment, Placement
from modelport.domain.failures import Failure
from modelport.domain.services import Service, ServiceState

NONE_BESIDE: Mapping[int, Path] = {}


@dataclass(frozen=True, kw_only=True)
class RevisionObservation:
    """How one revision of a service is at this moment."""

    state: ServiceState
    replicas: int = 0
    """Those that are there, or are being started."""
    ready_replicas: int = 0
    """Those that take requests."""
    failure: Failure | None = None


@dataclass(frozen=True, kw_only=True)
class Observation:
    """How a service is at this moment."""

    state: ServiceState
    active_revision: int | None = None
    port: int | None = None
    host: str | None = None
    """The name or address of the machine on which the port is; None: this one."""
    speaks_tls: bool | None = None
    """Whether what is there speaks HTTPS; None: as the deployment says."""
    failure: Failure | None = None
    revisions: Mapping[int, RevisionObservation] = field(default_factory=dict)
    """Those that run, the active one among them, by number."""
    started_by: str | None = None
    """The version of Modelport that started it, where that understands other words than this one: it may refuse changes
    until it is started again. None where nothing stands in the way."""

    @property
    def has_process(self) -> bool:
        """Whether something is there that can be switched or configured, well or not."""
        return self.active_revision is not None or self.state is ServiceState.UNHEALTHY


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What all processes of a service use together."""

    cpu_s: float
    """Since they began."""
    memory_bytes: int
    """Now: what is resident, what they share counted for each."""
    peak_memory_bytes: int
    """The most that each of those which live has had."""


class Target(Protocol):
    """Runs services. All methods raise WebserviceException where the target cannot do what is asked."""

    def check(self, name: str, deployment: Deployment) -> None:
        """Raise what is already known to stop a deployment (a taken port, no such device) before anything is built."""

    def keep_certificate(self, name: str, deployment: Deployment) -> None:
        """Copy the certificate and the key that the deployment names, if any: the service needs the caller's files no
        more. One that runs takes them over without a restart. Raises UserErrorException where they cannot be used."""

    def certificate(self, service: Service) -> Path | None:
        """The file of the certificate that the service shows; None where it speaks plain HTTP."""

    def start(self, service: Service, bundle: Path, *, beside: Mapping[int, Path] = NONE_BESIDE) -> Observation:
        """Start the active revision from its bundle, and those of the other versions of an endpoint, and return at
        once; ``observe`` tells how it goes. ``beside`` has the bundles of the others by their numbers."""

    def switch(self, service: Service, number: int, bundle: Path, *, replacing: int | None = None) -> None:
        """Start revision ``number`` beside those that run, wait for its ``init()``, hand the requests of the active one
        over, or of the one that it is ``replacing``, and let that one finish; the settings that need no restart are
        those of ``service`` from then on. Raises DeploymentFailed, and the old one goes on untouched, with the old
        settings."""

    def host(self, service: Service, number: int, bundle: Path) -> None:
        """Start revision ``number`` beside those that run and wait for its ``init()``; it gets no requests before
        ``split``. Raises DeploymentFailed, and the others go on."""

    def promote(self, service: Service, number: int) -> None:
        """Make revision ``number``, which runs, the active one; the one that was goes on beside it."""

    def release(self, service: Service, number: int) -> None:
        """End revision ``number``, which runs beside the active one, once it has finished what it holds."""

    def scale(self, service: Service, number: int) -> None:
        """Give revision ``number``, which runs, as many replicas as its version says; returns at once."""

    def split(self, service: Service) -> None:
        """Divide the requests as the versions of the endpoint say, from now on."""

    def briefly(self) -> AbstractContextManager[Target]:
        """A target of the same kind, elsewhere: what it runs ends with this process at the latest, and nothing of it is
        left afterwards."""

    def settings(self, service: Service) -> dict[str, Any]:
        """Every setting of the service by its name, the default where none was asked for; JSON, and nothing secret."""

    def restarting_changes(self, before: Service, after: Service) -> tuple[str, ...]:
        """Names of the settings that differ and that ``configure`` cannot apply."""

    def configure(self, service: Service) -> None:
        """Apply all settings that need no restart, without dropping a request. Where workers have to be others, it
        returns when these have taken over. Raises DeploymentFailed where the script does not come up with the new
        settings, and all goes on with the old ones."""

    def observe(self, service: Service) -> Observation:
        """How it is now."""

    def stop(self, service: Service) -> None:
        """Finish what is held and end it. Nothing happens where it does not run."""

    def delete(self, service: Service) -> None:
        """Stop, and remove every trace but what the workspace keeps."""

    def forget(self, service: Service) -> tuple[str, ...]:
        """Remove what this machine keeps of it, and ask nobody else, since nobody may answer. Returns what may be left
        elsewhere and how to find and remove it there, a sentence or a command a line; nothing where nothing is."""

    def logs(self, service: Service, *, lines: int, revision: int | None = None) -> str:
        """The last lines of what a revision printed, the active one if none is named."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where a service is to run, and what its user should know of the choice."""

    placement: Placement
    notes: tuple[str, ...] = ()


class Targets(Protocol):
    """The targets of a workspace."""

    def of(self, compute_type: str, placement: Placement) -> Target:
        """The one where services of that kind run that are placed there. Raises WebserviceException where this
        Modelport has none."""

    def place(self, compute_type: str, placement: Placement, *, aci: str | None = None) -> Placed:
        """Decide where a new service runs. ``aci``: what the workspace says of its container instances. Raises
        WebserviceException where the place that was asked for is not there."""


class ConfinedTarget(Target, Protocol):
    """A target that tells what its services use, and holds them to limits."""

    @property
    def not_enforced(self) -> Sequence[str]:
        """What of the limits is not enforced, in sentences; nothing where all are."""

    @property
    def killed_for_memory(self) -> bool:
        """Whether a process was ended because it needed more memory than there may be."""

    def usage(self, service: Service) -> Usage:
        """What the service uses; nothing where it does not run."""


@runtime_checkable
class Confining(Protocol):
    """What targets can besides that run services on this machine."""

    def confined(self, *, cpu: float, memory_gb: float) -> AbstractContextManager[ConfinedTarget]:
        """As ``briefly``; its services together have so many cores and so much memory (1 GB is 2**30 bytes), as far as
        the machine can hold them to that."""
