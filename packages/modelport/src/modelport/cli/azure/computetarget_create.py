"""``az ml computetarget create``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from modelport.cli.azure.command import az_command
from modelport.cli.azure.computetarget_options import (
    Certificate,
    LoadBalancer,
    Location,
    Network,
    TargetDescription,
    TargetName,
    VmSize,
    shown,
)
from modelport.cli.command import group
from modelport.cli.options import NoWait, Tags, Truth, is_true, pairs
from modelport.cli.session import Session
from modelport.sdk.compute import AksCompute, AmlCompute, ComputeInstance, ComputeTarget, DataFactoryCompute
from modelport.sdk.compute.aks import AksClusterConfiguration

app = group("Keep the name of a compute target.")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """What a cluster of services was made of; kept and shown."""

    agent_count: Annotated[int | None, typer.Option("--agent-count", "-a", help="A label; 3 without.")] = None
    vm_size: Annotated[str | None, typer.Option("--vm-size", "-s", help="A label; Standard_D3_v2 without.")] = None
    cluster_purpose: Annotated[
        str | None, typer.Option("--cluster-purpose", help="FastProd (without) or DevTest: a label.")
    ] = None
    location: Location = None
    service_cidr: Annotated[str | None, typer.Option("--service-cidr", help="A label.")] = None
    dns_service_ip: Annotated[str | None, typer.Option("--dns-service-ip", help="A label.")] = None
    docker_bridge_cidr: Annotated[str | None, typer.Option("--docker-bridge-cidr", help="A label.")] = None


@az_command(app, "aks")
def aks(
    session: Session,
    name: TargetName,
    cluster: Cluster,
    certificate: Certificate,
    balancer: LoadBalancer,
    network: Network,
    no_wait: NoWait = False,
) -> object:
    """Keep the name of a cluster: services that are deployed to it run on this machine, with its certificate."""
    configuration = AksCompute.provisioning_configuration(
        ssl_cname=certificate.ssl_cname,
        ssl_cert_pem_file=certificate.ssl_cert_file,
        ssl_key_pem_file=certificate.ssl_key_file,
        **asdict(cluster),
        **asdict(balancer),
        **asdict(network),
    )
    use_label(configuration, certificate)
    return shown(ComputeTarget.create(session.workspace, name, configuration))


def use_label(configuration: AksClusterConfiguration, certificate: Certificate) -> None:
    """Ask for the vendor's certificate, where the options do."""
    if certificate.ssl_leaf_domain_label:
        configuration.enable_ssl(
            ssl_cname=certificate.ssl_cname,
            ssl_cert_pem_file=certificate.ssl_cert_file,
            ssl_key_pem_file=certificate.ssl_key_file,
            leaf_domain_label=certificate.ssl_leaf_domain_label,
            overwrite_existing_domain=certificate.ssl_overwrite_domain,
        )


@dataclass(frozen=True, kw_only=True)
class Administrator:
    """Who might sign in to the nodes of a training cluster: there are none, and passwords are not kept."""

    admin_username: Annotated[str | None, typer.Option("--admin-username", "-u", help="A label.")] = None
    admin_user_password: Annotated[str | None, typer.Option("--admin-user-password", help="Not kept.")] = None
    admin_user_ssh_key: Annotated[str | None, typer.Option("--admin-user-ssh-key", help="A label.")] = None


@az_command(app, "amlcompute")
def amlcompute(
    session: Session,
    name: TargetName,
    vm_size: VmSize,
    administrator: Administrator,
    network: Network,
    max_nodes: Annotated[int, typer.Option("--max-nodes", help="A label.")] = 4,
    min_nodes: Annotated[int, typer.Option("--min-nodes", help="A label.")] = 0,
    idle_seconds_before_scaledown: Annotated[
        int, typer.Option("--idle-seconds-before-scaledown", help="A label.")
    ] = 120,
    vm_priority: Annotated[
        str, typer.Option("--vm-priority", "-p", help="dedicated or lowpriority: a label.")
    ] = "dedicated",
    assign_identity: Annotated[
        list[str] | None, typer.Option("--assign-identity", help="[system], or the id of one: a label. Repeatable.")
    ] = None,
    remote_login_port_public_access: Annotated[
        str, typer.Option("--remote-login-port-public-access", help="A label.")
    ] = "NotSpecified",
    location: Location = None,
    tags: Tags = None,
    description: TargetDescription = None,
    no_wait: NoWait = False,
) -> object:
    """Keep the name of a training cluster: runs that are sent to it run on this machine."""
    identity = identity_of(assign_identity)
    configuration = AmlCompute.provisioning_configuration(
        vm_size=vm_size,
        vm_priority=vm_priority.lower(),
        min_nodes=min_nodes,
        max_nodes=max_nodes,
        idle_seconds_before_scaledown=idle_seconds_before_scaledown,
        remote_login_port_public_access=remote_login_port_public_access,
        location=location,
        tags=pairs(tags, "--tag"),
        description=description,
        identity_type=identity[0],
        identity_id=identity[1],
        **asdict(administrator),
        **asdict(network),
    )
    return shown(ComputeTarget.create(session.workspace, name, configuration))


def identity_of(given: list[str] | None) -> tuple[str | None, list[str] | None]:
    """Type and ids of an identity, as v1 kept them."""
    if not given:
        return None, None
    ids = [each for each in given if each.lower() != "[system]"]
    return ("UserAssigned", ids) if ids else ("SystemAssigned", None)


@az_command(app, "computeinstance")
def computeinstance(
    session: Session,
    name: TargetName,
    vm_size: VmSize,
    network: Network,
    ssh_public_access: Annotated[
        Truth | None, typer.Option("--ssh-public-access", help="A label.", case_sensitive=False)
    ] = None,
    admin_user_ssh_public_key: Annotated[
        str | None, typer.Option("--admin-user-ssh-public-key", "-k", help="A label.")
    ] = None,
    tags: Tags = None,
    description: TargetDescription = None,
    no_wait: NoWait = False,
) -> object:
    """Keep the name of a workstation: runs that are sent to it run on this machine."""
    configuration = ComputeInstance.provisioning_configuration(
        vm_size=vm_size,
        ssh_public_access=bool(is_true(ssh_public_access)),
        admin_user_ssh_public_key=admin_user_ssh_public_key,
        tags=pairs(tags, "--tag"),
        description=description,
        **asdict(network),
    )
    return shown(ComputeTarget.create(session.workspace, name, configuration))


@az_command(app, "datafactory")
def datafactory(session: Session, name: TargetName, location: Location = None, no_wait: NoWait = False) -> object:
    """Keep the name of a data factory."""
    configuration = DataFactoryCompute.provisioning_configuration(location=location)
    return shown(ComputeTarget.create(session.workspace, name, configuration))
