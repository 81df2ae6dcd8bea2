"""``az ml endpoint realtime`` (azureml-v1 reference, 3.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from modelport.cli import service
from modelport.cli.azure.command import add_all, az_command
from modelport.cli.command import group
from modelport.cli.deployment import asked_for
from modelport.cli.deployment_file import without_none
from modelport.cli.inference import InferenceFlags
from modelport.cli.model_choice import ModelChoice
from modelport.cli.model_deploy import SERVICE_COLUMNS
from modelport.cli.options import (
    AddProperties,
    AddTags,
    Description,
    NoWait,
    PropertyFilters,
    RemoveTags,
    ServiceName,
    TagFilters,
    Truth,
    is_true,
    pairs,
)
from modelport.cli.output import Result
from modelport.cli.replica_flags import ReplicaFlags, said
from modelport.cli.scoring_flags import TimeoutFlags
from modelport.cli.session import Session
from modelport.cli.target import DeployConfigFile
from modelport.domain.errors import WebserviceException
from modelport.sdk.aks_endpoint import AksEndpoint

app = group("Endpoints with versions that share the requests.")
realtime = group("Endpoints that answer requests at once.")
app.add_typer(realtime, name="realtime")

VersionName = Annotated[str, typer.Option("--version-name", "--vn", help="Name of the version.")]


@dataclass(frozen=True, kw_only=True)
class VersionFlags:
    """What a version is among the others."""

    version_name: VersionName
    traffic_percentile: Annotated[
        float | None, typer.Option("--traffic-percentile", "--tp", help="Its share of the requests, in percent.")
    ] = None
    is_default: Annotated[
        Truth | None,
        typer.Option("--is-default", help="It gets the requests that no version is given.", case_sensitive=False),
    ] = None
    is_control_version_type: Annotated[
        Truth | None,
        typer.Option(
            "--is-control-version-type", "--cvt", help="The others are compared with it.", case_sensitive=False
        ),
    ] = None
    gpu_cores: Annotated[int | None, typer.Option("--gpu-cores", "--gc", help="GPUs that must be there.")] = None


@dataclass(frozen=True, kw_only=True)
class Labels:
    """What is said about a version."""

    description: Description = None
    add_tags: AddTags = None
    add_properties: AddProperties = None

    def settings(self) -> dict[str, Any]:
        """None where nothing was said."""
        return {
            "description": self.description,
            "tags": pairs(self.add_tags, "--add-tag") or None,
            "properties": pairs(self.add_properties, "--add-property") or None,
        }


def _endpoint(session: Session, name: str) -> AksEndpoint:
    found = session.service(name)
    if not isinstance(found, AksEndpoint):
        raise WebserviceException(
            f"The service {name!r} is of type {found.compute_type}, and no endpoint.",
            hint=f"It is used with: {session.program} service ...",
        )
    return found


@az_command(realtime, "create-version")
def create_version(
    session: Session,
    name: ServiceName,
    version: VersionFlags,
    models: ModelChoice,
    inference: InferenceFlags,
    file: DeployConfigFile,
    replicas: ReplicaFlags,
    timeouts: TimeoutFlags,
    labels: Labels,
    no_wait: NoWait = False,
) -> object:
    """Start one more version beside those of the endpoint, and return when it is ready."""
    endpoint = _endpoint(session, name)
    changes = _changes(session, version, file, replicas, timeouts, labels)
    _say_no_wait(session, no_wait)
    endpoint.create_version(models=models.ids(), inference_config=inference.configuration(session), **changes)
    return _shown(endpoint)


@az_command(realtime, "update-version")
def update_version(
    session: Session,
    name: ServiceName,
    version: VersionFlags,
    models: ModelChoice,
    inference: InferenceFlags,
    file: DeployConfigFile,
    replicas: ReplicaFlags,
    timeouts: TimeoutFlags,
    labels: Labels,
    no_wait: NoWait = False,
) -> object:
    """Change a version without dropping a request; what is not given stays."""
    endpoint = _endpoint(session, name)
    changes = _changes(session, version, file, replicas, timeouts, labels)
    if "tags" in changes and version.version_name in endpoint.versions:
        changes["tags"] = {**endpoint.versions[version.version_name].tags, **changes["tags"]}
    _say_no_wait(session, no_wait)
    endpoint.update_version(models=models.ids() or None, inference_config=inference.configuration(session), **changes)
    return _shown(endpoint)


def _changes(
    session: Session,
    version: VersionFlags,
    file: DeployConfigFile,
    replicas: ReplicaFlags,
    timeouts: TimeoutFlags,
    labels: Labels,
) -> dict[str, Any]:
    """Arguments of ``create_version``: the flags over the file's keys, of those that a version has."""
    flags: Mapping[str, Any] = {**said(version), **said(replicas), **timeouts.timeouts(), **labels.settings()}
    asked = asked_for(session, file.deploy_config_file, flags)
    names = {*flags, *asked.labels}
    return without_none(asked.fitting(names, "version of an endpoint", session))


