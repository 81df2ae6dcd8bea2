"""How a service runs on this machine, as scripts ask for it (azureml-v1 reference, 2.7 and 2.9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from modelport.domain.deployments import BOTH_CREDENTIALS, Batching, ComputeType, Deployment
from modelport.sdk.deployment_configuration import refuse, wrong_forms

LIMITS_OF_V1 = {
    "scoring_timeout_ms": "scoring_timeout_ms",
    "max_request_wait_time": "queue_wait_ms",
    "replica_max_concurrent_requests": "max_concurrent_requests",
    "max_concurrent_requests_per_container": "max_concurrent_requests",
}
"""v1's parameter to our limit. v1 has two names for one, the parameter and the attribute."""

RECORDED_HERE = (
    "enable_app_insights: requests are recorded in the service's logs/access.log. Nothing is sent anywhere unless "
    "telemetry={'otlp_endpoint': …} (--telemetry otlp_endpoint=…) names a collector of your own, which gets traces."
)

COLLECTED_HERE = (
    "collect_model_data: what a ModelDataCollector of the script collects is in CSV files below modeldata/ of the "
    "workspace's datastore workspaceblobstore."
)

_POSITIVE = ("workers", "server_processes", *LIMITS_OF_V1)
_BATCHING = {"max_requests": (int,), "max_wait_ms": (int, float)}


@dataclass(kw_only=True)
class LocalDeploymentConfiguration:
    """How a service runs on this machine; None leaves the default (or, in an update, what there is).

    Scripts set its attributes too (``config.tags = …``); what is set is checked when it is used.
    """

    compute_type: ClassVar[ComputeType] = ComputeType.LOCAL

    port: int | None = None
    host: str | None = None
    auth_enabled: bool | None = None
    token_auth_enabled: bool | None = None
    primary_key: str | None = field(default=None, repr=False)
    secondary_key: str | None = field(default=None, repr=False)
    ssl_enabled: bool | None = None
    ssl_cert_pem_file: str | None = None
    ssl_key_pem_file: str | None = None
    ssl_cname: str | None = None
    workers: int | None = None
    server_processes: int | None = None
    worker_start: str | None = None
    warm_up: bool | None = None
    batching: bool | int | Mapping[str, float] | None = None
    gpu_cores: int | None = None
    cors_origins: str | Sequence[str] | None = None
    error_mode: str | None = None
    telemetry: Mapping[str, bool | float | str | None] | None = None
    enable_app_insights: bool | None = None
    collect_model_data: bool | None = None
    limits: Mapping[str, float] | None = None
    scoring_timeout_ms: int | None = None
    replica_max_concurrent_requests: int | None = None
    max_concurrent_requests_per_container: int | None = None
    max_request_wait_time: int | None = None
    description: str | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None

    def validate_configuration(self) -> None:
        """Raises WebserviceException, with one line for each violation.

        What a value may be beyond its form, the target checks when it is deployed.
        """
        refuse(self._violations())

    def _violations(self) -> Iterator[str]:
        yield from wrong_forms(self)
        if self.port is not None and (not _is_whole(self.port) or not 0 <= self.port <= 65535):
            yield f"port must be an integer in range [1, 65535]; it is {self.port!r}."
        for name in _POSITIVE:
            value = getattr(self, name)
            if value is not None and (not _is_whole(value) or value < 1):
                yield f"{name} must be a positive integer; it is {value!r}."
        if self.gpu_cores is not None and (not _is_whole(self.gpu_cores) or self.gpu_cores < 0):
            yield f"gpu_cores must be a whole number, 0 or more; it is {self.gpu_cores!r}."
        yield from _wrong_credentials(self)
        yield from _wrong_batching(self.batching)
        yield from _wrong_origins(self.cors_origins)
        yield from _wrong_tables(self)

    def to_deployment(self) -> Deployment:
        """The part that a target needs."""
        return Deployment(
            port=self.port or None,
            host=self.host,
            auth_enabled=self.auth_enabled,
            token_auth_enabled=self.token_auth_enabled,
            ssl_enabled=self.ssl_enabled,
            ssl_cert_pem_file=_absolute(self.ssl_cert_pem_file),
            ssl_key_pem_file=_absolute(self.ssl_key_pem_file),
            ssl_cname=self.ssl_cname,
            workers=self.workers,
            server_processes=self.server_processes,
            worker_start=self.worker_start,
            warm_up=self.warm_up,
            batching=_batching(self.batching),
            gpu_cores=self.gpu_cores,
            cors_origins=_origins(self.cors_origins),
            error_mode=self.error_mode,
            telemetry=dict(self.telemetry or {}),
            app_insights_enabled=self.enable_app_insights,
            collects_model_data=self.collect_model_data,
            limits={**(self.limits or {}), **{limit: value for _, limit, value in _limits_of_v1(self)}},
        )

    def notes(self) -> list[str]:
        """What somebody who asks for this should know."""
        told = {RECORDED_HERE: self.enable_app_insights, COLLECTED_HERE: self.collect_model_data}
        return [note for note, is_asked_for in told.items() if is_asked_for]


