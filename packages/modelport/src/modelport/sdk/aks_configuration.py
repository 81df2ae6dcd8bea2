"""How services that were meant for a cluster run (azureml-v1 reference, 2.9 and 2.10)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from modelport.domain.deployments import Autoscale, ComputeType, Deployment, Placement, Probe, Resources
from modelport.domain.errors import WebserviceException
from modelport.domain.names import check_service_name
from modelport.sdk.deployment_configuration import not_positive, refuse, wrong_forms, zeros

_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{,61}[a-z0-9])?")

_BOUNDS = (
    "autoscale_min_replicas",
    "autoscale_max_replicas",
    "autoscale_refresh_seconds",
    "autoscale_target_utilization",
)
_WHOLE = (
    "autoscale_min_replicas",
    "autoscale_max_replicas",
    "num_replicas",
    "replica_max_concurrent_requests",
    "scoring_timeout_ms",
    "max_request_wait_time",
    "success_threshold",
    "failure_threshold",
)
_POSITIVE = (
    "autoscale_refresh_seconds",
    "autoscale_target_utilization",
    "cpu_cores",
    "cpu_cores_limit",
    "memory_gb",
    "memory_gb_limit",
    "period_seconds",
    "initial_delay_seconds",
    "timeout_seconds",
)
_MOST_PERCENT = 100


@dataclass(kw_only=True)
class AksServiceDeploymentConfiguration:
    """What ``AksWebservice.deploy_configuration`` was given."""

    compute_type: ClassVar[ComputeType] = ComputeType.AKS

    autoscale_enabled: bool | None = None
    autoscale_min_replicas: int | None = None
    autoscale_max_replicas: int | None = None
    autoscale_refresh_seconds: float | None = None
    autoscale_target_utilization: float | None = None
    collect_model_data: bool | None = None
    auth_enabled: bool | None = None
    cpu_cores: float | None = None
    memory_gb: float | None = None
    enable_app_insights: bool | None = None
    scoring_timeout_ms: int | None = None
    replica_max_concurrent_requests: int | None = None
    max_request_wait_time: int | None = None
    num_replicas: int | None = None
    primary_key: str | None = field(default=None, repr=False)
    secondary_key: str | None = field(default=None, repr=False)
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None
    description: str | None = None
    gpu_cores: int | None = None
    period_seconds: float | None = None
    initial_delay_seconds: float | None = None
    timeout_seconds: float | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None
    namespace: str | None = None
    token_auth_enabled: bool | None = None
    compute_target_name: str | None = None
    cpu_cores_limit: float | None = None
    memory_gb_limit: float | None = None

    def validate_configuration(self) -> None:
        """Raises WebserviceException, with one line for each violation."""
        refuse(self.violations())

    def violations(self, *, present: Deployment | None = None) -> Iterator[str]:
        """What is wrong, in the update of a ``present`` deployment or, without one, in a first one."""
        wrong = wrong_forms(self)
        if wrong:
            yield from wrong
            return
        yield from not_positive(_values(self, _WHOLE), whole=True, zero=True)
        yield from not_positive(_values(self, _POSITIVE), zero=True)
        yield from _wrong_scale(self, present)
        if self.auth_enabled and self.token_auth_enabled:
            yield "auth_enabled and token_auth_enabled cannot both be True: a service asks for keys or for tokens."
        for name in ("cpu_cores", "memory_gb"):
            least, most = getattr(self, name), getattr(self, f"{name}_limit")
            if _is_number(least) and _is_number(most) and 0 < most < least:
                yield f"{name}_limit must be at least {name}, which is {least}; it is {most}."
        if self.gpu_cores is not None and (not _is_whole(self.gpu_cores) or self.gpu_cores < 0):
            yield f"gpu_cores must be a whole number, 0 or more; it is {self.gpu_cores!r}."
        elif self.gpu_cores:
            yield from not_positive(_values(self, ("gpu_cores",)))
        if self.namespace and not _NAMESPACE.fullmatch(self.namespace):
            yield (
                f"namespace {self.namespace!r} must have 1 to 63 characters, only lower-case letters, digits and '-', "
                "and start and end with a letter or digit."
            )

    def to_deployment(self) -> Deployment:
        """What was asked for, and nothing else."""
        limits = {
            "scoring_timeout_ms": _whole(self.scoring_timeout_ms),
            "queue_wait_ms": _whole(self.max_request_wait_time),
        }
        return Deployment(
            auth_enabled=self.auth_enabled,
            token_auth_enabled=self.token_auth_enabled,
            replicas=_whole(self.num_replicas),
            autoscale=Autoscale(
                enabled=self.autoscale_enabled,
                min_replicas=_whole(self.autoscale_min_replicas),
                max_replicas=_whole(self.autoscale_max_replicas),
                refresh_s=self.autoscale_refresh_seconds or None,
                target_utilization=self.autoscale_target_utilization or None,
            ),
            requests_per_replica=_whole(self.replica_max_concurrent_requests),
            resources=Resources(
                cpu=self.cpu_cores or None,
                cpu_limit=self.cpu_cores_limit or None,
                memory_gb=self.memory_gb or None,
                memory_gb_limit=self.memory_gb_limit or None,
            ),
            gpu_cores=self.gpu_cores,
            probe=Probe(
                period_s=self.period_seconds or None,
                initial_delay_s=self.initial_delay_seconds or None,
                timeout_s=self.timeout_seconds or None,
                success_threshold=_whole(self.success_threshold),
                failure_threshold=_whole(self.failure_threshold),
            ),
            placement=Placement(compute_name=self.compute_target_name, namespace=self.namespace),
            limits={name: value for name, value in limits.items() if value is not None},
            app_insights_enabled=self.enable_app_insights,
            collects_model_data=self.collect_model_data,
        )

    def notes(self) -> list[str]:
        """Which zeros have no effect; the deployment says what becomes of the rest."""
        return zeros(_values(self, (*_WHOLE, *_POSITIVE)))


@dataclass(kw_only=True)
class AksEndpointDeploymentConfiguration(AksServiceDeploymentConfiguration):
    """What ``AksEndpoint.deploy_configuration`` was given: an endpoint and its first version."""

    compute_type: ClassVar[ComputeType] = ComputeType.AKS_ENDPOINT

    version_name: str | None = None
    traffic_percentile: float | None = None

    def violations(self, *, present: Deployment | None = None) -> Iterator[str]:
        """What is wrong with the endpoint or its version."""
        yield from super().violations(present=present)
        if not wrong_forms(self):
            yield from wrong_version(self.version_name, self.traffic_percentile)


def wrong_version(name: str | None, traffic_percentile: Any) -> Iterator[str]:
    """What is wrong with a version's name and its share."""
    try:
        if name is not None:
            check_service_name(name)
    except WebserviceException as error:
        yield error.message.replace("Invalid service name", "version_name", 1)
    if traffic_percentile is None:
        return
    is_number = isinstance(traffic_percentile, int | float) and not isinstance(traffic_percentile, bool)
    if not is_number or not 0 <= traffic_percentile <= _MOST_PERCENT:
        yield f"traffic_percentile must be a number from 0 to 100; it is {traffic_percentile!r}."


