"""``modelport k8s``: what a service is in a Kubernetes cluster, as text."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli.cluster_flags import ClusterFlags, ImageFlags
from modelport.cli.command import command, group
from modelport.cli.deployment import Asked, asked_for
from modelport.cli.options import ServiceName
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.cli.target import DeployConfigFile
from modelport.domain.deployments import ComputeType, Deployment, Placement, merged
from modelport.domain.errors import UserErrorException
from modelport.domain.services import Keys
from modelport.targets.kubernetes.rendering import as_kustomization, as_yaml, only_secrets, without_secrets
from modelport.usecases.render_manifests import RenderRequest, render_manifests

app = group("Print the Kubernetes manifests of a service.")


@app.callback()
def k8s() -> None:
    """Print the Kubernetes manifests of a service."""


class SecretsChoice(StrEnum):
    """What becomes of the Secrets among the manifests."""

    PRINT = "print"
    LEAVE_OUT = "leave-out"
    ONLY = "only"


class ManifestFormat(StrEnum):
    YAML = "yaml"
    KUSTOMIZE = "kustomize"


@command(app, "render")
def render(
    session: Session,
    name: ServiceName,
    images: ImageFlags,
    file: DeployConfigFile,
    cluster: ClusterFlags,
    secrets: Annotated[
        SecretsChoice,
        typer.Option("--secrets", help="Print Secrets with the rest, leave them out, or print nothing else."),
    ] = SecretsChoice.PRINT,
    format: Annotated[
        ManifestFormat, typer.Option("--format", help="One stream of YAML, or a folder for kustomize.")
    ] = ManifestFormat.YAML,
    output_path: Annotated[
        Path | None, typer.Option("--output-path", metavar="FOLDER", help="Where a folder for kustomize is written.")
    ] = None,
) -> object:
    """Print the manifests of a service, for a repository that a GitOps tool applies. No cluster is asked or changed.

    The service is one that was deployed, or, with --dc, what a deployment configuration of the kinds aks and
    aksendpoint asks for: then nothing has to be deployed. The same arguments give the same bytes.
    """
    plan = render_manifests(session.workspace.context, _request(session, name, images, file, cluster))
    manifests = list(plan.objects)
    if secrets is SecretsChoice.LEAVE_OUT:
        manifests = without_secrets(manifests)
    elif secrets is SecretsChoice.ONLY:
        manifests = only_secrets(manifests)
    _say_secrets(session, manifests, plan.objects)
    if format is ManifestFormat.KUSTOMIZE:
        return _write_folder(session, as_kustomization(manifests), output_path)
    return Result(manifests, text=as_yaml(manifests))


def _request(
    session: Session, name: str, images: ImageFlags, file: DeployConfigFile, cluster: ClusterFlags
) -> RenderRequest:
    asked = asked_for(session, file.deploy_config_file, {})
    request = RenderRequest(
        name=name,
        images=images.images(),
        cluster=cluster.facts(),
        given=cluster.given(),
        certificate=cluster.certificate_files(),
    )
    return request if file.deploy_config_file is None else _configured(session, request, asked, cluster)


def _configured(session: Session, request: RenderRequest, asked: Asked, cluster: ClusterFlags) -> RenderRequest:
    """The request with what the file asks for."""
    kind = asked.file.compute_type or ComputeType.AKS
    if kind not in (ComputeType.AKS, ComputeType.AKS_ENDPOINT):
        raise UserErrorException(
            f"{asked.path} is for a service of type {kind.value}, which no cluster runs.",
            hint="Say computeType: aks, or aksendpoint.",
        )
    configuration: Any = asked.configuration(kind, session)
    configuration.validate_configuration()
    deployment: Deployment = configuration.to_deployment()
    if cluster.speaks_tls:
        deployment = replace(deployment, ssl_enabled=True, ssl_cname=cluster.ingress_host)
    if cluster.compute_target is not None:
        deployment = merged(deployment, Deployment(placement=Placement(compute_name=cluster.compute_target)))
    return replace(
        request,
        kind=kind,
        deployment=deployment,
        keys=_keys(configuration),
        version_name=getattr(configuration, "version_name", None),
    )


def _keys(configuration: Any) -> Keys | None:
    primary, secondary = configuration.primary_key, configuration.secondary_key
    if bool(primary) != bool(secondary):
        raise UserErrorException(
            "Both keys have to be given, or none: one that is made up would be another each time.",
            hint="keys: {primaryKey: …, secondaryKey: …}",
        )
    return Keys(primary=primary, secondary=secondary) if primary else None


def _say_secrets(session: Session, shown: list[Any], whole: tuple[Any, ...]) -> None:
    """Whoever commits what is printed has to know what is in it, and what is missing."""
    names = [manifest["metadata"]["name"] for manifest in whole if manifest["kind"] == "Secret"]
    if not names:
        return
    is_shown = any(manifest["kind"] == "Secret" for manifest in shown)
    if is_shown:
        session.note(
            f"Secrets are among the manifests: {', '.join(names)}. They hold digests of keys, variables of the script, "
            "private keys of certificates. Encrypt them before a commit, or leave them out: --secrets leave-out."
        )
    else:
        session.note(
            f"Left out: {', '.join(names)}. The pods wait until they are there: --secrets only prints them for a "
            "sealing tool, or --settings-secret names one that is kept elsewhere."
        )


def _write_folder(session: Session, files: dict[str, str], folder: Path | None) -> Result:
    if folder is None:
        raise UserErrorException("A folder for kustomize needs a place.", hint="Give --output-path FOLDER.")
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    session.note(f"Apply it: kubectl apply -k {folder}")
    return Result(sorted(files), text="\n".join(str(folder / name) for name in files))