def _wrong_credentials(configuration: LocalDeploymentConfiguration) -> Iterator[str]:
    if configuration.auth_enabled and configuration.token_auth_enabled:
        yield BOTH_CREDENTIALS.removeprefix("Invalid configuration, ")
    certificate, key = configuration.ssl_cert_pem_file, configuration.ssl_key_pem_file
    if bool(certificate) != bool(key):
        yield "ssl_cert_pem_file and ssl_key_pem_file must be provided together."
    if configuration.ssl_enabled and not (certificate and key and configuration.ssl_cname):
        yield "ssl_enabled needs ssl_cert_pem_file, ssl_key_pem_file and ssl_cname too."


def _wrong_batching(given: object) -> Iterator[str]:
    if given is None or isinstance(given, bool | int):
        return
    allowed = 'True, False, a number of requests, or a dictionary as {"max_requests": 64, "max_wait_ms": 0}'
    if not isinstance(given, Mapping):
        yield f"batching must be {allowed}; it is {given!r}."
        return
    for name, value in given.items():
        if name not in _BATCHING:
            yield f"batching has no {name!r}: it must be {allowed}."
        elif not isinstance(value, _BATCHING[name]) or isinstance(value, bool):
            number = "an integer" if _BATCHING[name] == (int,) else "a number"
            yield f"{name} of batching must be {number}; it is {value!r}."


def _wrong_origins(given: object) -> Iterator[str]:
    origins = given if isinstance(given, list | tuple | str) else [given]
    if given is not None and not all(isinstance(origin, str) for origin in origins):
        yield f"cors_origins must be a list of origins, or a text with commas between them; it is {given!r}."


def _wrong_tables(configuration: LocalDeploymentConfiguration) -> Iterator[str]:
    given = {"telemetry": configuration.telemetry, "limits": configuration.limits}
    wrong = {name: value for name, value in given.items() if not isinstance(value, Mapping | None)}
    yield from (f"{name} must be a dictionary; it is {value!r}." for name, value in wrong.items())
    if "limits" in wrong:
        return
    chosen = dict(configuration.limits or {})
    for name, limit, value in _limits_of_v1(configuration):
        if chosen.setdefault(limit, value) != value:
            yield f"{name} is {value}, and {limit}, which is the same limit, is {chosen[limit]}: give one of them."


def _limits_of_v1(configuration: LocalDeploymentConfiguration) -> list[tuple[str, str, int]]:
    """Parameter, limit and value of those that are given."""
    given = [(name, limit, getattr(configuration, name)) for name, limit in LIMITS_OF_V1.items()]
    return [(name, limit, value) for name, limit, value in given if value is not None]


def _batching(given: bool | int | Mapping[str, float] | None) -> Batching | None:
    if given is None:
        return None
    if isinstance(given, bool):
        return Batching(enabled=given)
    if isinstance(given, int):
        return Batching(max_requests=given)
    return Batching(**given)  # type: ignore[arg-type]  # validated


def _origins(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """As ``AML_CORS_ORIGINS`` has them, or one by one; an empty text or list asks for none."""
    if given is None:
        return None
    origins = given.split(",") if isinstance(given, str) else given
    return tuple(origin.strip() for origin in origins if origin.strip())


def _absolute(path: str | None) -> str | None:
    return str(Path(path).expanduser().absolute()) if path else None


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