def _say_no_wait(session: Session, no_wait: bool) -> None:
    if no_wait:
        session.note("--no-wait has no effect: a version takes part when it is ready, and the others answer meanwhile.")


@az_command(realtime, "delete-version")
def delete_version(session: Session, name: ServiceName, version_name: VersionName, no_wait: NoWait = False) -> None:
    """End a version once it has finished what it holds."""
    _endpoint(session, name).delete_version(version_name)
    session.note(f"Deleted the version {version_name!r} of the endpoint {name!r}")


@az_command(realtime, "update")
def update(
    session: Session,
    name: ServiceName,
    auth_enabled: Annotated[
        Truth | None, typer.Option("--auth-enabled", "--ae", help="Ask for a key.", case_sensitive=False)
    ] = None,
    token_auth_enabled: Annotated[
        Truth | None, typer.Option("--token-auth-enabled", help="Ask for a token.", case_sensitive=False)
    ] = None,
    enable_app_insights: Annotated[
        Truth | None,
        typer.Option("--enable-app-insights", "--ai", help="Record each request.", case_sensitive=False),
    ] = None,
    description: Description = None,
    add_tags: AddTags = None,
    remove_tags: RemoveTags = None,
    add_properties: AddProperties = None,
    no_wait: NoWait = False,
) -> object:
    """Change what all versions of the endpoint share; what is not given stays."""
    endpoint = _endpoint(session, name)
    kept = {key: value for key, value in endpoint.tags.items() if key not in (remove_tags or ())}
    tags = {**kept, **pairs(add_tags, "--add-tag")}
    endpoint.update(
        auth_enabled=is_true(auth_enabled),
        token_auth_enabled=is_true(token_auth_enabled),
        enable_app_insights=is_true(enable_app_insights),
        description=description,
        tags=tags if add_tags or remove_tags else None,
        properties=pairs(add_properties, "--add-property") or None,
    )
    if not no_wait:
        session.wait(endpoint)
    return _shown(endpoint)


@az_command(realtime, "list")
def list_(
    session: Session,
    compute_type: Annotated[
        str | None, typer.Option("--compute-type", "-c", help="Only services of this kind: aci, aks, aksendpoint.")
    ] = None,
    model_name: Annotated[str | None, typer.Option("--model-name", help="Only those with this model.")] = None,
    model_id: Annotated[str | None, typer.Option("--model-id", help="Only those with this version.")] = None,
    tags: TagFilters = None,
    properties: PropertyFilters = None,
) -> object:
    """List the services and endpoints of the workspace."""
    return service.list_(session, compute_type, model_name, model_id, tags, properties)


add_all(
    realtime,
    {
        "show": service.show,
        "run": service.run,
        "get-logs": service.get_logs,
        "get-keys": service.get_keys,
        "regen-key": service.regen_key,
        "get-access-token": service.get_access_token,
        "delete": service.delete,
    },
)


def _shown(endpoint: AksEndpoint) -> Result:
    return Result(endpoint.serialize(), columns=SERVICE_COLUMNS)
