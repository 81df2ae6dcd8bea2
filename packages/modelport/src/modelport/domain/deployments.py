"""How a service is to run: what was asked for, and what each kind of target makes of the rest.

One class for all targets: a target reads what it can do, and says what it cannot. (azureml-v1 reference, 2.7 to 2.10)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import StrEnum
from typing import Any, TypeVar

BOTH_CREDENTIALS = (
    "Invalid configuration, auth_enabled and token_auth_enabled cannot both be True: "
    "a service asks for keys or for tokens."
)


class ComputeType(StrEnum):
    """The kinds of services, by the names that v1 had for them (azureml-v1 reference, 2.6)."""

    LOCAL = "Local"
    ACI = "ACI"
    AKS = "AKS"
    AKS_ENDPOINT = "AKSENDPOINT"

    @classmethod
    def _missing_(cls, value: object) -> ComputeType | None:
        """Capitals do not matter."""
        return next((kind for kind in cls if kind.upper() == str(value).upper()), None)


@dataclass(frozen=True, kw_only=True)
class Batching:
    """Whether requests that wait together are scored by one call of ``run()``. None: the target's default."""

    enabled: bool = True
    max_requests: int | None = None
    max_wait_ms: float | None = None


@dataclass(frozen=True, kw_only=True)
class Autoscale:
    """How many replicas there are, by how busy they are (azureml-v1 reference, 6.9)."""

    enabled: bool | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    refresh_s: float | None = None
    """How often the number is thought about again."""
    target_utilization: float | None = None
    """Percent of the replicas that are to be busy."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """What one replica may use."""

    cpu: float | None = None
    """Cores that are set aside for it."""
    cpu_limit: float | None = None
    memory_gb: float | None = None
    memory_gb_limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How a cluster asks whether a replica lives."""

    period_s: float | None = None
    initial_delay_s: float | None = None
    timeout_s: float | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None


class RunsOn(StrEnum):
    """What a service is, where it runs."""

    PROCESS = "process"
    """Processes of this machine."""
    CONTAINER = "container"
    """Containers of an engine, on this machine or another."""
    KUBERNETES = "kubernetes"
    """Objects of a cluster."""


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a service belongs: names, which a target may give a meaning."""

    runs_on: RunsOn | None = None
    """Decided once, when it is deployed; None: as processes of this machine."""
    engine: str | None = None
    """Of a container: the address of its engine."""
    context: str | None = None
    """Of a cluster: the context of the kubeconfig that leads to it."""
    compute_name: str | None = None
    """The compute target that it was deployed to."""
    namespace: str | None = None
    location: str | None = None
    dns_name_label: str | None = None
    vnet_name: str | None = None
    subnet_name: str | None = None
    cmk_vault_base_url: str | None = None
    cmk_key_name: str | None = None
    cmk_key_version: str | None = None


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """How a service runs. Fields are None where nothing was asked for."""

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
    replicas: int | None = None
    """None also where ``autoscale`` decides how many there are."""
    autoscale: Autoscale | None = None
    workers: int | None = None
    """Of each replica."""
    server_processes: int | None = None
    """So many processes accept connections, and have their part of the workers."""
    requests_per_replica: int | None = None
    """So many requests count as taken by a replica, though it scores one after the other: no limit of waiting holds for
    them."""
    resources: Resources | None = None
    gpu_cores: int | None = None
    probe: Probe | None = None
    placement: Placement | None = None
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
    collects_model_data: bool | None = None
    """Whether the script's ``ModelDataCollector`` is to store what it is given."""

    def to_keep(self) -> Deployment:
        """The part that the workspace remembers."""
        return replace(self, ssl_cert_pem_file=None, ssl_key_pem_file=None)

    @property
    def asks_for_anything(self) -> bool:
        """Whether any field is given, also of the values within."""
        return _says_something(self)

    @property
    def place(self) -> Placement:
        """Where it runs, also where nothing was said of that."""
        return self.placement or Placement()

    @property
    def runs_on(self) -> RunsOn:
        """What it runs as."""
        return self.place.runs_on or RunsOn.PROCESS

    @property
    def scales_by_itself(self) -> bool:
        """Whether the number of replicas is not a fixed one."""
        return self.autoscale is not None and bool(self.autoscale.enabled)

    @property
    def first_replicas(self) -> int:
        """How many replicas there are at first."""
        if self.autoscale is not None and self.autoscale.enabled:
            return self.autoscale.min_replicas or 1
        return self.replicas or 1


