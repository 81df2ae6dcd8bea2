"""Start, stop and delete services, and bring back what should run."""

from __future__ import annotations

from dataclasses import replace

from modelport.bundles import verify_bundle
from modelport.domain.errors import ModelportError
from modelport.domain.services import DesiredState, Service, ServiceFilter, ServiceState
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.prepare_revision import remove_unused_bundles
from modelport.usecases.start_active import bundles_beside, start_active

_DOWN = (ServiceState.STOPPED, ServiceState.UNKNOWN, ServiceState.FAILED)


def start(context: Context, name: str) -> Service:
    """Start a service that is stopped or failed; one that runs is left alone.

    The bundle is verified first. Raises StoreException that names a damaged file.
    """
    with exclusive(context, name):
        service = replace(context.service(name), desired_state=DesiredState.RUNNING)
        context.registry.update_service(service)
        target = context.target(service)
        if target.observe(service).state in _DOWN:
            bundle = context.bundles / service.active.bundle_digest
            for each in (bundle, *bundles_beside(context, service).values()):
                verify_bundle(each)
            target.stop(service)
            service = start_active(context, service, bundle)
        return service


def stop(context: Context, name: str) -> Service:
    """Let the service finish what it holds and end it; it stays in the workspace and can be started again."""
    with exclusive(context, name):
        service = replace(context.service(name), desired_state=DesiredState.STOPPED)
        context.registry.update_service(service)
        context.target(service).stop(service)
        return service


def delete(context: Context, name: str) -> None:
    """Stop the service and remove it with its logs. Raises WebserviceException where there is none."""
    with exclusive(context, name):
        service = context.service(name)
        context.target(service).delete(service)
        context.registry.delete_service(name)
    remove_unused_bundles(context)


def up(context: Context) -> dict[str, ModelportError | None]:
    """Start every service that should run and does not, after a reboot for example.

    One that cannot be started does not stop the others: its error is its value, None for those that were started.
    """
    started: dict[str, ModelportError | None] = {}
    for service in context.registry.services(ServiceFilter()):
        if service.desired_state is DesiredState.RUNNING and _is_down(context, service):
            try:
                start(context, service.name)
                started[service.name] = None
            except ModelportError as error:
                started[service.name] = error
    return started


def _is_down(context: Context, service: Service) -> bool:
    return context.target(service).observe(service).state in (ServiceState.STOPPED, ServiceState.UNKNOWN)
