"""``az ml workspace`` (azureml-v1 reference, 3.4)."""

from __future__ import annotations

from typing import Annotated

import typer

from modelport.cli import workspace
from modelport.cli.azure.command import add_all, az_command
from modelport.cli.command import group
from modelport.cli.options import Description, NoWait, Tags, pairs
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException, WorkspaceException
from modelport.sdk.cloud_only import say_unused

app = group("Create, list, show, change and delete workspaces.")
endpoints = group("Private endpoints: a workspace on this machine has none.")
app.add_typer(endpoints, name="private-endpoint")
add_all(app, {"create": workspace.create, "list": workspace.list_, "show": workspace.show})

Endpoint = Annotated[str | None, typer.Option("--pe-name", "--name", "-n", help="Name of the endpoint.")]


@az_command(app, "delete")
def delete(
    session: Session,
    all_resources: Annotated[bool, typer.Option("--all-resources", help="Stop and delete its services too.")] = False,
    no_wait: NoWait = False,
    yes: workspace.Yes = False,
) -> None:
    """Delete the workspace, with its models. Nothing asks."""
    found = session.workspace
    found.delete(delete_dependent_resources=all_resources)
    session.note(f"Deleted the workspace {found.name!r}")


@az_command(app, "update")
def update(
    session: Session,
    friendly_name: workspace.FriendlyName = None,
    description: Description = None,
    tags: Annotated[
        list[str] | None,
        typer.Option("--tags", "--tag", metavar="KEY=VALUE", help="All tags that it is to have. Repeatable."),
    ] = None,
    image_build_compute: Annotated[
        str | None, typer.Option("--image-build-compute", help="Not used: this machine builds.")
    ] = None,
    enable_data_actions: Annotated[bool, typer.Option("--enable-data-actions", help="Not used.")] = False,
    disable_data_actions: Annotated[bool, typer.Option("--disable-data-actions", help="Not used.")] = False,
) -> object:
    """Change the names and the tags of the workspace."""
    if friendly_name is None and description is None and tags is None and image_build_compute is None:
        raise UserErrorException("Nothing to update was given.", hint="For example: --friendly-name 'My shop'.")
    found = session.workspace
    unused = {"--enable-data-actions": enable_data_actions, "--disable-data-actions": disable_data_actions}
    say_unused(session.progress, unused)
    found.update(
        friendly_name=friendly_name,
        description=description,
        tags=None if tags is None else pairs(tags, "--tags"),
        image_build_compute=image_build_compute,
    )
    return Result(workspace.details(found), columns=workspace.COLUMNS)


@az_command(app, "share")
def share(
    session: Session,
    user: Annotated[str, typer.Option("--user", help="Whom to share it with.")],
    role: Annotated[str, typer.Option("--role", help="What they may do.")],
) -> None:
    """Say how a workspace of this machine is shared: there are no accounts that could be given a role."""
    raise WorkspaceException(
        f"The workspace {session.workspace.name!r} cannot be shared with {user!r} as {role!r}: workspaces of this "
        "machine have no accounts and no roles.",
        hint=f"Whoever may read and write the folder {session.workspace.folder} may use it: change its group and its "
        "permissions.",
    )


@az_command(app, "sync-keys")
def sync_keys(session: Session) -> None:
    """Say that there are no keys of a cloud's storage to take over."""
    session.workspace.sync_keys()


@az_command(endpoints, "add")
def add(session: Session, name: Endpoint = None, tags: Tags = None) -> None:
    """Say that there is no private network."""
    session.workspace.add_private_endpoint(name, tags=tags)


@az_command(endpoints, "delete")
def remove(session: Session, name: Endpoint = None) -> None:
    """Say that there is no private network."""
    session.workspace.delete_private_endpoint_connection(str(name))


@az_command(endpoints, "list")
def list_(session: Session) -> object:
    """List the private endpoints of the workspace: none."""
    return Result(list(session.workspace.private_endpoints.values()))
