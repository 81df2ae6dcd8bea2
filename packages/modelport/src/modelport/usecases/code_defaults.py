"""The settings that go with code: what a deployment means that says nothing of them."""

from __future__ import annotations

from dataclasses import replace

from modelport.domain.deployments import Batching, Deployment, Resources
from modelport.domain.services import Service
from modelport.usecases.prepare_revision import ImageRevision, RevisionSource

BATCHING = Batching()
"""Of code that was generated for a model that predicts row by row."""


def code_defaults(request: RevisionSource) -> Deployment:
    """Batching where the code scores row by row, and the resources that its model was registered with; nothing for an
    image."""
    if isinstance(request, ImageRevision):
        return Deployment()
    asked = request.resources
    return Deployment(
        batching=BATCHING if request.inference.batches else None,
        gpu_cores=(asked and asked.gpu) or None,
        resources=None if asked is None else Resources(cpu=asked.cpu, memory_gb=asked.memory_in_gb),
    )


def without_code_defaults(service: Service) -> Deployment:
    """The service's settings; batching that was on for the sake of generated code goes with that code."""
    if service.active.inference.generated_for and service.deployment.batching == BATCHING:
        return replace(service.deployment, batching=None)
    return service.deployment
