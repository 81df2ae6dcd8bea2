"""``modelport workspace``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from modelport.cli.command import command, group
from modelport.cli.errors import complain
from modelport.cli.options import Tags, pairs
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.composition import Installation
from modelport.domain.errors import UserErrorException, WorkspaceException
from modelport.sdk.workspace import Workspace

app = group("Create, list, show and delete workspaces.")
COLUMNS = ("name", "resourceGroup", "location", "creationTime")
FriendlyName = Annotated[str | None, typer.Option("--friendly-name", "-f", help="A name for people.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@dataclass(frozen=True, kw_only=True)
class CloudResources:
    """What a workspace of v1 was made of; accepted, and said to be without effect."""

    application_insights: Annotated[str | None, typer.Option("--application-insights", help="Not used.")] = None
    container_registry: Annotated[str | None, typer.Option("--container-registry", help="Not used.")] = None
    keyvault: Annotated[str | None, typer.Option("--keyvault", help="Not used.")] = None
    storage_account: Annotated[str | None, typer.Option("--storage-account", help="Not used.")] = None
    adb_workspace: Annotated[str | None, typer.Option("--adb-workspace", help="Not used.")] = None
    cmk_keyvault: Annotated[str | None, typer.Option("--cmk-keyvault", help="Not used.")] = None
    resource_cmk_uri: Annotated[str | None, typer.Option("--resource-cmk-uri", help="Not used.")] = None
    hbi_workspace: Annotated[bool, typer.Option("--hbi-workspace", help="Not used.")] = False


@command(app, "create")
def create(
    session: Session,
    cloud: CloudResources,
    location: Annotated[str | None, typer.Option("--location", "-l", help="A label.")] = None,
    friendly_name: FriendlyName = None,
    description: Annotated[str | None, typer.Option("--description", help="A description.")] = None,
    sku: Annotated[str, typer.Option("--sku", help="A label.")] = "basic",
    tags: Tags = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="No error where it exists already.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accepted as in v1: nothing here asks.")] = False,
) -> object:
    """Create a workspace on this machine: the place of models, environments and services."""
    if session.workspace_name is None:
        raise UserErrorException("A workspace needs a name.", hint="Give one: --workspace-name NAME (-w NAME).")
    workspace = Workspace.create(
        session.workspace_name,
        subscription_id=session.subscription_id,
        resource_group=session.resource_group,
        location=location,
        friendly_name=friendly_name,
        description=description,
        sku=sku,
        tags=pairs(tags, "--tag"),
        storage_account=cloud.storage_account,
        key_vault=cloud.keyvault,
        app_insights=cloud.application_insights,
        container_registry=cloud.container_registry,
        adb_workspace=cloud.adb_workspace,
        cmk_keyvault=cloud.cmk_keyvault,
        resource_cmk_uri=cloud.resource_cmk_uri,
        hbi_workspace=cloud.hbi_workspace,
        exist_ok=exist_ok,
        progress=session.progress,
    )
    return Result(details(workspace), columns=COLUMNS)


@command(app, "list")
def list_(session: Session) -> object:
    """List the workspaces of this machine; with --resource-group or --subscription-id, those that have it.

    One that cannot be opened does not hide the others; the exit code is 1 then.
    """
    found, errors = [], []
    for name in Installation.from_environment().workspace_names():
        try:
            found.append(Workspace.get(name))
        except WorkspaceException as error:
            errors.append(error)
            complain(error)
    labels = {"resource_group": session.resource_group, "subscription_id": session.subscription_id}
    shown = [workspace for workspace in found if _has(workspace, labels)]
    return Result([details(workspace) for workspace in shown], columns=COLUMNS, is_good=not errors)


def _has(workspace: Workspace, labels: Mapping[str, str | None]) -> bool:
    return all(value in (None, getattr(workspace, label)) for label, value in labels.items())


@command(app, "show")
def show(session: Session) -> object:
    """Show the workspace."""
    return Result(details(session.workspace), columns=COLUMNS)


@command(app, "update")
def update(
    session: Session,
    friendly_name: FriendlyName = None,
    description: Annotated[str | None, typer.Option("--description", help="A description.")] = None,
    tags: Tags = None,
    aci: Annotated[
        str | None,
        typer.Option(
            "--aci",
            help="What container instances are that are deployed from now on: container, process, or auto (containers "
            "where an engine is set up).",
        ),
    ] = None,
) -> object:
    """Change the names and the tags of the workspace (all of them), and how its container instances run."""
    if friendly_name is None and description is None and tags is None and aci is None:
        raise UserErrorException("Nothing to update was given.", hint="For example: --aci container.")
    given = None if tags is None else pairs(tags, "--tag")
    workspace = session.workspace
    workspace.update(friendly_name=friendly_name, description=description, tags=given, aci=aci)
    return Result(details(workspace), columns=COLUMNS)


@command(app, "jwks")
def jwks(session: Session) -> object:
    """Print the public keys that check access tokens, as a JSON Web Key Set."""
    return session.workspace.jwks()


@command(app, "rotate-token-key")
def rotate_token_key(
    session: Session,
    revoke: Annotated[
        bool, typer.Option("--revoke", help="Refuse the tokens of the old keys at once, not when they expire.")
    ] = False,
) -> object:
    """Sign access tokens with a new key from now on; tokens of the old one are accepted until they expire."""
    return {"keyId": session.workspace.rotate_token_key(revoke=revoke)}


@command(app, "delete")
def delete(
    session: Session,
    all_resources: Annotated[bool, typer.Option("--all-resources", help="Stop and delete its services too.")] = False,
    yes: Yes = False,
) -> None:
    """Delete the workspace that --workspace-name names, with its models."""
    if session.workspace_name is None:
        raise UserErrorException("Which workspace? It must be named to be deleted.", hint="Give --workspace-name NAME.")
    workspace = session.workspace
    if not yes:
        typer.confirm(f"Delete the workspace {workspace.name!r} with everything in it?", abort=True, err=True)
    workspace.delete(delete_dependent_resources=all_resources)
    session.note(f"Deleted the workspace {workspace.name!r}")


def details(workspace: Workspace) -> dict[str, object]:
    """``get_details()``, the resource group, which the v1 command line showed too, and how container instances run."""
    aci = workspace.context.record.aci or "auto"
    return {**workspace.get_details(), "resourceGroup": workspace.resource_group, "aci": aci}
