"""``az ml computetarget update``, and the commands of single kinds of targets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelport.cli.azure.command import az_command
from modelport.cli.azure.computetarget_create import identity_of
from modelport.cli.azure.computetarget_options import Certificate, LoadBalancer, TargetName, shown
from modelport.cli.command import group
from modelport.cli.options import NoWait
from modelport.cli.session import Session
from modelport.domain.errors import ComputeTargetException
from modelport.sdk.compute import AksCompute, AksUpdateConfiguration, AmlCompute, ComputeInstance, SslConfiguration
from modelport.usecases import compute_targets

app = group("Change a compute target.")
instances = group("Workstations, as names.")
clusters = group("Training clusters, as names.")
identity = group("The identity of a training cluster: kept and shown, nothing uses it.")
clusters.add_typer(identity, name="identity")

Identities = Annotated[list[str] | None, typer.Option("--identities", help="[system], or the id of one. Repeatable.")]


@az_command(app, "aks")
def aks(
    session: Session,
    name: TargetName,
    certificate: Certificate,
    balancer: LoadBalancer,
    ssl_renew: Annotated[bool, typer.Option("--ssl-renew", help="Of the vendor's certificate: there is none.")] = False,
    ssl_disable: Annotated[bool, typer.Option("--ssl-disable", help="No certificate any more.")] = False,
) -> object:
    """Give the services of the cluster another certificate, or none."""
    target = AksCompute(session.workspace, name)
    target.update(
        AksUpdateConfiguration(
            ssl_configuration=_ssl(certificate, renew=ssl_renew, disable=ssl_disable),
            load_balancer_type=balancer.load_balancer_type,
            load_balancer_subnet=balancer.load_balancer_subnet,
        )
    )
    return shown(target)


def _ssl(certificate: Certificate, *, renew: bool, disable: bool) -> SslConfiguration | None:
    asked = (certificate.ssl_cname, certificate.ssl_cert_file, certificate.ssl_key_file)
    if not any(asked) and not certificate.ssl_leaf_domain_label and not renew and not disable:
        return None
    status = "Disabled" if disable else "Auto" if certificate.ssl_leaf_domain_label else "Enabled"
    return SslConfiguration(
        status=None if renew and not any(asked) else status,
        cert=_text(certificate.ssl_cert_file, "--ssl-cert-file"),
        key=_text(certificate.ssl_key_file, "--ssl-key-file"),
        cname=certificate.ssl_cname,
        leaf_domain_label=certificate.ssl_leaf_domain_label,
        overwrite_existing_domain=certificate.ssl_overwrite_domain,
        renew=renew,
    )


def _text(path: str | None, flag: str) -> str | None:
    try:
        return None if path is None else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ComputeTargetException(f"{flag} {path!r} cannot be read: {error.strerror}.") from error


@az_command(app, "amlcompute")
def amlcompute(
    session: Session,
    name: TargetName,
    max_nodes: Annotated[int | None, typer.Option("--max-nodes", help="A label.")] = None,
    min_nodes: Annotated[int | None, typer.Option("--min-nodes", help="A label.")] = None,
    idle_seconds_before_scaledown: Annotated[
        int | None, typer.Option("--idle-seconds-before-scaledown", help="A label.")
    ] = None,
) -> object:
    """Keep other numbers of a training cluster."""
    target = AmlCompute(session.workspace, name)
    target.update(min_nodes, max_nodes, idle_seconds_before_scaledown)
    return shown(target)


@az_command(instances, "start")
def start(session: Session, name: TargetName, no_wait: NoWait = False) -> object:
    """Keep that the workstation runs; this machine does."""
    target = ComputeInstance(session.workspace, name)
    target.start()
    return shown(target)


@az_command(instances, "stop")
def stop(session: Session, name: TargetName, no_wait: NoWait = False) -> object:
    """Keep that the workstation is stopped; this machine goes on."""
    target = ComputeInstance(session.workspace, name)
    target.stop()
    return shown(target)


@az_command(instances, "restart")
def restart(session: Session, name: TargetName, no_wait: NoWait = False) -> object:
    """Keep that the workstation runs; this machine goes on."""
    target = ComputeInstance(session.workspace, name)
    target.restart()
    return shown(target)


@az_command(identity, "assign")
def assign(session: Session, name: TargetName, identities: Identities = None) -> object:
    """Keep an identity with the name of the cluster."""
    return _identity(session, name, identities or ["[system]"])


@az_command(identity, "remove")
def remove(session: Session, name: TargetName, identities: Identities = None) -> object:
    """Keep no identity any more."""
    return _identity(session, name, [])


@az_command(identity, "show")
def show(session: Session, name: TargetName) -> object:
    """Show the identity that is kept with the name of the cluster."""
    return _kept_identity(AmlCompute(session.workspace, name))


def _identity(session: Session, name: str, identities: list[str]) -> dict[str, object]:
    target = AmlCompute(session.workspace, name)
    kind, ids = identity_of(identities)
    settings = {**target.serialize()["properties"], "identity_type": kind, "identity_id": ids}
    compute_targets.change_compute(session.workspace.context, name, settings=settings)
    target.refresh_state()
    return _kept_identity(target)


def _kept_identity(target: AmlCompute) -> dict[str, object]:
    properties = target.serialize()["properties"]
    return {"type": properties.get("identity_type"), "userAssignedIdentities": properties.get("identity_id") or []}
