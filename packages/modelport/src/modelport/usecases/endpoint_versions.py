"""Create, change and delete the versions of an endpoint while requests come (azureml-v1 reference, 2.10 and 7.4).

What the workspace says is written down after the target has done it, and the division of the requests last of all: a
program that is killed in between leaves a version that nobody knows, which the next operation ends.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from modelport.domain.deployments import ComputeType, Deployment, merged, with_defaults
from modelport.domain.endpoints import (
    EndpointVersion,
    VersionType,
    check_versions,
    split_deployment,
    successor,
    with_one_control,
)
from modelport.domain.errors import ConflictException, DeploymentFailed, WebserviceException
from modelport.domain.failures import Phase, in_phase
from modelport.domain.names import check_service_name
from modelport.domain.services import Revision, Service, ServiceState
from modelport.targets.interface import Observation
from modelport.usecases.change_model import merged_properties
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.prepare_revision import RevisionSource, bundles_held, prepare_revision, remove_unused_bundles
from modelport.usecases.switch_revision import kept_old, with_hosted_only
from modelport.usecases.wait import observe


@dataclass(frozen=True, kw_only=True)
class VersionChange:
    """What a version is to be; None leaves a part as it is. ``tags`` replaces all tags, ``properties`` adds."""

    revision: RevisionSource | None = None
    deployment: Deployment | None = None
    traffic_percentile: float | None = None
    is_default: bool | None = None
    is_control: bool | None = None
    description: str | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None


def create_version(context: Context, endpoint: str, name: str, change: VersionChange) -> Service:
    """Start one more version beside those of the endpoint; returns when its ``init()`` has returned.

    Raises WebserviceException for a wrong name, a seventh version or more traffic than there is; ConflictException
    where there is one of that name; DeploymentFailed where it does not come up: the others then go on alone.
    """
    with _held(context, endpoint) as service:
        if service.version(name) is not None:
            raise ConflictException(
                f"The endpoint {endpoint!r} already has a version {name!r}.",
                hint="Change it: endpoint.update_version(version_name=…), or choose another name.",
            )
        return _create(context, service, name, change)


def update_version(context: Context, endpoint: str, name: str, change: VersionChange) -> Service:
    """Change a version. Where other models, other code or other limits come, a new revision starts beside the old one
    and takes over when its ``init()`` has returned; no request fails. Replicas are added and removed as they are.

    Raises WebserviceException where there is no such version, DeploymentFailed where the new revision does not come up:
    the old one then goes on.
    """
    if change == VersionChange():
        raise WebserviceException("No parameters provided to update.")
    with _held(context, endpoint) as service:
        return _update(context, service, present_version(service, name), change)


def put_held_version(context: Context, service: Service, name: str, change: VersionChange) -> Service:
    """Create the version or, where there is one of that name, update it, for a caller that holds the endpoint's
    lock."""
    service = _reconciled(context, service)
    present = service.version(name)
    return _create(context, service, name, change) if present is None else _update(context, service, present, change)


def delete_version(context: Context, endpoint: str, name: str) -> Service:
    """End a version once it has finished what it holds. If it is the default one, the one with most traffic takes its
    place first.

    Raises WebserviceException where there is no such version, or no other one.
    """
    with _held(context, endpoint, without=name) as service:
        version = present_version(service, name)
        heir = successor(service.versions, of=name)
        if heir is None:
            raise WebserviceException(
                f"The version {name!r} is the only one of the endpoint {endpoint!r}.",
                hint="Delete the endpoint itself: endpoint.delete().",
            )
        if version.revision == service.active_revision:
            context.progress.step(f"Version {heir.name!r} becomes the default version, as {name!r} goes")
            service = _promoted(context, service, heir)
        target = context.target(service)
        if version.revision in target.observe(service).revisions:
            target.release(service, version.revision)
        return _written(context, replace(service, versions=_without(service, name)))


def new_version(name: str, number: int, deployment: Deployment, change: VersionChange) -> EndpointVersion:
    """A version as it is at first, revision ``number``. Raises WebserviceException for a name that none can have."""
    check_service_name(name)
    now = dt.datetime.now(dt.UTC)
    return EndpointVersion(
        name=name,
        revision=number,
        deployment=deployment,
        traffic_percentile=change.traffic_percentile or 0.0,
        version_type=VersionType.CONTROL if change.is_control else VersionType.TREATMENT,
        description=change.description,
        tags=dict(change.tags or {}),
        properties=dict(change.properties or {}),
        created_time=now,
        updated_time=now,
    )


# --- steps ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _held(context: Context, endpoint: str, *, without: str | None = None) -> Iterator[Service]:
    """The endpoint, while nobody else changes it; its target runs the versions that it has, but for the one that is
    about to go. Raises WebserviceException for a service that is no endpoint."""
    with exclusive(context, endpoint):
        service = context.service(endpoint)
        if ComputeType(service.compute_type) is not ComputeType.AKS_ENDPOINT:
            raise WebserviceException(f"The service {endpoint!r} is of type {service.compute_type}, and no endpoint.")
        yield _reconciled(context, service, without=without)


def _reconciled(context: Context, service: Service, *, without: str | None = None) -> Service:
    """End what a program left behind that was killed, and start what it had not started yet. Raises WebserviceException
    where the target does not answer: the endpoint may run, and would go on as before, whatever the workspace says."""
    service, observation = observe(context, service.name)
    if observation.state is ServiceState.UNKNOWN:
        raise _not_told(service, observation)
    target = context.target(service)
    if not observation.has_process:
        return service
    known = {version.revision for version in service.versions}
    for number in observation.revisions:
        if number not in known and number != service.active_revision:
            target.release(service, number)
    for version in service.versions:
        if version.revision not in observation.revisions and version.name != without:
            target.host(service, version.revision, _bundle_of(context, service, version.revision))
    return service


def _create(context: Context, service: Service, name: str, change: VersionChange) -> Service:
    if change.revision is None:
        raise WebserviceException(f"The version {name!r} is a new one: it needs an inference configuration.")
    asked = with_defaults(change.deployment or Deployment(), service.compute_type)
    version = new_version(name, service.next_number, split_deployment(asked)[1], change)
    _check(context, service, version)
    check_versions((*service.versions, version))
    service = _prepared(context, service, change.revision)
    wanted = replace(service, versions=(*service.versions, version))
    _bring_up(context, service, wanted, version)
    return _settled(context, wanted, version, change)


def _update(context: Context, service: Service, version: EndpointVersion, change: VersionChange) -> Service:
    is_default = version.revision == service.active_revision
    if change.is_default is False and is_default:
        raise WebserviceException(
            f"The version {version.name!r} is the default one, and an endpoint always has one.",
            hint="Make another version the default one: update_version(version_name=…, is_default=True).",
        )
    changed = _changed(version, change)
    is_new = change.revision is not None or not _scores_alike(version.deployment, changed.deployment)
    if is_new:
        changed = replace(changed, revision=service.next_number)
    _check(context, service, changed)
    versions = tuple(changed if other.name == version.name else other for other in service.versions)
    check_versions(versions)
    if is_new:
        service = _prepared(context, service, change.revision or service.revision(version.revision))
    wanted = replace(service, versions=versions)
    if is_default:
        wanted = replace(wanted, active_revision=changed.revision)
    if is_new:
        _bring_up(context, service, wanted, changed, replacing=version)
    elif _scale(changed) != _scale(version) and _runs(context, service):
        context.target(service).scale(wanted, changed.revision)
    return _settled(context, wanted, changed, change)


def _changed(version: EndpointVersion, change: VersionChange) -> EndpointVersion:
    """The version with what is given; which of them is the control is settled for all of them together."""
    given: dict[str, Any] = {
        "traffic_percentile": change.traffic_percentile,
        "description": change.description,
        "tags": None if change.tags is None else dict(change.tags),
    }
    return replace(
        version,
        deployment=merged(version.deployment, split_deployment(change.deployment or Deployment())[1]),
        properties=merged_properties(version.properties, change.properties or {}),
        updated_time=dt.datetime.now(dt.UTC),
        **{name: value for name, value in given.items() if value is not None},
    )


def _scores_alike(one: Deployment, other: Deployment) -> bool:
    """Whether nothing differs but the number of replicas, and what is only kept and shown."""
    nothing: dict[str, Any] = dict.fromkeys(("replicas", "autoscale", "resources", "probe", "gpu_cores"))
    return replace(one, **nothing) == replace(other, **nothing)


def _scale(version: EndpointVersion) -> tuple[object, object]:
    return version.deployment.replicas, version.deployment.autoscale


def _check(context: Context, service: Service, version: EndpointVersion) -> None:
    with in_phase(Phase.VALIDATE):
        context.target(service).check(service.name, version.deployment)


def _prepared(context: Context, service: Service, source: RevisionSource | Revision) -> Service:
    """The endpoint with one more revision, which is written down so that its models stay: a new one, or the same again
    under the next number."""
    number = service.next_number
    with bundles_held(context):
        if isinstance(source, Revision):
            revision = replace(source, number=number, created_time=dt.datetime.now(dt.UTC))
        else:
            revision, _ = prepare_revision(context, source, number=number)
        service = replace(service, revisions=(*service.revisions, revision), last_number=number)
        context.registry.update_service(service)
    return service


def _bring_up(
    context: Context,
    service: Service,
    wanted: Service,
    version: EndpointVersion,
    *,
    replacing: EndpointVersion | None = None,
) -> None:
    """Start the version's revision, where the endpoint runs; the others go on, whatever becomes of it."""
    if not _runs(context, service):
        return
    target, number = context.target(service), version.revision
    bundle = _bundle_of(context, wanted, number)
    context.progress.step(f"Starting version {version.name!r} of {service.name!r} as revision {number}")
    try:
        if replacing is None:
            target.host(wanted, number, bundle)
        else:
            target.switch(wanted, number, bundle, replacing=replacing.revision)
    except DeploymentFailed as error:
        goes_on = "what the endpoint had" if replacing is None else f"version {version.name!r} as it was"
        raise kept_old(context, service, service.revision(number), error, goes_on=goes_on) from error
    context.progress.step(f"Version {version.name!r} of {service.name!r} is ready")


