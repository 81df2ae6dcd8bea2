"""``az ml folder`` (azureml-v1 reference, 3.4 and 4.1)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from azureml._runs.making import check_experiment_name
from modelport.cli import folder
from modelport.cli.azure.command import az_command
from modelport.cli.command import group
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.sdk.runs.run_configuration_file import ENDING
from modelport.sdk.v1.conda_dependencies import CondaDependencies
from modelport.sdk.v1.run_configuration import RunConfiguration

_SAMPLE = "local"

app = group("Attach a folder to a workspace.")


@app.callback()
def root() -> None:
    """Attach a folder to a workspace, so that commands in it need no --workspace-name."""


@az_command(app, "attach")
def attach(
    session: Session,
    experiment_name: Annotated[
        str | None,
        typer.Option(
            "--experiment-name",
            "-e",
            help="Experiment of the runs that are submitted from the folder; it has the folder's name without.",
        ),
    ] = None,
) -> object:
    """Write .azureml/config.json into --path, and a conda file and a run configuration as samples beside it, where
    there are none."""
    attached = folder.attach(session)
    config = Path(attached["configFile"])
    experiment_name = experiment_name or _named_like(config.parent.parent)
    details = session.workspace.get_details()
    scope = details["id"] + (f"/experiments/{experiment_name}" if experiment_name else "")
    content: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
    content |= {"Id": details["workspaceid"], "Scope": scope}
    config.write_text(json.dumps(content, indent=4) + "\n", encoding="utf-8")
    conda_file, run_file = config.parent / "conda_dependencies.yml", config.parent / f"{_SAMPLE}{ENDING}"
    if not conda_file.exists():
        conda_file.write_text(CondaDependencies().serialize_to_string(), encoding="utf-8")
    if not run_file.exists():
        configuration = RunConfiguration()
        configuration.environment.python.user_managed_dependencies = True
        configuration.environment.python.conda_dependencies = None
        configuration.save(session.path, _SAMPLE)
    return {**attached, "experimentName": experiment_name}


def _named_like(folder: Path) -> str | None:
    """An experiment with the folder's name, as public walk-throughs show it; None where that is no name for one."""
    try:
        return check_experiment_name(folder.resolve().name)
    except UserErrorException:
        return None
