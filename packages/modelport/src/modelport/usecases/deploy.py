"""Deploy models as a web service."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelport.domain.deployments import ComputeType, Deployment, Placement, merged, with_defaults
from modelport.domain.endpoints import split_deployment
from modelport.domain.errors import ConflictException, ModelportError, WebserviceException
from modelport.domain.failures import Phase, in_phase
from modelport.domain.models import ModelVersion
from modelport.domain.names import check_service_name
from modelport.domain.services import DesiredState, Keys, Revision, Service
from modelport.usecases.code_defaults import code_defaults
from modelport.usecases.context import Context
from modelport.usecases.deployment_notes import deployment_notes
from modelport.usecases.endpoint_versions import VersionChange, new_version, put_held_version
from modelport.usecases.exclusive import exclusive
from modelport.usecases.keys import chosen_keys
from modelport.usecases.place import placed
from modelport.usecases.prepare_revision import RevisionSource, bundles_held, prepare_revision, remove_unused_bundles
from modelport.usecases.register_model import current_user
from modelport.usecases.start_active import start_active
from modelport.usecases.update import ServiceChange, update_held_service

_MOST_MODELS = 1000
"""Models of one deployment (azureml-v1 reference, 1.4)."""


@dataclass(frozen=True, kw_only=True)
class DeployRequest:
    """A service to be: its name, what it runs, where and how."""

    name: str
    compute_type: str
    revision: RevisionSource
    deployment: Deployment = field(default_factory=Deployment)
    primary_key: str | None = None
    secondary_key: str | None = None
    description: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    version_name: str | None = None
    """Of an endpoint's first version, or of the one to overwrite; None: it is named as the endpoint is."""
    traffic_percentile: float | None = None
    overwrite: bool = False


def deploy(context: Context, request: DeployRequest) -> Service:
    """Check, resolve, build, start; returns when the service is on its way up (see ``wait_for_deployment``).

    With ``overwrite`` a service of that name is updated, without dropping a request. Raises ConflictException where the
    name is taken, and what the target's ``check`` and ``prepare_revision`` raise, before anything is started.
    """
    check_service_name(request.name)
    check_models(request.revision.models)
    with exclusive(context, request.name):
        present = context.registry.service(request.name)
        if present is not None:
            return _overwrite(context, request, present)
        with in_phase(Phase.VALIDATE):
            request = replace(request, deployment=placed(context, request.compute_type, _whole(context, request)))
            context.target_of(request.compute_type, request.deployment).check(request.name, request.deployment)
        with bundles_held(context):
            revision, bundle = prepare_revision(context, request.revision, number=1)
            service = _new_service(request, revision)
            context.registry.create_service(service)
        return _started(context, service, bundle, deployment=request.deployment)


def _whole(context: Context, request: DeployRequest) -> Deployment:
    """With the defaults of its code and its kind of service; a container instance is where the workspace is, unless it
    says so."""
    asked = merged(code_defaults(request.revision), request.deployment)
    deployment = with_defaults(asked, request.compute_type)
    if request.compute_type != ComputeType.ACI:
        return deployment
    return merged(Deployment(placement=Placement(location=context.record.location)), deployment)


def _started(context: Context, service: Service, bundle: Path, *, deployment: Deployment) -> Service:
    """Start it; if that is refused or interrupted, nothing of it stays, or what may stay is told."""
    context.progress.step(f"Starting the service {service.name!r}")
    for note in deployment_notes(service):
        context.progress.step(note)
    target = context.target(service)
    try:
        with in_phase(Phase.START):
            target.keep_certificate(service.name, deployment)
            service = start_active(context, service, bundle)
    except BaseException:
        try:
            target.delete(service)
        except ModelportError as error:  # the reason above is the one that counts
            context.progress.step(f"{service.name!r} could not be removed where it was started: {error.message}")
            for line in target.forget(service):
                context.progress.step(line)
        context.registry.delete_service(service.name)
        remove_unused_bundles(context)
        raise
    return service


def check_models(models: Sequence[ModelVersion]) -> None:
    """Raise WebserviceException for more models than a deployment can have, or one that was given twice."""
    if len(models) > _MOST_MODELS:
        raise WebserviceException(f"A deployment can have {_MOST_MODELS} models at most; {len(models)} were given.")
    if len({model.id for model in models}) < len(models):
        raise WebserviceException("A model was given twice: " + ", ".join(model.id for model in models))


def _overwrite(context: Context, request: DeployRequest, present: Service) -> Service:
    if not request.overwrite:
        raise ConflictException(
            f"Service {request.name} already exists (ServiceExists).",
            hint="Use overwrite=True (--overwrite) to update it, delete it first, or choose another name.",
        )
    if ComputeType.AKS_ENDPOINT in (present.compute_type, request.compute_type):
        return _overwrite_version(context, request, present)
    if present.compute_type != request.compute_type:
        context.progress.step(
            f"The {present.compute_type} service {present.name!r} becomes one of type {request.compute_type}: in a "
            f"workspace a name is one service. What it ran is kept as its revision {present.active_revision}, its "
            "settings are not; to keep both, deploy under another name"
        )
    change = ServiceChange(
        revision=request.revision,
        deployment=request.deployment,
        compute_type=request.compute_type,
        primary_key=request.primary_key,
        secondary_key=request.secondary_key,
        description=request.description,
        tags=request.tags or None,
        properties=request.properties or None,
    )
    return update_held_service(context, present, change)


def _overwrite_version(context: Context, request: DeployRequest, present: Service) -> Service:
    """Update the version of an endpoint, or add it. Raises ConflictException where one of them is no endpoint."""
    if present.compute_type != request.compute_type:
        raise ConflictException(
            f"Service {request.name} already exists (ServiceExists), and is of type {present.compute_type}, not "
            f"{request.compute_type}.",
            hint="Delete it first, or choose another name.",
        )
    change = VersionChange(
        revision=request.revision,
        deployment=request.deployment,
        traffic_percentile=request.traffic_percentile,
        description=request.description,
        tags=request.tags or None,
        properties=request.properties or None,
    )
    return put_held_version(context, present, request.version_name or request.name, change)


def _new_service(request: DeployRequest, revision: Revision) -> Service:
    now = dt.datetime.now(dt.UTC)
    service = Service(
        name=request.name,
        compute_type=request.compute_type,
        deployment=request.deployment.to_keep(),
        desired_state=DesiredState.RUNNING,
        revisions=(revision,),
        active_revision=revision.number,
        last_number=revision.number,
        created_time=now,
        updated_time=now,
        port=request.deployment.port,
        keys=_keys(request),
        description=request.description,
        tags=dict(request.tags),
        properties=dict(request.properties),
        created_by=current_user(),
    )
    return _as_endpoint(service, request) if request.compute_type == ComputeType.AKS_ENDPOINT else service


def _as_endpoint(service: Service, request: DeployRequest) -> Service:
    """With its first version, which is the default one and the control."""
    of_endpoint, of_version = split_deployment(service.deployment)
    version = new_version(
        request.version_name or request.name,
        service.active_revision,
        of_version,
        VersionChange(
            traffic_percentile=request.traffic_percentile,
            description=request.description,
            tags=request.tags,
            properties=request.properties,
            is_control=True,
        ),
    )
    return replace(service, deployment=of_endpoint, versions=(version,))


def _keys(request: DeployRequest) -> Keys | None:
    return chosen_keys(
        None,
        auth_enabled=request.deployment.auth_enabled,
        primary=request.primary_key,
        secondary=request.secondary_key,
        keeps_unasked=request.compute_type != ComputeType.LOCAL,
    )
