"""Where and how a service runs: ``--dc`` files and the flags that override them (azureml-v1 reference: 3.6, 4.5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli.deployment_file import BELONGS_ELSEWHERE, check_target, read_deployment, without_none
from modelport.cli.options import Truth, is_true
from modelport.cli.scoring_flags import ScoringFlags
from modelport.cli.session import Session
from modelport.sdk.local import LocalWebservice
from modelport.sdk.local_configuration import LocalDeploymentConfiguration

_PANEL = "Where it runs"


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

    def configuration(self, session: Session, scoring: ScoringFlags) -> LocalDeploymentConfiguration | None:
        """File and flags together; None where neither says anything."""
        for flag, given in (("--compute-type", self.compute_type), ("--compute-target", self.compute_target)):
            if given is not None:
                check_target(given, where=flag)
        settings = {**self._from_file(session), **without_none({**self._flags(), **scoring.settings()})}
        for name, table in (("limits", scoring.limits()), ("telemetry", scoring.telemetry_settings())):
            if table:
                settings[name] = {**settings.get(name, {}), **table}
        return LocalWebservice.deploy_configuration(**settings) if settings else None

    def _flags(self) -> dict[str, Any]:
        return {
            "port": self.port,
            "host": self.host,
            "gpu_cores": self.gpu_cores,
            "auth_enabled": is_true(self.auth_enabled),
            "token_auth_enabled": is_true(self.token_auth_enabled),
            "ssl_enabled": is_true(self.ssl_enabled),
            "ssl_cert_pem_file": self.ssl_cert_pem_file,
            "ssl_key_pem_file": self.ssl_key_pem_file,
            "ssl_cname": self.ssl_cname,
            "primary_key": self.primary_key,
            "secondary_key": self.secondary_key,
        }

    def _from_file(self, session: Session) -> dict[str, Any]:
        if self.deploy_config_file is None:
            return {}
        read = read_deployment(self.deploy_config_file)
        for key in read.unknown:
            why = "belongs to another target" if key in BELONGS_ELSEWHERE else "is not known"
            session.note(f"Note: {self.deploy_config_file} has the key {key!r}, which {why} and has no effect.")
        return read.settings