def _settled(context: Context, wanted: Service, version: EndpointVersion, change: VersionChange) -> Service:
    """Which one is the control, which one the default, and who gets which requests."""
    if change.is_control:
        wanted = replace(wanted, versions=with_one_control(wanted.versions, version.name))
    elif change.is_control is False:
        treated = replace(version, version_type=VersionType.TREATMENT)
        versions = tuple(treated if other.name == version.name else other for other in wanted.versions)
        wanted = replace(wanted, versions=versions)
    if change.is_default and wanted.active_revision != version.revision:
        wanted = _promoted(context, wanted, version)
    return _written(context, wanted)


def _promoted(context: Context, service: Service, version: EndpointVersion) -> Service:
    if _runs(context, service):
        context.target(service).promote(service, version.revision)
    return replace(service, active_revision=version.revision)


def _written(context: Context, service: Service) -> Service:
    """Write the endpoint down, and divide the requests as it says."""
    service = replace(with_hosted_only(service), failure=None, updated_time=dt.datetime.now(dt.UTC))
    context.registry.update_service(service)
    if _runs(context, service):
        context.target(service).split(service)
    remove_unused_bundles(context)
    return service


def present_version(service: Service, name: str) -> EndpointVersion:
    """The version of that name. Raises WebserviceException where the endpoint has none."""
    version = service.version(name)
    if version is None:
        known = ", ".join(each.name for each in service.versions)
        raise WebserviceException(
            f"VersionNotFound: the endpoint {service.name!r} has no version {name!r}.", hint=f"It has: {known}."
        )
    return version


def _not_told(service: Service, observation: Observation) -> WebserviceException:
    failure = observation.failure
    reason, hint = ("", "") if failure is None else (f": {failure.message}", failure.hint)
    return WebserviceException(f"The endpoint {service.name!r} cannot be told of the change{reason}", hint=hint)


def _without(service: Service, name: str) -> tuple[EndpointVersion, ...]:
    return tuple(version for version in service.versions if version.name != name)


def _bundle_of(context: Context, service: Service, number: int) -> Path:
    return context.bundles / service.revision(number).bundle_digest


def _runs(context: Context, service: Service) -> bool:
    return context.target(service).observe(service).has_process