def _wrong_scale(asked: AksServiceDeploymentConfiguration, present: Deployment | None) -> Iterator[str]:
    """How many replicas are asked for: so many, or as many as the load needs, and not both."""
    enabled = asked.autoscale_enabled
    if enabled and asked.num_replicas:
        yield "num_replicas cannot be provided with autoscale_enabled=True: it is a fixed number."
    if enabled is False and not asked.num_replicas and (present is None or present.scales_by_itself):
        yield "autoscale_enabled=False needs num_replicas."
    bounds = [name for name in _BOUNDS if getattr(asked, name)]
    scales = present is not None and present.scales_by_itself and not asked.num_replicas
    if bounds and not enabled and (enabled is False or not scales):
        yield f"{', '.join(bounds)} provided without enabling autoscaling: set autoscale_enabled=True."
    least, most = asked.autoscale_min_replicas, asked.autoscale_max_replicas
    if _is_number(least) and _is_number(most) and most and least and least > most:
        yield f"autoscale_min_replicas must not be above autoscale_max_replicas, which is {most}; it is {least}."


def _values(configuration: AksServiceDeploymentConfiguration, names: Iterable[str]) -> dict[str, object]:
    return {name: getattr(configuration, name) for name in names}


def _whole(value: float | None) -> int | None:
    """2 for 2.0 too; None for none and for zero."""
    return int(value) if value else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
