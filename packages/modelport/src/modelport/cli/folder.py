"""``modelport folder``."""

from __future__ import annotations

from pathlib import Path

from modelport.cli.command import command, group
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException

app = group("Attach a folder to a workspace.")


@app.callback()
def root() -> None:
    """Attach a folder to a workspace, so that commands in it need no --workspace-name."""


@command(app, "attach")
def attach(session: Session) -> dict[str, str]:
    """Write .azureml/config.json into --path, from which commands and Workspace.from_config() find the workspace."""
    if session.workspace_name is None:
        raise UserErrorException("Which workspace? Attaching needs its name.", hint="Give --workspace-name NAME.")
    workspace = session.workspace
    if not Path(session.path).is_dir():
        raise UserErrorException(f"There is no folder {session.path!r} to attach.", hint="Give another --path.")
    workspace.write_config(session.path)
    file = (Path(session.path) / ".azureml" / "config.json").absolute()
    session.note(f"Attached {file.parent.parent} to the workspace {workspace.name!r}")
    return {
        "workspaceName": workspace.name,
        "resourceGroup": workspace.resource_group,
        "subscriptionId": workspace.subscription_id,
        "configFile": str(file),
    }
