"""Wait until a service is up, or say why it is not."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from modelport.domain.errors import ConflictException, DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import Observation
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.explain import explain, last_lines

_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.3
_REST = 3
"""How many times as long as a look took nobody looks: an API server that is asked without a rest takes the cores that
what it starts may need."""

_UNSCHEDULABLE_S = 300
"""How long a cluster is given to find room for a service (azureml-v1 reference, 1.4)."""

_COMING = (ServiceState.DEPLOYING, ServiceState.UNSCHEDULABLE)
_MAY_COME = (ServiceState.DEPLOYING, ServiceState.UNHEALTHY, ServiceState.UNSCHEDULABLE, ServiceState.RUNNING)


def observe(context: Context, name: str) -> tuple[Service, Observation]:
    """The service and how it is now.

    Where the target runs another revision than the workspace says (a program was killed between the switch and writing
    it down), the target is right, and the workspace is corrected.
    """
    service = context.service(name)
    observation = context.target(service).observe(service)
    corrected = _corrected(service, observation)
    if corrected is not service:
        _note(context, name, lambda now: _corrected(now, context.target(now).observe(now)))
    return corrected, observation


def _corrected(service: Service, observation: Observation) -> Service:
    """The service with the revision active that runs; the same object where that is so."""
    runs, kept = observation.active_revision, {revision.number for revision in service.revisions}
    if runs is None or runs == service.active_revision or runs not in kept:
        return service
    return service.activated(runs)


def _note(context: Context, name: str, change: Callable[[Service], Service]) -> None:
    """Write down what was seen of a service, into its row as it is now: another program may have changed it meanwhile.
    Whoever is changing it at this moment writes it down himself, and better."""
    with contextlib.suppress(ConflictException), exclusive(context, name):
        now = context.service(name)
        changed = change(now)
        if changed is not now:
            context.registry.update_service(changed)


def failure_now(context: Context, service: Service, observation: Observation) -> Failure | None:
    """Why the service is not well, in terms of the user's own files: what its target says now, else what is kept."""
    if observation.failure is None:
        return service.failure
    return explain(context, service.active, observation.failure)


def wait_for_deployment(
    context: Context, name: str, *, timeout_s: float | None = None, tick: Callable[[], None] = lambda: None
) -> Service:
    """Return when the service takes requests; ``tick`` is called while it does not yet.

    Raises DeploymentFailed as soon as the target knows of a failure, with the phase, the user's traceback, the end of
    the log and one thing to try; WebserviceException at the timeout (``TimedOut``), the service going on to start.
    """
    context.service(name)
    try:
        return _until_it_serves(context, name, timeout_s=timeout_s, tick=tick)
    except WebserviceException:
        if context.registry.service(name) is None:
            message = f"WebserviceNotFound: the service {name!r} was deleted while it started."
            raise WebserviceException(message) from None
        raise


def _until_it_serves(context: Context, name: str, *, timeout_s: float | None, tick: Callable[[], None]) -> Service:
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    last_scheduled = time.monotonic()
    while True:
        began = time.monotonic()
        service, observation = observe(context, name)
        took_s = time.monotonic() - began
        if observation.state is ServiceState.RUNNING and not _versions_to_come(context, service, observation):
            return _succeeded(context, service)
        waiting = {observation.state, *(seen.state for seen in observation.revisions.values())}
        if ServiceState.UNSCHEDULABLE not in waiting:
            last_scheduled = time.monotonic()
        if observation.state not in _MAY_COME or time.monotonic() - last_scheduled > _UNSCHEDULABLE_S:
            raise DeploymentFailed(_failed(context, service, observation))
        if deadline is not None and time.monotonic() > deadline:
            raise WebserviceException(
                f"TimedOut: the service {name!r} is {observation.state} after {timeout_s:g} s.",
                hint="Wait longer, or look at its log (get_logs).",
            )
        tick()
        time.sleep(min(max(_PAUSE_S, _REST * took_s), _LONGEST_PAUSE_S))


def _versions_to_come(context: Context, service: Service, observation: Observation) -> bool:
    """Whether versions of an endpoint are still being started. Raises DeploymentFailed for one that did not start."""
    for version in service.versions:
        seen = observation.revisions.get(version.revision)
        if seen is not None and seen.state is ServiceState.FAILED and seen.failure is not None:
            failure = explain(context, service.revision(version.revision), seen.failure)
            raise DeploymentFailed(replace(failure, message=f"version {version.name!r}: {failure.message}"))
    coming = [seen for seen in observation.revisions.values() if seen.state in _COMING]
    return bool(service.versions and coming)


def _succeeded(context: Context, service: Service) -> Service:
    if service.failure is None:
        return service
    failure = service.failure
    _note(context, service.name, lambda now: replace(now, failure=None) if now.failure == failure else now)
    return replace(service, failure=None)


def _failed(context: Context, service: Service, observation: Observation) -> Failure:
    log = context.target(service).logs(service, lines=50)
    failure = observation.failure or Failure(
        phase=Phase.START, message=f"The service is {observation.state}.", hint="Start it: modelport service start."
    )
    failure = explain(context, service.active, replace(failure, log=failure.log or last_lines(log)))
    active = service.active_revision
    _note(context, service.name, lambda now: replace(now, failure=failure) if now.active_revision == active else now)
    return failure
