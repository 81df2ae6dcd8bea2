"""Where and how a service runs: ``--dc`` files and the flags that override them (azureml-v1 reference: 3.6, 4.5)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli.deployment import Asked, asked_for
from modelport.cli.deployment_file import compute_type_of
from modelport.cli.options import Truth, is_true
from modelport.cli.replica_flags import PlacementFlags, ReplicaFlags, said
from modelport.cli.scoring_flags import ScoringFlags
from modelport.cli.session import Session
from modelport.domain.deployments import ComputeType
from modelport.domain.errors import UserErrorException

_PANEL = "Where it runs"
_NEED_A_CLUSTER = (ComputeType.AKS, ComputeType.AKS_ENDPOINT)


@dataclass(frozen=True, kw_only=True)
class DeployConfigFile:
    """The file of ``--dc``."""

    deploy_config_file: Annotated[
        Path | None,
        typer.Option(
            "--deploy-config-file",
            "--dc",
            help="Deployment configuration, JSON or YAML; the flags below override its keys.",
            rich_help_panel=_PANEL,
        ),
    ] = None


@dataclass(frozen=True, kw_only=True)
class TargetFlags(DeployConfigFile):
    """The target and its settings, as options."""

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

    def settings(self) -> dict[str, Any]:
        """Arguments of ``deploy_configuration``; None where nothing was said."""
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


@dataclass(frozen=True, kw_only=True)
class KindFlags:
    """Which kind of service it is to be, and where."""

    compute_type: Annotated[
        str | None,
        typer.Option(
            "--compute-type",
            "--cp",
            help="Kind of service: local, aci, aks or aksendpoint, all of them on this machine.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    compute_target: Annotated[
        str | None,
        typer.Option(
            "--compute-target", "--ct", help="Name of the cluster of a service of type aks.", rich_help_panel=_PANEL
        ),
    ] = None
    version_name: Annotated[
        str | None,
        typer.Option("--version-name", "--vn", help="First version of an endpoint.", rich_help_panel=_PANEL),
    ] = None
    traffic_percentile: Annotated[
        float | None,
        typer.Option("--traffic-percentile", "--tp", help="Its share of the requests.", rich_help_panel=_PANEL),
    ] = None

    def settings(self) -> dict[str, Any]:
        """Arguments of ``deploy_configuration``; None where nothing was said."""
        return {"version_name": self.version_name, "traffic_percentile": self.traffic_percentile}

    def cluster(self) -> str | None:
        """The name of the cluster; local and aci are none."""
        name = self.compute_target
        return None if name is None or name.lower() in ("local", "aci") else name

    def kind(self, session: Session, name: str, asked: Asked) -> ComputeType:
        """What kind of service is meant: what a flag says, else the file, else a cluster's where one is named, else
        that of a service which has the name, else the program's. Raises UserErrorException for one there is none of,
        and for one that needs a cluster without one."""
        if self.compute_type is not None:
            kind = compute_type_of(self.compute_type, where="--compute-type")
        elif self.compute_target is not None and self.cluster() is None:
            kind = compute_type_of(self.compute_target, where="--compute-target")
        elif asked.file.compute_type is not None:
            kind = asked.file.compute_type
        else:
            kind = ComputeType.AKS if self.cluster() else self._present(session, name)
        if kind in _NEED_A_CLUSTER and self.cluster() is None and session.workspace.registry.service(name) is None:
            raise UserErrorException(
                f"A service of type {kind.value} needs a compute target.",
                hint="Name one: --compute-target NAME. Make one: az-ml computetarget create aks -n NAME.",
            )
        return kind

    def _present(self, session: Session, name: str) -> ComputeType:
        present = session.workspace.registry.service(name)
        return ComputeType(session.deploys_to if present is None else present.compute_type)


def asked_of(
    session: Session, target: TargetFlags, scoring: ScoringFlags, replicas: ReplicaFlags, placement: PlacementFlags
) -> Asked:
    """What the file and the flags ask for together."""
    flags = {**target.settings(), **scoring.settings(), **said(replicas), **said(placement)}
    return asked_for(session, target.deploy_config_file, flags)
