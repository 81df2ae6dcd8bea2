"""One scoring request: what its worker gets, and what the worker's result becomes on the wire."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.request import Request
from modelport_scoring.http.response import JSON_TYPE, TEXT_TYPE, Response, limit_message, message
from modelport_scoring.service import Service
from modelport_scoring.settings import ErrorMode
from modelport_scoring.states import ServiceState
from modelport_scoring.version import SERVER_LINE
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.ticket import Refusal, Ticket
from modelport_worker.frames import QUERY, RAISED, RETURNED, RUN_FAILED, UNSERIALIZABLE

NOT_FAILED = b"x-ms-run-function-failed: False\r\n"
RUN_OK = NOT_FAILED + SERVER_LINE
RUN_BAD = b"x-ms-run-function-failed: True\r\n" + SERVER_LINE

SCRIPT_ERROR = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."
INTERNAL_ERROR_TEXT = b"An unexpected internal error occurred. Encountered Exception: "
REPLICA_CLOSED = "Replica closed connection before replying"
EXPECTS_JSON = "Expects Content-Type to be application/json"

OURS = frozenset(
    (
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "traceid",
        "upgrade",
        "x-ms-client-request-id",
        "x-ms-request-id",
        "x-ms-run-fn-exec-ms",
        "x-ms-run-function-failed",
        "x-ms-server-version",
        "x-request-id",
    )
)
"""Headers that belong to the server; a script that sets one is not listened to."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class Scoring(Ticket):
    """One request to ``/score``."""

    __slots__ = ("_exchange", "_service")

    def __init__(self, exchange: Exchange, service: Service) -> None:
        request = exchange.request
        is_query = request.method == b"GET"
        super().__init__(payload=request.query if is_query else request.body, flags=QUERY if is_query else 0)
        self._exchange = exchange
        self._service = service
        exchange.work = self

    def client_gone(self) -> None:
        self._service.abandon(self)

    def admit(self, contract: Contract) -> bool:
        request = self._exchange.request
        if contract.input != "raw":
            if request.method == b"OPTIONS":
                self._answer(Response(200))
                return False
            if contract.input == "json" and request.method == b"POST" and not is_json(request):
                self._answer(message(415, EXPECTS_JSON))
                return False
        if contract.wants_request:
            self.meta = describe_request(request, hides_key=self._service.settings.auth.enabled)
        return True

    def scored(self, *, code: int, flags: int, micros: int, meta: bytes, payload: bytes) -> None:
        if flags & (RAISED | UNSERIALIZABLE):
            response = failed(flags, payload, mode=self._service.settings.error_mode)
        else:
            response = returned(code, meta, payload)
        run = RUN_BAD if flags & RUN_FAILED or (response.status >= 500 and not flags & UNSERIALIZABLE) else RUN_OK
        if flags & RETURNED and not flags & UNSERIALIZABLE:
            run += b"x-ms-run-fn-exec-ms: %.3f\r\n" % (micros / 1000)
        self._answer(response, run=run)

    def lost(self) -> None:
        if self._service.settings.error_mode is ErrorMode.JSON:
            self._answer(message(502, REPLICA_CLOSED), run=RUN_BAD)
        else:
            self._answer(Response(502, lines=TEXT_TYPE, body=REPLICA_CLOSED.encode()), run=RUN_BAD)

    def refused(self, refusal: Refusal) -> None:
        self._answer(REFUSALS[refusal](self._service))

    def _answer(self, response: Response, *, run: bytes = RUN_OK) -> None:
        ids = self._exchange.request.ids
        response.lines += run if ids is None else run + ids.echo
        self._exchange.answer(response)


def is_json(request: Request) -> bool:
    """Whether the request's content type is JSON's (or one of those that end in ``+json``)."""
    content_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return content_type == b"application/json" or (
        content_type.startswith(b"application/") and content_type.endswith(b"+json")
    )


def describe_request(request: Request, *, hides_key: bool) -> bytes:
    """The ``meta`` of a SCORE frame. The script does not get the service's key; and it always finds a request id."""
    headers = dict(request.headers)
    if hides_key:
        headers.pop(b"authorization", None)
    if request.ids is not None:
        headers.setdefault(b"x-ms-request-id", request.ids.ms_request_id)
    return orjson.dumps(
        {
            "method": request.method.decode("latin-1"),
            "path": request.path.decode("latin-1"),
            "query": request.query.decode("latin-1"),
            "headers": [[title_case(name), value.decode("latin-1")] for name, value in headers.items()],
        }
    )


