"""``az ml computetarget attach``."""

from __future__ import annotations

from typing import Annotated

import typer

from modelport.cli.azure.command import az_command
from modelport.cli.azure.computetarget_create import use_label
from modelport.cli.azure.computetarget_options import Certificate, TargetName, shown
from modelport.cli.command import group
from modelport.cli.compute import ClusterOptions
from modelport.cli.session import Session
from modelport.domain.errors import ComputeTargetException
from modelport.sdk.compute import AksCompute, ComputeTarget, RemoteCompute

app = group("Attach a cluster by a context of the kubeconfig, or keep the name of one, or of a machine.")


@az_command(app, "aks")
def aks(
    session: Session,
    name: TargetName,
    certificate: Certificate,
    cluster: ClusterOptions,
    compute_resource_id: Annotated[
        str | None,
        typer.Option(
            "--compute-resource-id",
            "-i",
            help="Its id in a cloud, whose last part may name a context of the kubeconfig.",
        ),
    ] = None,
    cluster_purpose: Annotated[str | None, typer.Option("--cluster-purpose", help="A label.")] = None,
) -> object:
    """Attach a cluster that a context of the kubeconfig leads to; without one, keep the name of a cluster, and services
    that are deployed to it run on this machine."""
    if compute_resource_id is None and cluster.context is None:
        raise ComputeTargetException("Which cluster is meant?", hint="Give --compute-resource-id, or --context.")
    configuration = AksCompute.attach_configuration(
        resource_id=compute_resource_id, cluster_purpose=cluster_purpose, **cluster.given()
    )
    use_label(configuration, certificate)
    if certificate.ssl_cert_file or certificate.ssl_key_file:
        configuration.enable_ssl(certificate.ssl_cname, certificate.ssl_cert_file, certificate.ssl_key_file)
    return shown(ComputeTarget.attach(session.workspace, name, configuration))


@az_command(app, "remote")
def remote(
    session: Session,
    name: TargetName,
    address: Annotated[str, typer.Option("--address", "-a", help="A label.")],
    username: Annotated[str, typer.Option("--username", "-u", help="A label.")],
    ssh_port: Annotated[int, typer.Option("--ssh-port", help="A label.")] = 22,
    password: Annotated[str, typer.Option("--password", "-p", help="Not kept.")] = "",
    private_key_file: Annotated[str, typer.Option("--private-key-file", help="A label.")] = "",
    private_key_passphrase: Annotated[str, typer.Option("--private-key-passphrase", help="Not kept.")] = "",
) -> object:
    """Keep the name of a machine: it is not contacted, and runs that are sent to it run on this machine."""
    if not password and not private_key_file:
        raise ComputeTargetException("A remote machine needs --password or --private-key-file, as in v1.")
    configuration = RemoteCompute.attach_configuration(
        username=username,
        address=address,
        ssh_port=ssh_port,
        password=password,
        private_key_file=private_key_file,
        private_key_passphrase=private_key_passphrase,
    )
    return shown(ComputeTarget.attach(session.workspace, name, configuration))
