"""``modelport service update``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from modelport.cli.command import command
from modelport.cli.deployment_file import without_none
from modelport.cli.inference import InferenceFlags
from modelport.cli.model_choice import ModelChoice
from modelport.cli.options import AddProperties, AddTags, Description, NoWait, RemoveTags, ServiceName, pairs
from modelport.cli.replica_flags import PlacementFlags, ReplicaFlags
from modelport.cli.scoring_flags import ScoringFlags
from modelport.cli.service_report import changed
from modelport.cli.session import Session
from modelport.cli.target import TargetFlags, asked_of
from modelport.domain.errors import UserErrorException
from modelport.sdk.webservice import Webservice


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
    replicas: ReplicaFlags,
    placement: PlacementFlags,
    description: Description = None,
    add_tags: AddTags = None,
    remove_tags: RemoveTags = None,
    add_properties: AddProperties = None,
    no_wait: NoWait = False,
) -> object:
    """Change a service without dropping a request; what is not given stays.

    New models or code start beside the old ones and take over when init() has returned; where that fails, the old ones
    go on. All settings change while the service runs, too; where the script does not come up with them, it goes on with
    the old ones. Only another port, host or number of server processes, or TLS that is switched on or off, restarts it,
    which is said on stderr.
    """
    service = session.service(name)
    asked = asked_of(session, target, scoring, replicas, placement)
    labels = asked.labels
    changes = {
        "models": models.ids() or None,
        "inference_config": inference.configuration(session),
        "description": description or labels.get("description"),
        "tags": _tags(service, {**labels.get("tags", {}), **pairs(add_tags, "--add-tag")}, remove_tags or []),
        "properties": {**labels.get("properties", {}), **pairs(add_properties, "--add-property")} or None,
        **asked.changes(service, session),
    }
    _update(service, without_none(changes))
    if not no_wait:
        session.wait(service)
    return changed(service)


def _update(service: Webservice, changes: Mapping[str, Any]) -> None:
    """Raises UserErrorException for models or code of an endpoint: they are those of its versions."""
    taken = inspect.signature(type(service).update).parameters
    if any(name not in taken for name in changes):
        raise UserErrorException(
            f"The service {service.name!r} is an endpoint: models and code belong to its versions.",
            hint=f"az-ml endpoint realtime update-version -n {service.name} --version-name NAME ...",
        )
    service.update(**changes)


def _tags(service: Webservice, added: Mapping[str, str], removed: Sequence[str]) -> dict[str, str] | None:
    """All tags that the service is to have; None where nothing changes."""
    if not added and not removed:
        return None
    return {**{key: value for key, value in service.tags.items() if key not in removed}, **added}
