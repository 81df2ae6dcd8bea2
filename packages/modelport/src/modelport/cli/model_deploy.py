"""``modelport model deploy``, and the models of a deployment as options."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from modelport.cli.command import command
from modelport.cli.files import read_model_id
from modelport.cli.inference import InferenceFlags
from modelport.cli.options import LongDescription, NoWait, Overwrite, Properties, ServiceName, Tags, pairs
from modelport.cli.output import Result
from modelport.cli.replica_flags import PlacementFlags, ReplicaFlags
from modelport.cli.scoring_flags import ScoringFlags
from modelport.cli.session import Session
from modelport.cli.target import KindFlags, TargetFlags, asked_of
from modelport.sdk.deployment_configuration import DeploymentConfiguration
from modelport.sdk.model import Model

SERVICE_COLUMNS = ("name", "state", "computeType", "port", "scoringUri", "revision", "updatedTime")


@dataclass(frozen=True, kw_only=True)
class ModelChoice:
    """Models by their ids and by the files that ``register -t`` wrote."""

    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", metavar="ID", help="A model: name:version, or a name for its newest. Repeatable."
        ),
    ] = None
    model_metadata_file: Annotated[
        list[Path] | None,
        typer.Option("--model-metadata-file", "-f", metavar="FILE", help="A file of `model register -t`. Repeatable."),
    ] = None

    def ids(self) -> list[str]:
        """The ids, in the order given: first those of ``--model``."""
        return [*(self.model or ()), *(read_model_id(file) for file in self.model_metadata_file or ())]


def add_to(app: typer.Typer) -> None:
    """Add the command to the group of models."""
    command(app, "deploy")(deploy)


def deploy(
    session: Session,
    name: ServiceName,
    models: ModelChoice,
    inference: InferenceFlags,
    kind: KindFlags,
    target: TargetFlags,
    scoring: ScoringFlags,
    replicas: ReplicaFlags,
    placement: PlacementFlags,
    description: LongDescription = None,
    tags: Tags = None,
    properties: Properties = None,
    overwrite: Overwrite = False,
    no_wait: NoWait = False,
) -> object:
    """Deploy models as a web service, and wait until it is healthy. A model of a known framework needs no entry script.

    When it fails, the message names the phase, the cause, the script's traceback, the end of the log and one thing to
    try.
    """
    asked = asked_of(session, target, scoring, replicas, placement).including(kind.settings())
    meant = kind.kind(session, name, asked)
    service = Model.deploy(
        session.workspace,
        name,
        models.ids(),
        inference.configuration(session),
        described(asked.configuration(meant, session), description=description, tags=tags, properties=properties),
        kind.cluster(),
        overwrite=overwrite,
    )
    if not no_wait:
        session.wait(service)
    return Result(service.serialize(), columns=SERVICE_COLUMNS)


def described(
    configuration: DeploymentConfiguration,
    *,
    description: str | None,
    tags: list[str] | None,
    properties: list[str] | None,
) -> DeploymentConfiguration:
    """The configuration with the labels that flags give on top of those of its file."""
    given: DeploymentConfiguration = dataclasses.replace(
        configuration,  # type: ignore[type-var]  # each class of them is a dataclass
        description=description or configuration.description,
        tags={**(configuration.tags or {}), **pairs(tags, "--tag")},
        properties={**(configuration.properties or {}), **pairs(properties, "--property")},
    )
    return given
