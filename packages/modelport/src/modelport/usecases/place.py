"""Where a service runs: decided when it is deployed, and kept in its row."""

from __future__ import annotations

import time
from dataclasses import replace

from modelport.domain.deployments import Deployment
from modelport.domain.errors import DeploymentFailed, ModelportError
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import Target
from modelport.usecases.context import Context
from modelport.usecases.start_active import bundles_beside

_PAUSE_S = 0.02


def placed(context: Context, compute_type: str, deployment: Deployment) -> Deployment:
    """The deployment with the place that it gets, and what the user should know of it told. Raises WebserviceException
    where the place that was asked for is not there."""
    found = context.targets.place(compute_type, deployment.place, aci=context.record.aci)
    for note in found.notes:
        context.progress.step(note)
    return deployment if found.placement == deployment.place else replace(deployment, placement=found.placement)


def moves(before: Service, after: Service) -> bool:
    """Whether the service would run elsewhere, or as something else."""
    old, new = before.deployment, after.deployment
    return (old.runs_on, old.place.engine, old.place.context) != (new.runs_on, new.place.engine, new.place.context)


def move(context: Context, service: Service, wanted: Service, *, certificate: Deployment) -> Service:
    """End the service where it is and start it where ``wanted`` says, with its active revision; if that fails, it runs
    where it was. It keeps its port, so that requests fail meanwhile.

    ``certificate`` names the files of the new place's certificate, where it has one. Raises DeploymentFailed.
    """
    old, new = context.target(service), context.target(wanted)
    context.progress.step(f"Moving {service.name!r}: it ends as {service.deployment.runs_on}, and starts elsewhere")
    runs = old.observe(service).has_process
    old.stop(service)
    try:
        new.keep_certificate(wanted.name, certificate)
        wanted = _started(context, new, wanted)
    except ModelportError as error:
        new.delete(wanted)
        if runs:
            old.start(service, context.bundles / service.active.bundle_digest, beside=bundles_beside(context, service))
        failure = error.failure if isinstance(error, DeploymentFailed) else _failure_of(error)
        raise DeploymentFailed(replace(failure, message=f"{failure.message} (it runs where it was)")) from error
    context.registry.update_service(wanted)
    old.delete(service)
    return wanted


def _started(context: Context, target: Target, service: Service) -> Service:
    """Start it and wait for its workers; it has the port that it got."""
    bundle = context.bundles / service.active.bundle_digest
    observation = target.start(service, bundle, beside=bundles_beside(context, service))
    while observation.state is ServiceState.DEPLOYING:
        time.sleep(_PAUSE_S)
        observation = target.observe(service)
    if observation.state is ServiceState.FAILED:
        raise DeploymentFailed(observation.failure or Failure(phase=Phase.START, message="The service did not start."))
    return replace(service, port=observation.port or service.port)


def _failure_of(error: ModelportError) -> Failure:
    return Failure(phase=Phase.START, message=error.message, hint=error.hint)
