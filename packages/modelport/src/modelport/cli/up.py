"""``modelport up``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from modelport.cli.command import command, group
from modelport.cli.options import NoWait
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.composition import Installation
from modelport.domain.errors import ModelportError
from modelport.sdk.workspace import Workspace
from modelport.usecases.run_service import started_by_others, up
from modelport.usecases.wait import wait_for_deployment

Restart = Annotated[
    bool,
    typer.Option("--restart", help="Start those again, too, that another version of Modelport started."),
]

app = group("Start every service that should run and does not.")


@command(app, "up")
def up_command(session: Session, restart: Restart = False, no_wait: NoWait = False) -> object:
    """Start every service that should run and does not, after a reboot for example; with --restart, after an upgrade of
    Modelport, those again that another version started.

    In all workspaces of this machine, or in the one that --workspace-name names. One that cannot be started does not
    stop the others; the exit code is 1 then. Services that were stopped with `service stop` stay stopped.
    """
    names = [session.workspace_name] if session.workspace_name else Installation.from_environment().workspace_names()
    rows = [row for name in names for row in _started(session, name, restart=restart, wait=not no_wait)]
    if not rows:
        session.note("Every service that should run does.")
    return Result(
        rows, columns=("workspace", "service", "state", "error"), is_good=all(not row["error"] for row in rows)
    )


def _started(session: Session, name: str, *, restart: bool, wait: bool) -> Iterator[dict[str, Any]]:
    try:
        workspace = Workspace.get(name, progress=session.progress)
        outcome = up(workspace.context, restarting=restart)
    except ModelportError as error:
        yield _row(name, None, state="unknown", error=error)
        return
    for service, version in started_by_others(workspace.context).items():
        session.note(
            f"The service {service!r} of the workspace {name!r} was started by another Modelport ({version}), and may "
            "refuse changes until it is started again: modelport up --restart"
        )
    for service, refusal in outcome.items():
        session.note(f"Starting the service {service!r} of the workspace {name!r}")
        yield _waited(workspace, service) if wait and refusal is None else _row(name, service, error=refusal)


def _waited(workspace: Workspace, service: str) -> dict[str, Any]:
    try:
        wait_for_deployment(workspace.context, service)
    except ModelportError as error:
        return _row(workspace.name, service, error=error)
    return _row(workspace.name, service, state="running")


def _row(
    workspace: str, service: str | None, *, state: str = "deploying", error: ModelportError | None = None
) -> dict[str, Any]:
    return {
        "workspace": workspace,
        "service": service,
        "state": "failed" if error and service else state,
        "error": error.text if error else None,
    }
