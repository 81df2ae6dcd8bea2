"""Services and their revisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from modelport.domain.deployments import BOTH_CREDENTIALS as BOTH_CREDENTIALS
from modelport.domain.deployments import Batching as Batching
from modelport.domain.deployments import ComputeType, Deployment
from modelport.domain.endpoints import EndpointVersion
from modelport.domain.failures import Failure


class ServiceState(StrEnum):
    """The states of a service, by the names that local services had (azureml-v1 reference, 2.7)."""

    DEPLOYING = "deploying"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"
    """It ran, its worker died, and it is being started again."""
    UNSCHEDULABLE = "unschedulable"
    """It waits for resources that its cluster has not."""
    FAILED = "failed"
    STOPPED = "stopped"
    DELETED = "deleted"
    UNKNOWN = "unknown"


_CLOUD_STATES = {
    ServiceState.DEPLOYING: "Transitioning",
    ServiceState.RUNNING: "Healthy",
    ServiceState.UNSCHEDULABLE: "Unschedulable",
    ServiceState.FAILED: "Failed",
    ServiceState.DELETED: "Deleting",
}


def shown_state(state: ServiceState, compute_type: str) -> str:
    """The state by the name that v1 gave it: its services in a cloud had others than those of a machine (2.6).

    One that is stopped, or that nobody knows anything of, is deployed and not reachable: ``Unhealthy``.
    """
    return state.value if ComputeType(compute_type) is ComputeType.LOCAL else _CLOUD_STATES.get(state, "Unhealthy")


class DesiredState(StrEnum):
    """What should be so, whatever a reboot did."""

    RUNNING = "running"
    STOPPED = "stopped"


LocalDeployment = Deployment
"""By its former name."""


@dataclass(frozen=True, kw_only=True)
class Keys:
    primary: str
    secondary: str

    def __repr__(self) -> str:
        return "Keys(primary=…, secondary=…)"


@dataclass(frozen=True, kw_only=True)
class InferenceConfiguration:
    """Where the code of a deployment is: absolute paths, checked."""

    entry_script: str
    """Path of the script: relative to ``source_directory`` where there is one, else absolute."""
    source_directory: str | None = None
    description: str | None = None
    generated_for: str | None = None
    """The framework, where the code was generated for a deployment without any."""
    batches: bool = False
    """Whether it scores row by row, so that batching is on unless a deployment says otherwise."""
    companions: Mapping[str, str] = field(default_factory=dict)
    """Files and folders that lie beside the script in the app root: their names there, and where they are."""


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One bundle that a service ran or runs. Numbers count from 1 and are never used again."""

    number: int
    bundle_digest: str
    model_ids: tuple[str, ...]
    inference: InferenceConfiguration
    environment_name: str
    environment_version: str | None
    lock_digest: str
    interpreter: tuple[str, ...]
    keeps_python_path: bool
    environment_variables: Mapping[str, str]
    created_time: dt.datetime
    image_id: str | None = None
    """``name:version`` of the image that it was made from, if it was."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service as the workspace knows it; whether it runs, its target tells."""

    name: str
    compute_type: str
    deployment: Deployment
    desired_state: DesiredState
    revisions: tuple[Revision, ...]
    """Oldest first; the last few are kept for a roll-back."""
    active_revision: int
    """Number of the revision that takes the requests; of an endpoint, the one of its default version."""
    versions: tuple[EndpointVersion, ...] = ()
    """Of an endpoint, oldest first; of other services, none. Each is one of the revisions."""
    created_time: dt.datetime
    updated_time: dt.datetime
    last_number: int = 0
    """The greatest revision number that was ever used."""
    port: int | None = None
    """The port it has, also where none was asked for."""
    keys: Keys | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    created_by: str = ""
    failure: Failure | None = None
    """Why the last deployment or update failed; None after one that did not."""

    def revision(self, number: int) -> Revision:
        """The revision with that number; raises KeyError where it is not kept."""
        for revision in self.revisions:
            if revision.number == number:
                return revision
        raise KeyError(number)

    @property
    def active(self) -> Revision:
        return self.revision(self.active_revision)

    def version(self, name: str) -> EndpointVersion | None:
        """The version of that name, where there is one."""
        return next((version for version in self.versions if version.name == name), None)

    @property
    def default_version(self) -> EndpointVersion | None:
        """The version that gets what no other one is given; None: this is no endpoint."""
        return next((version for version in self.versions if version.revision == self.active_revision), None)

    def activated(self, number: int) -> Service:
        """The service with that revision as its active one. Where no version of an endpoint has it, it is the default
        version's from now on."""
        hosted = {version.revision for version in self.versions}
        versions = self.versions
        if number not in hosted:
            versions = tuple(
                replace(version, revision=number) if version.revision == self.active_revision else version
                for version in versions
            )
        return replace(self, active_revision=number, versions=versions)

    @property
    def next_number(self) -> int:
        """The number of the revision that comes next."""
        return self.last_number + 1

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The models of what takes requests: of an endpoint, those of the default version first, and each once."""
        hosted = {version.revision for version in self.versions}
        beside = [revision for revision in self.revisions if revision.number in hosted]
        return tuple(dict.fromkeys(model for revision in (self.active, *beside) for model in revision.model_ids))


@dataclass(frozen=True, kw_only=True)
class ServiceFilter:
    """Which services are meant; every field given must hold."""

    compute_type: str | None = None
    model_name: str | None = None
    model_id: str | None = None
    tags: tuple[str | tuple[str, ...], ...] = ()
    properties: tuple[str | tuple[str, ...], ...] = ()
