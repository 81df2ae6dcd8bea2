"""Go back to an earlier revision of a service."""

from __future__ import annotations

from modelport.domain.errors import WebserviceException
from modelport.domain.services import Revision, Service
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.switch_revision import switch_revision


def roll_back(context: Context, name: str, *, number: int | None = None) -> Service:
    """Go back to the revision before the active one, or to the kept revision ``number``, without dropping a request.

    Raises WebserviceException where there is none.
    """
    with exclusive(context, name):
        service = context.service(name)
        if service.versions:
            raise WebserviceException(
                f"The versions of the endpoint {name!r} are rolled back one by one.",
                hint="Make another version the default one: endpoint.update_version(version_name=…, is_default=True).",
            )
        revision = _earlier(service, number)
        return switch_revision(context, service, revision, context.bundles / revision.bundle_digest)


def _earlier(service: Service, number: int | None) -> Revision:
    kept = [revision.number for revision in service.revisions]
    candidates = [known for known in kept if known < service.active_revision] if number is None else [number]
    if not candidates or max(candidates) not in kept:
        raise WebserviceException(
            f"The service {service.name!r} has no revision {number}."
            if number
            else f"The service {service.name!r} has no revision before {service.active_revision}.",
            hint=f"It keeps the revisions {', '.join(map(str, kept))}.",
        )
    return service.revision(max(candidates))
