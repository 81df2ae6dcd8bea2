"""Where and how a service runs: ``--dc`` files and the flags that override them (azureml-v1 reference: 3.6, 4.5)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli.files import Keys, read_document
from modelport.cli.options import Truth, is_true, pairs
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.sdk.local import LocalDeploymentConfiguration, LocalWebservice

_PANEL = "Where it runs"
_TARGETS = ("local",)
_ELSEWHERE = ("containerResourceRequirements", "autoScaler", "livenessProbeRequirements", "dataCollection")


@dataclass(frozen=True, kw_only=True)
class TargetFlags:
    """The target and its settings, as options."""

    deploy_config_file: Annotated[
        Path | None,
        typer.Option(
            "--deploy-config-file",
            "--dc",
            help="Deployment configuration, JSON or YAML; the flags below override its keys.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    compute_type: Annotated[
        str | None,
        typer.Option("--compute-type", "--cp", help="Kind of target: local (this machine).", rich_help_panel=_PANEL),
    ] = None
    compute_target: Annotated[
        str | None,
        typer.Option("--compute-target", "--ct", help="Name of the target: local.", rich_help_panel=_PANEL),
    ] = None
    port: Annotated[
        int | None, typer.Option("--port", "--po", help="Port; a free one without.", rich_help_panel=_PANEL)
    ] = None
    host: Annotated[
        str | None,
        typer.Option("--host", help="Address to listen on; 127.0.0.1 without.", rich_help_panel=_PANEL),
    ] = None
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes that run the script; 1 without.", rich_help_panel=_PANEL)
    ] = None
    gpu_cores: Annotated[
        int | None, typer.Option("--gpu-cores", "--gc", help="GPUs that must be there.", rich_help_panel=_PANEL)
    ] = None
    auth_enabled: Annotated[
        Truth | None,
        typer.Option(
            "--auth-enabled", "--ae", help="Ask for a key; false without.", case_sensitive=False, rich_help_panel=_PANEL
        ),
    ] = None
    token_auth_enabled: Annotated[
        Truth | None,
        typer.Option(
            "--token-auth-enabled",
            help="Ask for a token; false without.",
            case_sensitive=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    ssl_enabled: Annotated[
        Truth | None,
        typer.Option(
            "--ssl-enabled", "--se", help="Speak HTTPS; false without.", case_sensitive=False, rich_help_panel=_PANEL
        ),
    ] = None
    ssl_cert_pem_file: Annotated[
        str | None,
        typer.Option(
            "--ssl-cert-pem-file", "--sp", help="Certificate with its chain, PEM; copied.", rich_help_panel=_PANEL
        ),
    ] = None
    ssl_key_pem_file: Annotated[
        str | None,
        typer.Option("--ssl-key-pem-file", "--sk", help="Its private key, PEM; copied.", rich_help_panel=_PANEL),
    ] = None
    ssl_cname: Annotated[
        str | None,
        typer.Option("--ssl-cname", "--sc", help="Host name in the certificate.", rich_help_panel=_PANEL),
    ] = None
    primary_key: Annotated[
        str | None,
        typer.Option("--primary-key", "--kp", help="The primary key; made up without.", rich_help_panel=_PANEL),
    ] = None
    secondary_key: Annotated[
        str | None,
        typer.Option("--secondary-key", "--ks", help="The secondary key; made up without.", rich_help_panel=_PANEL),
    ] = None
    max_request_wait_time: Annotated[
        int | None,
        typer.Option(
            "--max-request-wait-time",
            "--mr",
            help="Milliseconds that a request waits for a worker before it is refused.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    error_mode: Annotated[
        str | None,
        typer.Option(
            "--error-mode",
            help="What clients see of an error in run(): cloud, container, json.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit", metavar="NAME=NUMBER", help="A limit of the scoring server. Repeatable.", rich_help_panel=_PANEL
        ),
    ] = None

    def configuration(self, session: Session) -> LocalDeploymentConfiguration | None:
        """File and flags together; None where neither says anything."""
        for flag, given in (("--compute-type", self.compute_type), ("--compute-target", self.compute_target)):
            if given is not None:
                check_target(given, where=flag)
        settings = {**self._from_file(session), **_given(self._flags())}
        limits = {**settings.pop("limits", {}), **self._limits()}
        if limits:
            settings["limits"] = limits
        return LocalWebservice.deploy_configuration(**settings) if settings else None

    def _flags(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "host": self.host,
            "workers": self.workers,
            "gpu_cores": self.gpu_cores,
            "auth_enabled": is_true(self.auth_enabled),
            "token_auth_enabled": is_true(self.token_auth_enabled),
            "ssl_enabled": is_true(self.ssl_enabled),
            "ssl_cert_pem_file": self.ssl_cert_pem_file,
            "ssl_key_pem_file": self.ssl_key_pem_file,
            "ssl_cname": self.ssl_cname,
            "primary_key": self.primary_key,
            "secondary_key": self.secondary_key,
            "error_mode": self.error_mode,
        }

    def _limits(self) -> dict[str, float]:
        limits = {name: _number(value, name) for name, value in pairs(self.limit, "--limit").items()}
        if self.max_request_wait_time is not None:
            limits["queue_wait_ms"] = self.max_request_wait_time
        return limits

    def _from_file(self, session: Session) -> dict[str, Any]:
        if self.deploy_config_file is None:
            return {}
        read = read_deployment(self.deploy_config_file)
        for key in read.unknown:
            why = "belongs to another target" if key in _ELSEWHERE else "is not known"
            session.note(f"Note: {self.deploy_config_file} has the key {key!r}, which {why} and has no effect.")
        return read.settings


def check_target(given: str, *, where: str) -> None:
    """Raise UserErrorException unless the target is one that this Modelport has; the case does not matter."""
    if given.lower() not in _TARGETS:
        raise UserErrorException(
            f"{where} {given!r}: this Modelport has no such target. It has: {', '.join(_TARGETS)} (this machine).",
            hint="Use local, or leave it out.",
        )


@dataclass(frozen=True)
class DeploymentFile:
    """A deployment configuration file: arguments of ``deploy_configuration``, and the keys that have no effect."""

    settings: dict[str, Any]
    unknown: list[str] = field(default_factory=list)


def read_deployment(path: Path) -> DeploymentFile:
    """Read the file. Raises UserErrorException, also for a target that there is none of."""
    keys = Keys(read_document(path, flag="--deploy-config-file"), where=str(path))
    check_target(keys.text("computeType") or "local", where=f"{path}: computeType")
    own_keys = Keys(keys.table("keys"), where=f"{path}: 'keys'")
    limits = {name: _number(value, name) for name, value in keys.table("limits").items()}
    wait = keys.whole("maxQueueWaitMs")
    settings = {
        "port": keys.whole("port"),
        "host": keys.text("host"),
        "workers": keys.whole("workers"),
        "gpu_cores": keys.whole("gpuCores"),
        "auth_enabled": keys.truth("authEnabled"),
        "token_auth_enabled": keys.truth("tokenAuthEnabled"),
        "ssl_enabled": keys.truth("sslEnabled"),
        "ssl_cert_pem_file": keys.text("sslCertificate"),
        "ssl_key_pem_file": keys.text("sslKey"),
        "ssl_cname": keys.text("cname"),
        "primary_key": own_keys.text("primaryKey"),
        "secondary_key": own_keys.text("secondaryKey"),
        "error_mode": keys.text("errorMode"),
        "limits": {**limits, **({} if wait is None else {"queue_wait_ms": wait})} or None,
        "description": keys.text("description"),
        "tags": keys.texts("tags") or None,
        "properties": keys.texts("properties") or None,
    }
    return DeploymentFile(_given(settings), [*keys.rest(), *(f"keys.{key}" for key in own_keys.rest())])


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}


def _number(value: object, name: str) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise UserErrorException(f"The limit {name!r} must be a number, not {value!r}.") from None
    return int(number) if number.is_integer() else number