def title_case(name: bytes) -> str:
    """``x-ms-request-id`` as ``X-Ms-Request-Id``."""
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))


def failed(flags: int, payload: bytes, *, mode: ErrorMode) -> Response:
    """The answer where ``run`` raised, or returned what JSON cannot hold (reference, 5.9)."""
    raised = bool(flags & RAISED)
    if mode is ErrorMode.JSON:
        return message(500, SCRIPT_ERROR if raised else INTERNAL_ERROR)
    status = 502 if mode is ErrorMode.CLOUD else 500
    return Response(status, lines=TEXT_TYPE, body=payload if raised else INTERNAL_ERROR_TEXT + payload)


def returned(code: int, meta: bytes, payload: bytes) -> Response:
    """The answer with the script's own status and headers."""
    if not meta and code == 200:
        return Response(200, lines=JSON_TYPE, body=payload)
    try:
        lines = script_lines(orjson.loads(meta)) if meta else JSON_TYPE
        if not 200 <= code <= 599:
            raise ValueError(f"the status {code}")
    except (ValueError, TypeError) as error:
        return message(500, f"The scoring script answered with what HTTP cannot carry: {error}")
    return Response(code, lines=lines, body=payload)


def script_lines(headers: list[tuple[str, str]]) -> bytes:
    """Header lines. Raises ValueError for a name or a value that would break out of its line."""
    lines: list[bytes] = []
    has_type = False
    for name, value in headers:
        lower = name.lower()
        if not TOKEN.match(name):
            raise ValueError(f"the header name {name!r}")
        if FORBIDDEN_IN_VALUE.search(value):
            raise ValueError(f"the value {value!r} of the header {name}")
        has_type = has_type or lower == "content-type"
        if lower not in OURS:
            lines.append(f"{name}: {value}\r\n".encode("latin-1"))
    return b"".join(lines) if has_type else JSON_TYPE + b"".join(lines)


def limit_refusal(status: int, what: str, *, limit: str) -> Callable[[Service], Response]:
    """How to render the refusal of that limit with its value of the moment."""

    def render(service: Service) -> Response:
        text = what.format(name=service.settings.name)
        return limit_message(status, text, limit=limit, value=getattr(service.settings.limits, limit))

    return render


def no_worker(service: Service) -> Response:
    """Why nobody takes requests."""
    return message(503, f"No ready replicas for service {service.settings.name}: {why_not_healthy(service)}")


def why_not_healthy(service: Service) -> str:
    """One sentence for whoever asks ``/`` or ``/score`` while no worker takes requests."""
    reasons: dict[ServiceState, Any] = {
        ServiceState.STARTING: "the first worker has not finished init() yet",
        ServiceState.UNHEALTHY: why_no_worker(service),
        ServiceState.FAILED: "the entry script failed to start; the log says why",
        ServiceState.RUNNING: "the service stops",
    }
    return str(reasons[service.state])


def why_no_worker(service: Service) -> str:
    """After workers were ready once, and none is now."""
    failure = service.active.pool.failure if service.active is not None else None
    if failure is None:
        return "the worker died and is being started again; the log says why"
    return (
        f"the worker died and cannot be started again, phase {failure.phase} failed; it is tried on, and the log says "
        "why"
    )


REFUSALS: dict[Refusal, Callable[[Service], Response]] = {
    Refusal.QUEUE_LENGTH: limit_refusal(
        503, "Too many requests for service {name} (overloaded), too many wait for a worker", limit="max_queue_length"
    ),
    Refusal.QUEUE_BYTES: limit_refusal(
        503,
        "Too many requests for service {name} (overloaded), their bodies take too much memory",
        limit="max_queue_bytes",
    ),
    Refusal.QUEUE_WAIT: limit_refusal(
        503,
        "Too many requests for service {name} (overloaded), no worker took this one in time",
        limit="queue_wait_ms",
    ),
    Refusal.NO_WORKER: no_worker,
}
