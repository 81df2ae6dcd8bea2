"""Change a service while it runs: new models, other code, other settings."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from modelport.domain.deployments import ComputeType, Deployment, merged, with_defaults
from modelport.domain.errors import DeploymentFailed, ModelportError, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import DesiredState, Service, ServiceState
from modelport.targets.interface import Target
from modelport.usecases.change_model import merged_properties
from modelport.usecases.code_defaults import code_defaults, without_code_defaults
from modelport.usecases.context import Context
from modelport.usecases.deployment_notes import deployment_notes
from modelport.usecases.exclusive import exclusive
from modelport.usecases.explain import explain
from modelport.usecases.keys import chosen_keys
from modelport.usecases.place import move, moves, placed
from modelport.usecases.prepare_revision import RevisionSource, remove_unused_bundles
from modelport.usecases.switch_revision import given_up, new_revision, switch_to_new, switch_to_same, with_newest

_PAUSE_S = 0.02


@dataclass(frozen=True, kw_only=True)
class ServiceChange:
    """What is to change; None leaves a part as it is. ``tags`` replaces all tags, ``properties`` adds."""

    revision: RevisionSource | None = None
    deployment: Deployment | None = None
    compute_type: str | None = None
    """Another kind of service: its deployment is then all that is given, and the defaults of that kind."""
    primary_key: str | None = field(default=None, repr=False)
    secondary_key: str | None = field(default=None, repr=False)
    description: str | None = None
    tags: Mapping[str, str] | None = None
    properties: Mapping[str, str] | None = None

    @property
    def is_empty(self) -> bool:
        return all(getattr(self, part.name) is None for part in fields(self))


def update(context: Context, name: str, change: ServiceChange) -> Service:
    """Apply the change. A new revision starts beside the old one and takes over when its ``init()`` has returned.

    Raises WebserviceException where nothing is given, DeploymentFailed where the new revision does not come up: the old
    one then goes on, and no request fails.
    """
    if change.is_empty:
        raise WebserviceException("No parameters provided to update.")
    with exclusive(context, name):
        return update_held_service(context, context.service(name), change)


def update_held_service(context: Context, service: Service, change: ServiceChange) -> Service:
    """``update``, for a caller that holds the service's operation lock."""
    wanted = _with_settings(service, change)
    if wanted.compute_type != service.compute_type:
        wanted = replace(wanted, deployment=placed(context, wanted.compute_type, wanted.deployment))
    _check(context, service, wanted, change)
    if moves(service, wanted):
        return _moved(context, service, wanted, change)
    restarting = _restarting_changes(context, service, wanted)
    switched = _switched(context, service, wanted, change)
    if switched is not None:
        settings = ("compute_type", "deployment", "keys", "port")
        service, wanted = replace(switched, **{name: getattr(service, name) for name in settings}), switched
    else:
        context.registry.update_service(wanted)
    if wanted.compute_type != service.compute_type:
        for note in deployment_notes(wanted):
            context.progress.step(note)
    target = context.target(wanted)
    if change.deployment is not None:
        target.keep_certificate(service.name, change.deployment)
    if restarting:
        context.progress.step(f"Restarting {service.name!r}, as a change of {' and '.join(restarting)} needs")
        _restart(context, service, wanted)
    else:
        _configure(context, service, wanted)
    remove_unused_bundles(context)
    return wanted


def _moved(context: Context, service: Service, wanted: Service, change: ServiceChange) -> Service:
    """The service, where it is to be from now on. Its new revision comes up there only."""
    for note in deployment_notes(wanted):
        context.progress.step(note)
    if change.revision is not None:
        service, revision = new_revision(context, service, change.revision)
        wanted = replace(
            _settled(with_newest(service.activated(revision.number)), wanted),
            desired_state=DesiredState.RUNNING,
            failure=None,
        )
    try:
        wanted = move(context, service, wanted, certificate=change.deployment or Deployment())
    except DeploymentFailed as error:
        failure = explain(context, wanted.active, error.failure)
        raise given_up(context, service, wanted.active, failure) from error
    remove_unused_bundles(context)
    return wanted


