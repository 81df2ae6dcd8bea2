"""``modelport model``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from modelport.cli import model_deploy, package
from modelport.cli.command import command, group
from modelport.cli.files import read_run
from modelport.cli.options import (
    AddProperties,
    AddTags,
    Description,
    LongDescription,
    MetadataFile,
    ModelFramework,
    ModelFrameworkVersion,
    ModelId,
    Overwrite,
    Properties,
    PropertyFilters,
    RemoveTags,
    Resources,
    TagFilters,
    Tags,
    conditions,
    pairs,
    write_metadata,
)
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException
from modelport.sdk.model import Model

app = group("Register, list, download, change, delete, deploy and package models.")
model_deploy.add_to(app)
package.add_to(app)

_COLUMNS = ("name", "version", "framework", "createdTime", "description")
ModelName = Annotated[str, typer.Option("--name", "-n", help="Name of the model.")]
SampleInput = Annotated[str | None, typer.Option("--sample-input-dataset-id", help="Names a sample input.")]
SampleOutput = Annotated[str | None, typer.Option("--sample-output-dataset-id", help="Names a sample output.")]
RunId = Annotated[str | None, typer.Option("--run-id", "-r", help="Run that made the model.")]


@command(app, "register")
def register(
    session: Session,
    name: ModelName,
    resources: Resources,
    model_path: Annotated[str | None, typer.Option("--model-path", "-p", help="File or folder to register.")] = None,
    asset_path: Annotated[
        str | None, typer.Option("--asset-path", help="File or folder of a run, such as outputs/model.pkl.")
    ] = None,
    description: Description = None,
    tags: Tags = None,
    properties: Properties = None,
    model_framework: ModelFramework = None,
    model_framework_version: ModelFrameworkVersion = None,
    run_id: RunId = None,
    experiment_name: Annotated[str | None, typer.Option("--experiment-name", help="A label.")] = None,
    run_metadata_file: Annotated[
        Path | None, typer.Option("--run-metadata-file", "-f", help="File with a run id and an experiment name.")
    ] = None,
    sample_input: SampleInput = None,
    sample_output: SampleOutput = None,
    output_metadata_file: MetadataFile = None,
) -> object:
    """Register a file or a folder as the next version of a model."""
    if model_path is None and asset_path is None:
        raise UserErrorException("What is to be registered? The model has no files.", hint="Give --model-path PATH.")
    if model_path is not None and asset_path is not None:
        raise UserErrorException("--model-path and --asset-path exclude each other.", hint="Give one.")
    if run_metadata_file is not None:
        file_run, file_experiment = read_run(run_metadata_file)
        run_id, experiment_name = run_id or file_run, experiment_name or file_experiment
    described: dict[str, Any] = {
        "tags": pairs(tags, "--tag"),
        "properties": pairs(properties, "--property"),
        "description": description,
        "model_framework": model_framework,
        "model_framework_version": model_framework_version,
        "sample_input_dataset": sample_input,
        "sample_output_dataset": sample_output,
        "resource_configuration": resources.configuration(),
    }
    if model_path is not None:
        described |= {"run_id": run_id, "experiment_name": experiment_name}
        model = Model.register(session.workspace, model_path, name, **described)
    elif run_id is not None:
        model = session.workspace.get_run(run_id).register_model(name, asset_path, **described)
    else:
        raise UserErrorException("--asset-path names a file of a run, and no run is named.", hint="Give --run-id ID.")
    write_metadata(output_metadata_file, _metadata(session, model))
    return Result(model.serialize(), columns=_COLUMNS)


def _metadata(session: Session, model: Model) -> dict[str, object]:
    return {
        "modelId": model.id,
        "workspaceName": session.workspace.name,
        "resourceGroupName": session.workspace.resource_group,
    }


@command(app, "list")
def list_(
    session: Session,
    model_name: Annotated[str | None, typer.Option("--model-name", "-n", help="Only versions of this model.")] = None,
    latest: Annotated[bool, typer.Option("--latest", "-l", help="Only the newest version of each model.")] = False,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Only models of this run.")] = None,
    tags: TagFilters = None,
    properties: PropertyFilters = None,
) -> object:
    """List the versions of models, newest first within a name."""
    found = Model.list(
        session.workspace,
        name=model_name,
        tags=conditions(tags),
        properties=conditions(properties),
        run_id=run_id,
        latest=latest,
    )
    return Result([model.serialize() for model in found], columns=_COLUMNS)


@command(app, "show")
def show(
    session: Session,
    model_id: Annotated[str | None, typer.Option("--model-id", "-i", help="Id of the model: name:version.")] = None,
    model_name: Annotated[str | None, typer.Option("--model-name", "-n", help="Name of the model.")] = None,
    version: Annotated[int | None, typer.Option("--version", help="Its version; the newest without.")] = None,
    run_id: Annotated[str | None, typer.Option("--run-id", help="Only a model of this run.")] = None,
) -> object:
    """Show one version of a model."""
    if (model_id is None) == (model_name is None):
        raise UserErrorException("Which model?", hint="Give either --model-id NAME:VERSION or --model-name NAME.")
    model = Model(session.workspace, name=model_name, id=model_id, version=version, run_id=run_id)
    return Result(model.serialize(), columns=_COLUMNS)


@command(app, "download")
def download(
    session: Session,
    model_id: ModelId,
    target_dir: Annotated[str, typer.Option("--target-dir", "-t", help="Folder to download into.")],
    overwrite: Overwrite = False,
) -> object:
    """Download the model's file or folder; every byte is verified."""
    path = session.model(model_id).download(target_dir, exist_ok=overwrite)
    return {"downloadPath": str(Path(path).absolute())}


@command(app, "update")
def update(
    session: Session,
    model_id: ModelId,
    resources: Resources,
    add_tags: AddTags = None,
    remove_tags: RemoveTags = None,
    add_properties: AddProperties = None,
    description: LongDescription = None,
    sample_input: SampleInput = None,
    sample_output: SampleOutput = None,
) -> object:
    """Change what may change of a registered model: its files never do, and properties are only added."""
    labels = (add_tags, remove_tags, add_properties)
    fields = (description, sample_input, sample_output, resources.configuration())
    if not any(labels) and all(field is None for field in fields):
        raise UserErrorException("Nothing to update was given.", hint="For example: --add-tag stage=production.")
    model = session.model(model_id)
    if any(labels):
        model.update_tags_properties(
            add_tags=pairs(add_tags, "--add-tag"),
            remove_tags=remove_tags,
            add_properties=pairs(add_properties, "--add-property"),
        )
    if any(field is not None for field in fields):
        model.update(
            description=description,
            sample_input_dataset=sample_input,
            sample_output_dataset=sample_output,
            resource_configuration=resources.configuration(),
        )
    return Result(model.serialize(), columns=_COLUMNS)


@command(app, "delete")
def delete(session: Session, model_id: ModelId) -> None:
    """Delete one version of a model; refused while a service uses it."""
    model = session.model(model_id)
    model.delete()
    session.note(f"Deleted the model {model.id}")
