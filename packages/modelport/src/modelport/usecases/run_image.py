"""Have an image score one request, without a service in the workspace."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from modelport.domain.errors import WebserviceException
from modelport.domain.images import Image
from modelport.domain.progress import Silent
from modelport.domain.services import DesiredState, LocalDeployment, Revision, Service
from modelport.storage.memory import MemoryStore
from modelport.targets.memory import OneTarget
from modelport.usecases.context import Context
from modelport.usecases.prepare_revision import bundles_held, revision_of_image
from modelport.usecases.score import score
from modelport.usecases.start_active import start_active
from modelport.usecases.wait import wait_for_deployment

_TARGET = "Local"


def run_image(context: Context, image: Image, body: str | bytes) -> Any:
    """Serve the image on this machine for as long as one request takes; returns what ``score`` returns.

    Raises WebserviceException where the image was not created, DeploymentFailed where its script does not come up, and
    what ``score`` raises.
    """
    if image.content.built is None:
        raise WebserviceException(f"The image {image.id} cannot be run: it is in state {image.content.state}.")
    with bundles_held(context), context.target_of(_TARGET, LocalDeployment()).briefly() as target:
        revision, bundle = revision_of_image(context, image, number=1)
        service = _service(image, revision)
        # A registry of its own: the service is nobody else's business.
        registry = MemoryStore(workspace=context.record.name)
        registry.create_workspace(context.record)
        registry.create_service(service)
        here = replace(context, registry=registry, targets=OneTarget(target), progress=Silent())
        try:
            start_active(here, service, bundle)
            wait_for_deployment(here, service.name)
            return score(here, service.name, body)
        finally:
            target.delete(service)


def _service(image: Image, revision: Revision) -> Service:
    now = dt.datetime.now(dt.UTC)
    return Service(
        name=image.name,
        compute_type=_TARGET,
        deployment=LocalDeployment(),
        desired_state=DesiredState.RUNNING,
        revisions=(replace(revision, model_ids=()),),  # that registry has no models
        active_revision=revision.number,
        last_number=revision.number,
        created_time=now,
        updated_time=now,
    )
