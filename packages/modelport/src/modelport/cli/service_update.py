"""``modelport service update``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import typer

from modelport.cli.command import command
from modelport.cli.inference import InferenceFlags
from modelport.cli.model_deploy import SERVICE_COLUMNS, ModelChoice
from modelport.cli.options import AddProperties, AddTags, Description, NoWait, RemoveTags, ServiceName, pairs
from modelport.cli.output import Result
from modelport.cli.scoring_flags import ScoringFlags
from modelport.cli.session import Session
from modelport.cli.target import TargetFlags
from modelport.sdk.local import LocalWebservice
from modelport.sdk.local_configuration import LocalDeploymentConfiguration


def add_to(app: typer.Typer) -> None:
    """Add the command to the group of services."""
    command(app, "update")(update)


def update(
    session: Session,
    name: ServiceName,
    models: ModelChoice,
    inference: InferenceFlags,
    target: TargetFlags,
    scoring: ScoringFlags,
    description: Description = None,
    add_tags: AddTags = None,
    remove_tags: RemoveTags = None,
    add_properties: AddProperties = None,
    no_wait: NoWait = False,
) -> object:
    """Change a service without dropping a request; what is not given stays.

    New models or code start beside the old ones and take over when init() has returned; where that fails, the old ones
    go on. All settings change while the service runs, too; where the script does not come up with them, it goes on with
    the old ones. Only another port or host, or TLS that is switched on or off, restarts it, which is said on stderr.
    """
    service = LocalWebservice(session.workspace, name)
    configuration = target.configuration(session, scoring)
    labels = configuration or LocalDeploymentConfiguration()
    service.update(
        models.ids() or None,
        deployment_config=configuration,
        inference_config=inference.configuration(session),
        description=description or labels.description,
        tags=_tags(service, {**(labels.tags or {}), **pairs(add_tags, "--add-tag")}, remove_tags or []),
        properties={**(labels.properties or {}), **pairs(add_properties, "--add-property")} or None,
    )
    if not no_wait:
        session.wait(service)
    return Result(service.serialize(), columns=SERVICE_COLUMNS)


def _tags(service: LocalWebservice, added: Mapping[str, str], removed: Sequence[str]) -> dict[str, str] | None:
    """All tags that the service is to have; None where nothing changes."""
    if not added and not removed:
        return None
    return {**{key: value for key, value in service.tags.items() if key not in removed}, **added}
