"""``az ml dataset`` (azureml-v1 reference, 3.4)."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelport.cli.azure.command import az_command
from modelport.cli.command import group
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.sdk.data import Dataset

app = group("Registered data sets: list, show and unregister them.")

_COLUMNS = ("name", "version", "datasetType", "id")

DatasetName = Annotated[str | None, typer.Option("--name", "-n", help="Name of the data set.")]
DatasetId = Annotated[str | None, typer.Option("--id", "-i", help="Its id.")]


@az_command(app, "list")
def list_(session: Session) -> object:
    """List the newest version of each registered data set."""
    return Result([_row(each) for each in Dataset.list(session.workspace)], columns=_COLUMNS)


@az_command(app, "show")
def show(session: Session, name: DatasetName = None, id: DatasetId = None) -> object:
    """Show the newest version of one data set."""
    return Result(_row(_found(session, name, id)), columns=_COLUMNS)


@az_command(app, "unregister")
def unregister(session: Session, name: DatasetName = None, id: DatasetId = None) -> None:
    """Forget all versions of a data set; its files stay."""
    found = _found(session, name, id)
    label = found.name
    found.unregister_all_versions()
    session.note(f"Unregistered the data set {label!r}")


def _found(session: Session, name: str | None, id: str | None) -> Any:
    if (name is None) == (id is None):
        raise UserErrorException("Which data set?", hint="Give either --name NAME or --id ID.")
    return Dataset.get(session.workspace, name=name, id=id)


def _row(dataset: Any) -> dict[str, Any]:
    return {
        "id": dataset.id,
        "name": dataset.name,
        "version": dataset.version,
        "datasetType": type(dataset).__name__.removesuffix("Dataset"),
        "description": dataset.description,
        "tags": dataset.tags,
    }
