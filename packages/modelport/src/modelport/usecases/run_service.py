"""Start, stop and delete services, and bring back what should run."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

from modelport.bundles import verify_bundle
from modelport.domain.errors import ModelportError, StoreException, WebserviceException
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
            bundle = _verified(context, service)
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


def restart(context: Context, name: str) -> Service:
    """Stop the service and start it again as it is, by this version of Modelport; connections are refused meanwhile.

    The bundle is verified first. Raises StoreException that names a damaged file, and WebserviceException where the
    service is stopped.
    """
    with exclusive(context, name):
        service = context.service(name)
        if service.desired_state is DesiredState.STOPPED:
            raise WebserviceException(
                f"The service {name!r} is stopped.", hint=f"Start it: modelport service start -n {name}"
            )
        bundle = _verified(context, service)
        context.target(service).stop(service)
        return start_active(context, service, bundle)


def _verified(context: Context, service: Service) -> Path:
    """The bundle of the active revision, after a look at those of all that are to run."""
    bundle = context.bundles / service.active.bundle_digest
    for each in (bundle, *bundles_beside(context, service).values()):
        verify_bundle(each)
    return bundle


def delete(context: Context, name: str, *, force: bool = False) -> tuple[str, ...]:
    """Stop the service and remove it with its logs. Raises WebserviceException where there is none.

    With ``force``, also where its target refuses or does not answer. Returns what may be left there then and how to
    remove it, a sentence or a command a line.
    """
    context.service(name)  # a lock is a file by that name, which could be any path
    with exclusive(context, name):
        service = context.service(name)
        # Of a program that is killed before the row goes, no `up` shall bring the service back.
        context.registry.update_service(replace(service, desired_state=DesiredState.STOPPED))
        left = _ended(context, service, force=force)
        context.registry.delete_service(name)
    remove_unused_bundles(context)
    return left


def _ended(context: Context, service: Service, *, force: bool) -> tuple[str, ...]:
    target = context.target(service)
    try:
        target.delete(service)
    except ModelportError as error:
        if force:
            return (f"{service.name!r} could not be removed where it runs: {error.message}", *target.forget(service))
        context.registry.update_service(service)
        way_out = f"modelport service delete --force -n {service.name}"
        error.hint = f"{error.hint} Where it is gone for good: {way_out}".strip()
        raise
    return ()


def started_by_others(context: Context) -> dict[str, str]:
    """The services that run and were started by another version of Modelport, which may refuse changes; and the version
    of each. Those that cannot be read or asked are left out."""
    found: dict[str, str] = {}
    for service in context.registry.services(ServiceFilter(), unreadable={}):
        with contextlib.suppress(ModelportError):
            version = context.target(service).observe(service).started_by
            if version is not None:
                found[service.name] = version
    return found


def up(context: Context, *, restarting: bool = False) -> dict[str, ModelportError | None]:
    """Start every service that should run and does not, after a reboot for example; with ``restarting``, start those
    again that another version of Modelport started. A script that fails has a process, and is left as it is.

    One that cannot be read, asked or started does not stop the others: its error is its value, None for those that were
    started.
    """
    unreadable: dict[str, StoreException] = {}
    services = context.registry.services(ServiceFilter(), unreadable=unreadable)
    started: dict[str, ModelportError | None] = dict(unreadable)
    for service in services:
        if service.desired_state is not DesiredState.RUNNING:
            continue
        try:
            observation = context.target(service).observe(service)
            # Without a process, what failed lies outside the script, a taken port for example, and may be over.
            is_failed_script = observation.state is ServiceState.FAILED and observation.has_process
            is_down = observation.state in _DOWN and not is_failed_script
            if not is_down and not (restarting and observation.started_by):
                continue
            (start if is_down else restart)(context, service.name)
            started[service.name] = None
        except ModelportError as error:
            started[service.name] = error
    return started
