"""Options that commands of compute targets share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from modelport.cli.output import Result
from modelport.sdk.compute import ComputeTarget

COLUMNS = ("name", "type", "provisioningState", "isAttachedCompute", "location")

TargetName = Annotated[str, typer.Option("--name", "-n", help="Name of the compute target.")]
Location = Annotated[str | None, typer.Option("--location", "-l", help="A label.")]
VmSize = Annotated[str, typer.Option("--vm-size", "-s", help="A label: what is sent to it runs on this machine.")]
TargetDescription = Annotated[str | None, typer.Option("--description", "-d", help="A description.")]


@dataclass(frozen=True, kw_only=True)
class Network:
    """The virtual network of a target; kept and shown."""

    vnet_resourcegroup_name: Annotated[str | None, typer.Option("--vnet-resourcegroup-name", help="A label.")] = None
    vnet_name: Annotated[str | None, typer.Option("--vnet-name", help="A label.")] = None
    subnet_name: Annotated[str | None, typer.Option("--subnet-name", help="A label.")] = None


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What the services of a cluster show."""

    ssl_cname: Annotated[str | None, typer.Option("--ssl-cname", help="Host name in the certificate.")] = None
    ssl_cert_file: Annotated[
        str | None, typer.Option("--ssl-cert-file", help="Certificate with its chain, PEM, of its services.")
    ] = None
    ssl_key_file: Annotated[str | None, typer.Option("--ssl-key-file", help="Its private key, PEM.")] = None
    ssl_leaf_domain_label: Annotated[
        str | None,
        typer.Option("--ssl-leaf-domain-label", help="Asked for one of the vendor's certificates: there is none here."),
    ] = None
    ssl_overwrite_domain: Annotated[bool, typer.Option("--ssl-overwrite-domain", help="Goes with the label.")] = False


@dataclass(frozen=True, kw_only=True)
class LoadBalancer:
    """The load balancer of a cluster; kept and shown."""

    load_balancer_type: Annotated[
        str | None, typer.Option("--load-balancer-type", help="PublicIp (without) or InternalLoadBalancer: a label.")
    ] = None
    load_balancer_subnet: Annotated[str | None, typer.Option("--load-balancer-subnet", help="A label.")] = None


def shown(target: ComputeTarget) -> Result:
    """The target as commands print it."""
    return Result(target.serialize(), columns=COLUMNS)