_DEFAULTS = {
    ComputeType.ACI: Deployment(
        auth_enabled=False,
        token_auth_enabled=False,
        ssl_enabled=False,
        replicas=1,
        resources=Resources(cpu=0.1, memory_gb=0.5),
        app_insights_enabled=False,
        collects_model_data=False,
    ),
    ComputeType.AKS: Deployment(
        auth_enabled=True,
        token_auth_enabled=False,
        ssl_enabled=False,
        autoscale=Autoscale(enabled=True, min_replicas=1, max_replicas=10, refresh_s=1, target_utilization=70),
        requests_per_replica=1,
        resources=Resources(cpu=0.1, memory_gb=0.5),
        gpu_cores=0,
        probe=Probe(period_s=10, initial_delay_s=310, timeout_s=2, success_threshold=1, failure_threshold=3),
        limits={"scoring_timeout_ms": 60_000, "queue_wait_ms": 500},
        app_insights_enabled=False,
        collects_model_data=False,
    ),
}
_DEFAULTS[ComputeType.AKS_ENDPOINT] = _DEFAULTS[ComputeType.AKS]


def with_defaults(asked: Deployment, compute_type: str) -> Deployment:
    """What was asked for, and the defaults that a service of that kind got in v1 (azureml-v1 reference, 2.8 and 2.9).

    Services of this machine have their target's defaults: nothing is filled in for them here.
    """
    defaults = _DEFAULTS.get(ComputeType(compute_type))
    return asked if defaults is None else merged(defaults, asked)


def merged(present: Deployment, given: Deployment) -> Deployment:
    """The deployment with what is given in the place of what was there.

    One kind of credentials turns the other one off, unless both are asked for, which a target refuses; and a number of
    replicas turns automatic scaling off, and the other way round.
    """
    whole = _merged(present, given)
    if given.token_auth_enabled and given.auth_enabled is None:
        whole = replace(whole, auth_enabled=False)
    if given.auth_enabled and given.token_auth_enabled is None:
        whole = replace(whole, token_auth_enabled=False)
    scales = None if given.autoscale is None else given.autoscale.enabled
    if given.replicas is not None and scales is None and whole.autoscale is not None:
        whole = replace(whole, autoscale=replace(whole.autoscale, enabled=False))
    if scales and given.replicas is None:
        whole = replace(whole, replicas=None)
    return whole


def _says_something(value: object) -> bool:
    if is_dataclass(value) and not isinstance(value, type):
        return any(_says_something(getattr(value, part.name)) for part in fields(value))
    return bool(value) if isinstance(value, Mapping) else value is not None


_Value = TypeVar("_Value")


def _merged(present: _Value, given: _Value) -> _Value:
    """Field by field, also of values within; None stands for what is not given. Of tables, key by key."""
    assert is_dataclass(present) and not isinstance(present, type)
    changes: dict[str, Any] = {}
    for part in fields(present):
        old, new = getattr(present, part.name), getattr(given, part.name)
        if new is None:
            continue
        if isinstance(old, Mapping):
            new = {**old, **new}
        elif is_dataclass(old):
            new = _merged(old, new)
        changes[part.name] = new
    return replace(present, **changes)


def path_prefix(compute_type: str, name: str) -> str:
    """What stands before every route of a service (azureml-v1 reference, 6.1)."""
    is_on_cluster = compute_type in (ComputeType.AKS, ComputeType.AKS_ENDPOINT)
    return f"/api/v1/service/{name}" if is_on_cluster else ""
