"""Services and their revisions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from modelport.domain.failures import Failure


class ServiceState(StrEnum):
    """The states of a service, by the names that local services had (azureml-v1 reference, 2.7)."""

    DEPLOYING = "deploying"
    RUNNING = "running"
    UNHEALTHY = "unhealthy"
    """It ran, its worker died, and it is being started again."""
    FAILED = "failed"
    STOPPED = "stopped"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class DesiredState(StrEnum):
    """What should be so, whatever a reboot did."""

    RUNNING = "running"
    STOPPED = "stopped"


BOTH_CREDENTIALS = (
    "Invalid configuration, auth_enabled and token_auth_enabled cannot both be True: "
    "a service asks for keys or for tokens."
)


@dataclass(frozen=True, kw_only=True)
class Batching:
    """Whether requests that wait together are scored by one call of ``run()``. None: the target's default."""

    enabled: bool = True
    max_requests: int | None = None
    max_wait_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class LocalDeployment:
    """How a service runs on this machine. Fields are None where nothing was asked for."""

    port: int | None = None
    host: str | None = None
    auth_enabled: bool | None = None
    """Whether a key is asked for."""
    token_auth_enabled: bool | None = None
    """Whether a token is asked for: never both."""
    ssl_enabled: bool | None = None
    ssl_cert_pem_file: str | None = None
    ssl_key_pem_file: str | None = None
    """Absolute paths, for the moment: the target keeps copies, and the workspace forgets where they came from."""
    ssl_cname: str | None = None
    """The host name that clients use, which the certificate must have."""
    workers: int | None = None
    gpu_cores: int | None = None
    error_mode: str | None = None
    limits: Mapping[str, float] = field(default_factory=dict)
    batching: Batching | None = None
    warm_up: bool | None = None
    """Whether a worker scores the sample of the script's schema before it takes requests."""
    worker_start: str | None = None
    cors_origins: tuple[str, ...] | None = None
    telemetry: Mapping[str, bool | float | str | None] = field(default_factory=dict)
    app_insights_enabled: bool | None = None
    """Whether each request is recorded, as v1's Application Insights did: on this machine, in the access log."""

    def to_keep(self) -> LocalDeployment:
        """The part that the workspace remembers."""
        return replace(self, ssl_cert_pem_file=None, ssl_key_pem_file=None)


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


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service as the workspace knows it; whether it runs, its target tells."""

    name: str
    compute_type: str
    deployment: LocalDeployment
    desired_state: DesiredState
    revisions: tuple[Revision, ...]
    """Oldest first; the last few are kept for a roll-back."""
    active_revision: int
    """Number of the revision that takes the requests."""
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

    @property
    def next_number(self) -> int:
        """The number of the revision that comes next."""
        return self.last_number + 1

    @property
    def model_ids(self) -> tuple[str, ...]:
        return self.active.model_ids


@dataclass(frozen=True, kw_only=True)
class ServiceFilter:
    """Which services are meant; every field given must hold."""

    compute_type: str | None = None
    model_name: str | None = None
    model_id: str | None = None
    tags: tuple[str | tuple[str, ...], ...] = ()
    properties: tuple[str | tuple[str, ...], ...] = ()