def _switched(context: Context, service: Service, wanted: Service, change: ServiceChange) -> Service | None:
    """The service with another revision active, where the change brings one, or needs workers that are told something
    else; None where the workers stay."""

    def settle(switched: Service) -> Service:
        return _settled(switched, wanted)

    if change.revision is not None:
        return switch_to_new(context, service, change.revision, settle=settle)
    is_told_alike = bool(service.deployment.collects_model_data) == bool(wanted.deployment.collects_model_data)
    if is_told_alike or not context.target(service).observe(service).has_process:
        return None
    return switch_to_same(context, service, settle=settle)


def _settled(service: Service, wanted: Service) -> Service:
    """The service with the settings of ``wanted``; which revisions it has is its own."""
    own = ("revisions", "active_revision", "versions", "last_number", "desired_state", "failure")
    return replace(wanted, **{name: getattr(service, name) for name in own})


def _with_settings(service: Service, change: ServiceChange) -> Service:
    compute_type, given = service.compute_type, change.deployment or Deployment()
    present = service.deployment
    if change.revision is not None:
        present = merged(code_defaults(change.revision), without_code_defaults(service))
    deployment = merged(present, given)
    if change.compute_type not in (None, compute_type):
        compute_type = str(change.compute_type)
        of_code = Deployment() if change.revision is None else code_defaults(change.revision)
        deployment = with_defaults(merged(of_code, given), compute_type)
    return replace(
        service,
        compute_type=compute_type,
        deployment=deployment.to_keep(),
        keys=chosen_keys(
            service.keys,
            auth_enabled=deployment.auth_enabled,
            primary=change.primary_key,
            secondary=change.secondary_key,
            keeps_unasked=compute_type != ComputeType.LOCAL,
        ),
        port=deployment.port or service.port,
        description=service.description if change.description is None else change.description,
        tags=service.tags if change.tags is None else dict(change.tags),
        properties=merged_properties(service.properties, change.properties or {}),
        updated_time=dt.datetime.now(dt.UTC),
    )


def _check(context: Context, service: Service, wanted: Service, change: ServiceChange) -> None:
    """Raise what the target already knows to stop the change."""
    if change.deployment is None:
        return
    changed = replace(
        wanted.deployment,
        # Its own port is taken, by itself.
        port=None if wanted.port == service.port else wanted.port,
        ssl_cert_pem_file=change.deployment.ssl_cert_pem_file,
        ssl_key_pem_file=change.deployment.ssl_key_pem_file,
    )
    context.target(wanted).check(service.name, changed)


def _restarting_changes(context: Context, service: Service, wanted: Service) -> tuple[str, ...]:
    """Which of the changes a restart is for; none where nothing runs."""
    target = context.target(service)
    return target.restarting_changes(service, wanted) if target.observe(service).has_process else ()


def _configure(context: Context, service: Service, wanted: Service) -> None:
    """Have the new settings in force; if that fails, the old ones stay."""
    try:
        context.target(service).configure(wanted)
    except BaseException as error:  # the user's Ctrl-C too: a service that does not answer is waited for
        context.registry.update_service(service)
        if not isinstance(error, DeploymentFailed):
            raise
        failure = replace(error.failure, message=f"{error.failure.message} (it goes on with its old settings)")
        raise DeploymentFailed(failure) from error


def _restart(context: Context, service: Service, wanted: Service) -> None:
    """Stop and start with the new settings; if that fails, with the old ones again."""
    target = context.target(service)
    bundle = context.bundles / wanted.active.bundle_digest
    target.stop(service)
    failure = _start_failure(target, wanted, bundle)
    if failure is None:
        return
    target.stop(wanted)
    context.registry.update_service(service)
    target.start(service, bundle)
    raise DeploymentFailed(replace(failure, message=f"{failure.message} (it runs with its old settings again)"))


def _start_failure(target: Target, service: Service, bundle: Path) -> Failure | None:
    """Start it and wait for its workers, since a script may be one that the new settings do not suit; why that failed,
    or None."""
    try:
        observation = target.start(service, bundle)
        while observation.state is ServiceState.DEPLOYING:
            time.sleep(_PAUSE_S)
            observation = target.observe(service)
    except ModelportError as error:
        return Failure(phase=Phase.START, message=error.message, hint=error.hint)
    if observation.state is not ServiceState.FAILED:
        return None
    return observation.failure or Failure(phase=Phase.START, message="The service did not start.")
