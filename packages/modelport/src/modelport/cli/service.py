"""``modelport service``."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from modelport.cli import service_update
from modelport.cli.command import command, group
from modelport.cli.deployment_file import compute_type_of
from modelport.cli.model_deploy import SERVICE_COLUMNS
from modelport.cli.options import NoWait, PropertyFilters, ServiceName, TagFilters, conditions, text_or_file
from modelport.cli.output import Result
from modelport.cli.service_report import changed
from modelport.cli.session import Session
from modelport.sdk.webservice import Webservice
from modelport.usecases import run_service

app = group("Use and change the services that were deployed.")
service_update.add_to(app)


@command(app, "list")
def list_(
    session: Session,
    compute_type: Annotated[
        str | None,
        typer.Option("--compute-type", "-c", help="Only services of this kind: local, aci, aks, aksendpoint."),
    ] = None,
    model_name: Annotated[str | None, typer.Option("--model-name", help="Only services with this model.")] = None,
    model_id: Annotated[str | None, typer.Option("--model-id", help="Only services with this version.")] = None,
    tags: TagFilters = None,
    properties: PropertyFilters = None,
    image_digest: Annotated[str | None, typer.Option("--image-digest", help="Only services of this image.")] = None,
) -> object:
    """List the services of the workspace."""
    kind = None if compute_type is None else compute_type_of(compute_type, where="--compute-type").value
    found = Webservice.list(
        session.workspace,
        compute_type=kind,
        model_name=model_name,
        model_id=model_id,
        tags=conditions(tags),
        properties=conditions(properties),
        image_digest=image_digest,
    )
    return Result([service.serialize() for service in found], columns=SERVICE_COLUMNS)


@command(app, "show")
def show(session: Session, name: ServiceName) -> object:
    """Show one service: its state, its address, its models, why it failed."""
    service = session.service(name)
    if service.started_by is not None:
        session.note(
            f"The service {name!r} was started by another Modelport ({service.started_by}), and may refuse changes "
            f"until it is started again: modelport service restart -n {name}"
        )
    return Result({**service.serialize(), **service.placed()}, columns=SERVICE_COLUMNS)


@command(app, "run")
def run(
    session: Session,
    name: ServiceName,
    input_data: Annotated[str, typer.Option("--input-data", "-d", help="What to score: JSON, @FILE, or @- for stdin.")],
) -> object:
    """Send one request to the service and print the answer."""
    return session.service(name).run(text_or_file(input_data))


@command(app, "get-logs")
def get_logs(
    session: Session,
    name: ServiceName,
    num_lines: Annotated[int, typer.Option("--num_lines", "-l", min=1, help="How many lines of the end.")] = 5000,
    init: Annotated[
        bool, typer.Option("--init", "-i", help="Of a service that was meant for a cloud: where it runs instead.")
    ] = False,
) -> object:
    """Print the end of the service's log: what the script printed and what the server says of it."""
    text = session.service(name).get_logs(num_lines, init=init)
    return Result(text, text=text)


@command(app, "get-keys")
def get_keys(session: Session, name: ServiceName) -> object:
    """Print the two keys of a service with key authentication."""
    return _keys(session.service(name))


@command(app, "get-access-token")
def get_access_token(session: Session, name: ServiceName) -> object:
    """Print a new access token of a service with token authentication, and its times in UTC."""
    token = session.service(name).get_access_token()
    return {
        "accessToken": token.access_token,
        "tokenType": token.token_type,
        "refreshAfter": token.refresh_after.astimezone(dt.UTC).isoformat(),
        "expiryOn": token.expiry_on.astimezone(dt.UTC).isoformat(),
    }


@command(app, "regen-key")
def regen_key(
    session: Session,
    name: ServiceName,
    key: Annotated[str, typer.Option("--key", "-k", help="Primary or Secondary.")],
    set_key: Annotated[str | None, typer.Option("--set-key", "-s", help="The new key; made up without.")] = None,
) -> object:
    """Replace one key; the other one goes on working."""
    service = session.service(name)
    service.regen_key(key, set_key=set_key)
    return _keys(service)


@command(app, "delete")
def delete(
    session: Session,
    name: ServiceName,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also where its engine or cluster is gone; what may be left there is told."),
    ] = False,
) -> None:
    """Stop the service and remove it."""
    for line in run_service.delete(session.workspace.context, name, force=force):
        session.note(line)
    session.note(f"Deleted the service {name!r}")


@command(app, "reload")
def reload(session: Session, name: ServiceName) -> object:
    """Ship the source again, after an edit of the script for example, and switch to it without dropping a request."""
    service = session.service(name)
    service.reload()
    session.wait(service)
    return changed(service)


@command(app, "rollback")
def rollback(
    session: Session,
    name: ServiceName,
    revision: Annotated[
        int | None, typer.Option("--revision", help="Number of a kept revision; the one before without.")
    ] = None,
) -> object:
    """Go back to an earlier revision without dropping a request."""
    service = session.service(name)
    service.rollback(revision)
    session.wait(service)
    return changed(service)


@command(app, "start")
def start(session: Session, name: ServiceName, no_wait: NoWait = False) -> object:
    """Start a service that is stopped or failed."""
    service = session.service(name)
    service.start()
    if not no_wait:
        session.wait(service)
    return changed(service)


@command(app, "restart")
def restart(session: Session, name: ServiceName, no_wait: NoWait = False) -> object:
    """Stop the service and start it again as it is, after an upgrade of Modelport for example.

    Connections are refused meanwhile, for about a second and the time that init() takes.
    """
    service = session.service(name)
    service.restart()
    if not no_wait:
        session.wait(service)
    return changed(service)


@command(app, "stop")
def stop(session: Session, name: ServiceName) -> object:
    """Let the service finish what it holds and end it; it can be started again."""
    service = session.service(name)
    service.stop()
    return changed(service, stopped=True)


def _keys(service: Webservice) -> dict[str, str]:
    primary, secondary = service.get_keys()
    return {"primaryKey": primary, "secondaryKey": secondary}
