"""Hand a service's requests from one revision to another."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from modelport.domain.errors import DeploymentFailed, ModelportError
from modelport.domain.failures import Failure
from modelport.domain.services import DesiredState, Revision, Service
from modelport.usecases.context import Context
from modelport.usecases.explain import explain
from modelport.usecases.prepare_revision import RevisionSource, bundles_held, prepare_revision
from modelport.usecases.start_active import start_active

KEPT_REVISIONS = 5
"""How many revisions a service keeps for a roll-back, the active one among them."""


Settle = Callable[[Service], Service]
"""Gives a service the settings that come with a new revision."""


def _as_it_is(service: Service) -> Service:
    return service


def switch_to_new(
    context: Context, service: Service, request: RevisionSource, *, settle: Settle = _as_it_is
) -> Service:
    """Prepare the next revision and switch to it. The caller holds the service's operation lock.

    Raises what ``prepare_revision`` and ``switch_revision`` raise.
    """
    service, revision = new_revision(context, service, request)
    return switch_revision(context, service, revision, context.bundles / revision.bundle_digest, settle=settle)


def new_revision(context: Context, service: Service, request: RevisionSource) -> tuple[Service, Revision]:
    """Prepare the service's next revision, and write down that it has it. Raises what ``prepare_revision`` raises."""
    with bundles_held(context):
        revision, _bundle = prepare_revision(context, request, number=service.next_number)
        service = replace(service, revisions=(*service.revisions, revision), last_number=revision.number)
        context.registry.update_service(service)
    return service, revision


def switch_to_same(context: Context, service: Service, *, settle: Settle) -> Service:
    """Switch to what runs already, under the next number: what workers are told of the service comes with a revision.
    The caller holds the service's operation lock. Raises what ``switch_revision`` raises."""
    active = service.active
    revision = replace(active, number=service.next_number, created_time=dt.datetime.now(dt.UTC))
    service = replace(service, revisions=(*service.revisions, revision), last_number=revision.number)
    context.registry.update_service(service)
    return switch_revision(context, service, revision, context.bundles / active.bundle_digest, settle=settle)


def switch_revision(
    context: Context, service: Service, revision: Revision, bundle: Path, *, settle: Settle = _as_it_is
) -> Service:
    """Start the revision beside the active one and let it take over; a service that does not run is started with it.

    Raises DeploymentFailed where the revision does not come up: the old one then goes on, with the old settings, and no
    request fails.
    """
    target = context.target(service)
    runs = target.observe(service).has_process
    switched = replace(service.activated(revision.number), desired_state=DesiredState.RUNNING, failure=None)
    switched = settle(with_newest(switched))
    if runs:
        _switch(context, service, switched, bundle)
    switched = replace(switched, updated_time=dt.datetime.now(dt.UTC))
    context.registry.update_service(switched)
    if not runs:
        context.progress.step(f"Starting the service {service.name!r}")
        return start_active(context, switched, bundle)
    return switched


def _switch(context: Context, service: Service, switched: Service, bundle: Path) -> None:
    number, active = switched.active_revision, service.active_revision
    context.progress.step(f"Starting revision {number} of {service.name!r} beside revision {active}")
    try:
        context.target(service).switch(switched, number, bundle)
    except DeploymentFailed as error:
        raise kept_old(context, service, service.revision(number), error, goes_on=f"revision {active}") from error
    except BaseException:  # a signal that came too late, or a server that died as soon as it had done it
        with contextlib.suppress(ModelportError):
            if context.target(service).observe(service).active_revision == number:
                context.registry.update_service(switched)
        raise
    context.progress.step(f"Revision {number} of {service.name!r} has taken over")


def kept_old(
    context: Context, service: Service, revision: Revision, error: DeploymentFailed, *, goes_on: str
) -> DeploymentFailed:
    """Write down why the revision failed; what runs was not touched, as ``goes_on`` names it."""
    failure = explain(context, revision, error.failure)
    return given_up(
        context, service, revision, replace(failure, message=f"{failure.message} ({goes_on} goes on serving)")
    )


def given_up(context: Context, service: Service, revision: Revision, failure: Failure) -> DeploymentFailed:
    """Write down why the revision failed; one that was made for this attempt, and never became active, is gone."""
    is_new = revision.number == service.last_number and revision.number != service.active_revision
    revisions = tuple(kept for kept in service.revisions if not (is_new and kept is revision))
    context.registry.update_service(replace(service, revisions=revisions, failure=failure))
    return DeploymentFailed(failure)


def with_newest(service: Service) -> Service:
    """The service with its newest revisions only; the active one is always among them. Of an endpoint, with those of
    its versions."""
    if service.versions:
        return with_hosted_only(service)
    newest = sorted(service.revisions, key=lambda revision: revision.number)[-KEPT_REVISIONS:]
    if service.active not in newest:
        newest = [service.active, *newest[1:]]
    return replace(service, revisions=tuple(newest))


def with_hosted_only(service: Service) -> Service:
    """The endpoint with the revisions of its versions, and no other."""
    hosted = {version.revision for version in service.versions}
    return replace(service, revisions=tuple(kept for kept in service.revisions if kept.number in hosted))
