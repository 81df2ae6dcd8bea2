"""Change a service while it runs: new models, other code, other settings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

from modelport.domain.errors import WebserviceException
from modelport.domain.services import LocalDeployment, Service
from modelport.usecases.change_model import merged_properties
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.keys import chosen_keys
from modelport.usecases.prepare_revision import RevisionRequest, remove_unused_bundles
from modelport.usecases.switch_revision import switch_to_new

_RESTARTING = ("port", "host", "workers")
"""Settings that a running scoring server cannot take over."""


@dataclass(frozen=True, kw_only=True)
class ServiceChange:
    """What is to change; None leaves a part as it is. ``tags`` replaces all tags, ``properties`` adds."""

    revision: RevisionRequest | None = None
    deployment: LocalDeployment | None = None
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
    service = _with_settings(service, change)
    restart = change.deployment is not None and _needs_restart(context, service)
    if change.revision is not None:
        service = switch_to_new(context, service, change.revision, restart=restart)
    else:
        context.registry.update_service(service)
    if not restart:
        context.target(service.compute_type).configure(service)
    elif change.revision is None:
        _restart(context, service)
    remove_unused_bundles(context)
    return service


def _with_settings(service: Service, change: ServiceChange) -> Service:
    deployment = _merged(service.deployment, change.deployment)
    return replace(
        service,
        deployment=deployment,
        keys=chosen_keys(
            service.keys,
            auth_enabled=deployment.auth_enabled,
            primary=change.primary_key,
            secondary=change.secondary_key,
        ),
        port=deployment.port or service.port,
        description=service.description if change.description is None else change.description,
        tags=service.tags if change.tags is None else dict(change.tags),
        properties=merged_properties(service.properties, change.properties or {}),
        updated_time=dt.datetime.now(dt.UTC),
    )


def _merged(present: LocalDeployment, given: LocalDeployment | None) -> LocalDeployment:
    if given is None:
        return present
    values = {part.name: getattr(given, part.name) for part in fields(given)}
    asked = {name: value for name, value in values.items() if value is not None and value != {}}
    return replace(present, **asked)


def _needs_restart(context: Context, service: Service) -> bool:
    before = context.service(service.name)
    if service.deployment.port not in (None, before.port):
        context.target(service.compute_type).check(service.name, service.deployment)
        return True
    return any(getattr(before.deployment, name) != getattr(service.deployment, name) for name in _RESTARTING[1:])


def _restart(context: Context, service: Service) -> None:
    target = context.target(service.compute_type)
    target.stop(service)
    target.start(service, context.bundles / service.active.bundle_digest)
