"""``modelport compute``: clusters that services are deployed to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from modelport.cli.azure.computetarget_options import COLUMNS, Certificate, TargetName, shown
from modelport.cli.command import command, group
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.sdk.compute import AksCompute, ComputeTarget
from modelport.targets.kubernetes.settings import Expose

app = group("Attach clusters, list and detach them.")


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """How a cluster is reached, and how services are put into it (docs/kubernetes.md)."""

    context: Annotated[
        str | None,
        typer.Option("--context", help="Context of the kubeconfig: services run in its cluster. Named as the target."),
    ] = None
    namespace: Annotated[
        str | None, typer.Option("--namespace", help="Of all services; without, one for the workspace is made.")
    ] = None
    registry: Annotated[
        str | None,
        typer.Option("--registry", metavar="HOST/PREFIX", help="Images are pushed there, and pulled by the cluster."),
    ] = None
    store: Annotated[
        str | None,
        typer.Option("--store", metavar="URL", help="Bundles are put there, and fetched by pods: no image for each."),
    ] = None
    store_secret: Annotated[
        str | None, typer.Option("--store-secret", metavar="NAME", help="A Secret with the credentials for that.")
    ] = None
    stock_image: Annotated[
        str | None,
        typer.Option("--stock-image", metavar="REFERENCE", help="The image that fetches; made and pushed without."),
    ] = None
    image_pull_secret: Annotated[
        list[str] | None,
        typer.Option("--image-pull-secret", metavar="NAME", help="A Secret for the registry. Repeatable."),
    ] = None
    expose: Annotated[
        Expose | None, typer.Option("--expose", help="How services are reached; LoadBalancer without.")
    ] = None
    host: Annotated[
        str | None,
        typer.Option("--host", help="Host name of the Ingress or the Gateway; of a NodePort, address of the nodes."),
    ] = None
    ingress_class: Annotated[str | None, typer.Option("--ingress-class", help="Class of Ingresses.")] = None
    gateway: Annotated[
        str | None, typer.Option("--gateway", metavar="NAMESPACE/NAME", help="The Gateway that routes attach to.")
    ] = None
    cert_issuer: Annotated[
        str | None, typer.Option("--cert-issuer", help="Of cert-manager: a ClusterIssuer, or Issuer/NAME.")
    ] = None
    storage_class: Annotated[
        str | None, typer.Option("--storage-class", help="Of the claim for collected model data.")
    ] = None

    kserve: Annotated[
        bool, typer.Option("--kserve", help="Services are InferenceServices of KServe, which scales to zero.")
    ] = False

    def given(self) -> dict[str, Any]:
        """By the names of ``AksCompute.attach_configuration``."""
        found = asdict(self)
        found["image_pull_secrets"] = found.pop("image_pull_secret")
        found["expose"] = None if self.expose is None else self.expose.value
        return found


@command(app, "attach")
def attach(session: Session, name: TargetName, cluster: ClusterOptions, certificate: Certificate) -> object:
    """Attach a cluster that a context of the kubeconfig leads to: services that are deployed to it run there.

    Without --context the context of the target's own name is taken. The cluster is asked whether it answers.
    """
    given = cluster.given()
    configuration = AksCompute.attach_configuration(**{**given, "context": given["context"] or name})
    if certificate.ssl_cname or certificate.ssl_cert_file or certificate.ssl_key_file:
        configuration.enable_ssl(certificate.ssl_cname, certificate.ssl_cert_file, certificate.ssl_key_file)
    return shown(ComputeTarget.attach(session.workspace, name, configuration))


@command(app, "list")
def list_(session: Session) -> object:
    """List the compute targets of the workspace."""
    return Result([target.serialize() for target in ComputeTarget.list(session.workspace)], columns=COLUMNS)


@command(app, "show")
def show(session: Session, name: TargetName) -> object:
    """Show one compute target."""
    return shown(ComputeTarget(session.workspace, name))


@command(app, "detach")
def detach(session: Session, name: TargetName) -> None:
    """Forget the compute target; services that were deployed to it go on, and are managed as before."""
    ComputeTarget(session.workspace, name).detach()
    session.note(f"Detached the compute target {name!r}")
