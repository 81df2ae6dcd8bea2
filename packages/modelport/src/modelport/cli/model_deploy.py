"""``modelport model deploy``, and the models of a deployment as options."""

from __future__ import annotations

import dataclasses

import typer

from modelport.cli.command import command
from modelport.cli.inference import InferenceFlags
from modelport.cli.model_choice import ModelChoice
from modelport.cli.options import LongDescription, NoWait, Overwrite, Properties, ServiceName, Tags, pairs
from modelport.cli.output import Result
from modelport.cli.profile import ProfileInput, profile, read_profile
from modelport.cli.replica_flags import PlacementFlags, ReplicaFlags
from modelport.cli.scoring_flags import ScoringFlags
from modelport.cli.session import Session
from modelport.cli.target import KindFlags, TargetFlags, asked_of
from modelport.sdk.deployment_configuration import DeploymentConfiguration
from modelport.sdk.model import Model

SERVICE_COLUMNS = ("name", "state", "computeType", "port", "scoringUri", "revision", "updatedTime")


def add_to(app: typer.Typer) -> None:
    """Add the commands to the group of models."""
    command(app, "deploy")(deploy)
    command(app, "profile")(profile)


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
    profile_input: ProfileInput = None,
    overwrite: Overwrite = False,
    no_wait: NoWait = False,
) -> object:
    """Deploy models as a web service, and wait until it is healthy. A model of a known framework needs no entry script.

    When it fails, the message names the phase, the cause, the script's traceback, the end of the log and one thing to
    try.
    """
    asked = asked_of(session, target, scoring, replicas, placement).including(kind.settings())
    meant, model_ids = kind.kind(session, name, asked), models.ids()
    if profile_input is not None:
        needs = read_profile(profile_input)
        asked, model_ids = needs.fill_in(asked, meant, session), model_ids or [*needs.model_ids]
    service = Model.deploy(
        session.workspace,
        name,
        model_ids,
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
