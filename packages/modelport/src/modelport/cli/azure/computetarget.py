"""``az ml computetarget`` (azureml-v1 reference, 3.4): names that services and runs are sent to; all run here."""

from __future__ import annotations

from modelport.cli.azure import computetarget_attach, computetarget_create, computetarget_update
from modelport.cli.azure.command import az_command
from modelport.cli.azure.computetarget_options import COLUMNS, TargetName, shown
from modelport.cli.command import group
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.sdk.compute import AksCompute, ComputeTarget

app = group("Compute targets: names that are kept; what is sent to them runs on this machine.")
for _name, _group in {
    "create": computetarget_create.app,
    "attach": computetarget_attach.app,
    "update": computetarget_update.app,
    "computeinstance": computetarget_update.instances,
    "amlcompute": computetarget_update.clusters,
}.items():
    app.add_typer(_group, name=_name)


@az_command(app, "list")
def list_(session: Session) -> object:
    """List the compute targets of the workspace."""
    return Result([target.serialize() for target in ComputeTarget.list(session.workspace)], columns=COLUMNS)


@az_command(app, "show")
def show(session: Session, name: TargetName) -> object:
    """Show one compute target."""
    return shown(ComputeTarget(session.workspace, name))


@az_command(app, "delete")
def delete(session: Session, name: TargetName) -> None:
    """Delete the compute target; refused while services are deployed to it."""
    ComputeTarget(session.workspace, name).delete()
    session.note(f"Deleted the compute target {name!r}")


@az_command(app, "detach")
def detach(session: Session, name: TargetName) -> None:
    """Forget the compute target; services that were deployed to it go on."""
    ComputeTarget(session.workspace, name).detach()
    session.note(f"Detached the compute target {name!r}")


@az_command(app, "get-credentials")
def get_credentials(session: Session, name: TargetName) -> object:
    """Show by which context of the kubeconfig the cluster is reached; an error where the target is only a name."""
    return AksCompute(session.workspace, name).get_credentials()
