"""Start a service's active revision, and write down the port that it got."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modelport.domain.services import Service
from modelport.usecases.context import Context


def start_active(context: Context, service: Service, bundle: Path) -> Service:
    """Start it from the bundle; the service keeps its port from then on. Raises what the target's ``start`` raises."""
    observation = context.target(service.compute_type).start(service, bundle)
    if observation.port in (None, 0, service.port):
        return service
    service = replace(service, port=observation.port)
    context.registry.update_service(service)
    return service
