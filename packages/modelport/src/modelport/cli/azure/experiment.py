"""``az ml experiment`` (azureml-v1 reference, 3.4)."""

from __future__ import annotations

from modelport.cli.azure.command import az_command
from modelport.cli.command import group
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.sdk.runs import Experiment

app = group("List experiments.")


@app.callback()
def root() -> None:
    """List experiments: runs under a name."""


@az_command(app, "list")
def list_(session: Session) -> object:
    """List the experiments of the workspace."""
    found = Experiment.list(session.workspace)
    return Result([{"id": each.id, "name": each.name, "tags": each.tags} for each in found], columns=("name",))
