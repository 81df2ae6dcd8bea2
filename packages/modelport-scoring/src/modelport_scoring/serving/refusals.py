"""Why a request is not scored, in words for its client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from modelport_scoring.http.front_ends import OVERLOADED, RETRY_AFTER, TIMED_OUT_ON_ACI, plain
from modelport_scoring.http.response import Response, limit_message, message
from modelport_scoring.service import Service
from modelport_scoring.settings.service import ErrorMode, FrontEnd, Limits
from modelport_scoring.states import ServiceState
from modelport_scoring.workers.ticket import Refusal

TIME_LIMIT = b"modelport-limit: scoring_timeout_ms\r\n"


def limit_refusal(status: int, what: str, *, limit: str) -> Callable[[Service, Limits], Response]:
    """How to render the refusal of that limit with its value of the moment."""

    def render(service: Service, limits: Limits) -> Response:
        name = service.settings.name
        if service.settings.front_end is FrontEnd.AKS:
            lines = RETRY_AFTER + b"modelport-limit: %b\r\n" % limit.encode()
            return plain(status, OVERLOADED.format(name=name), lines=lines)
        value = getattr(limits, limit)
        text = f"{OVERLOADED.format(name=name)}, {what}"
        return limit_message(status, text, limit=limit, value=value, lines=RETRY_AFTER)

    return render


def no_worker(service: Service) -> Response:
    """Why nobody takes requests."""
    text, why = f"No ready replicas for service {service.settings.name}", why_not_healthy(service)
    if service.settings.front_end is FrontEnd.AKS:
        return plain(503, text, lines=RETRY_AFTER + b"modelport-reason: %b\r\n" % why.encode())
    return message(503, f"{text}: {why}", lines=RETRY_AFTER)


def timed_out(service: Service, limits: Limits) -> Response:
    """A worker that took the request has not answered in time."""
    if service.settings.front_end is FrontEnd.ACI:
        return plain(504, TIMED_OUT_ON_ACI, lines=TIME_LIMIT)
    limit = limits.scoring_timeout_ms
    text = f"Scoring timeout after {limit} ms"
    if service.settings.front_end is FrontEnd.OWN and service.settings.error_mode is not ErrorMode.CLOUD:
        # Nothing stood before v1's container to say 504 (reference, 5.9).
        is_json = service.settings.error_mode is ErrorMode.JSON
        return message(500, text, lines=TIME_LIMIT) if is_json else plain(500, text, lines=TIME_LIMIT)
    return limit_message(504, text, limit="scoring_timeout_ms", value=limit)


def no_such_revision(service: Service) -> Response:
    """A client asked for a revision by its number."""
    text = f"There is no such revision of service {service.settings.name}"
    header = service.settings.traffic.version_header
    if header is not None:  # else clients may not choose any more since then
        text += f": {header} may be {', '.join(str(hosted.number) for hosted in service.hosting.all)}"
    return message(404, text)


def revision_down(service: Service) -> Response:
    """A client asked for a revision that did not start."""
    name = service.settings.name
    text = f"No ready replicas for the revision of service {name} that was asked for: it failed to start"
    return message(503, text, lines=RETRY_AFTER)


def why_not_healthy(service: Service) -> str:
    """One sentence for whoever asks ``/`` or ``/score`` while no worker takes requests."""
    reasons: dict[ServiceState, Any] = {
        ServiceState.STARTING: "the first worker has not finished init() yet",
        ServiceState.UNHEALTHY: why_no_worker(service),
        ServiceState.FAILED: "the entry script failed to start; the log says why",
        ServiceState.RUNNING: "the service stops, or the revision that was asked for does",
    }
    return str(reasons[service.state])


def why_no_worker(service: Service) -> str:
    """After workers were ready once, and none is now."""
    if service.hosting.stopping:
        return "the service stops"
    failure = service.hosting.default.failure
    if failure is None:
        return "the worker died and is being started again; the log says why"
    return (
        f"the worker died and cannot be started again, phase {failure.phase} failed; it is tried on, and the log says "
        "why"
    )


def refused(refusal: Refusal, service: Service, limits: Limits) -> Response:
    """``limits``: those of the revision that was to take the request."""
    by_limit = LIMIT_REFUSALS.get(refusal)
    return REFUSALS[refusal](service) if by_limit is None else by_limit(service, limits)


LIMIT_REFUSALS: dict[Refusal, Callable[[Service, Limits], Response]] = {
    Refusal.QUEUE_LENGTH: limit_refusal(503, "too many wait for a worker", limit="max_queue_length"),
    Refusal.QUEUE_BYTES: limit_refusal(503, "their bodies take too much memory", limit="max_queue_bytes"),
    Refusal.QUEUE_WAIT: limit_refusal(503, "no worker took this one in time", limit="queue_wait_ms"),
}

NO_ROOM = {
    "max_buffered_bytes": limit_refusal(
        503, "the bodies that are being received take too much memory", limit="max_buffered_bytes"
    ),
    "max_queue_bytes": LIMIT_REFUSALS[Refusal.QUEUE_BYTES],
}

REFUSALS: dict[Refusal, Callable[[Service], Response]] = {
    Refusal.NO_WORKER: no_worker,
    Refusal.NO_SUCH_REVISION: no_such_revision,
    Refusal.REVISION_DOWN: revision_down,
}
