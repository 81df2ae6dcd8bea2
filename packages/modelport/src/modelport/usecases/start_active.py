"""Start a service's active revision, and write down the port that it got."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from modelport.domain.services import Service
from modelport.usecases.context import Context


def start_active(context: Context, service: Service, bundle: Path) -> Service:
    """Start it from the bundle, and the other versions of an endpoint beside it; the service keeps its port from then
    on. Raises what the target's ``start`` raises."""
    beside = bundles_beside(context, service)
    observation = context.target(service).start(service, bundle, beside=beside)
    if observation.port in (None, 0, service.port):
        return service
    service = replace(service, port=observation.port)
    context.registry.update_service(service)
    return service


def bundles_beside(context: Context, service: Service) -> Mapping[int, Path]:
    """The bundles of the other versions of an endpoint by their revisions; of other services, none."""
    numbers = [version.revision for version in service.versions if version.revision != service.active_revision]
    return {number: context.bundles / service.revision(number).bundle_digest for number in numbers}
