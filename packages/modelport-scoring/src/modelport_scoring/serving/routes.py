"""The paths of a service, their methods, and who may use them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote_plus

from modelport_scoring.access.decisions import Denied
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.ids import IdTooLong, read_ids
from modelport_scoring.http.request import FOREVER, WHOLE_SERVER, Head
from modelport_scoring.http.response import JSON_TYPE, TEXT_TYPE, Response, message
from modelport_scoring.inference_protocol.paths import Target, read_target
from modelport_scoring.openapi import NoSuchDocument, normal_prefix
from modelport_scoring.service import Service
from modelport_scoring.serving.inference import Inference, as_error
from modelport_scoring.serving.refusals import NO_ROOM, no_worker, why_not_healthy
from modelport_scoring.serving.scoring import Scoring
from modelport_scoring.serving.script_answers import NOT_FAILED, RUN_OK
from modelport_scoring.settings.service import ErrorMode, Limits
from modelport_scoring.states import ServiceState
from modelport_scoring.telemetry.access_log import Access
from modelport_scoring.telemetry.trace_context import read_parent

HEALTHY = b"Healthy"

MOST_PARAMETERS = 32
MOST_CODED_BYTES = 64
"""Of a query's name and value: no version of a document takes more."""

NO_SUCH_PATH = (
    "The requested URL was not found on the server. If you entered the URL manually please check your spelling and try "
    "again."
)
NO_SUCH_METHOD = "The method is not allowed for the requested URL."
"""Werkzeug's texts, as clients of v1's server read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One path, and what may be done there."""

    methods: frozenset[bytes]
    answer: Callable[[Exchange], None]
    needs_key: bool
    name: str
    """Of those in ``telemetry.layout.ROUTES``: under which the answers are counted."""
    target: Target | None = None
    """What a path of the Open Inference Protocol names."""

    @property
    def only_reads(self) -> bool:
        """Whether OPTIONS is answered with the methods alone: no script is behind it."""
        return b"HEAD" in self.methods

    @property
    def allow_line(self) -> bytes:
        return b"allow: %b\r\n" % b", ".join(sorted(self.methods))


class Routes:
    """Everything that a service answers: below its path prefix and, for a proxy that takes the prefix off and for
    probes, without it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.known_heads = service.known_heads
        self._inference = Inference(service)
        prefix = self._prefix = normal_prefix(service.settings.path_prefix).encode()
        reading = frozenset((b"GET", b"HEAD", b"OPTIONS"))
        scoring = frozenset((b"GET", b"POST", b"OPTIONS"))
        below = {
            b"/": Route(methods=reading, answer=self._health, needs_key=False, name="/"),
            b"/score": Route(methods=scoring, answer=self._score, needs_key=True, name="/score"),
            b"/swagger.json": Route(methods=reading, answer=self._swagger, needs_key=True, name="/swagger.json"),
            b"/metrics": Route(methods=reading, answer=self._metrics, needs_key=True, name="/metrics"),
        }
        whole = Route(methods=reading | scoring, answer=self._health, needs_key=False, name="other")
        self._routes = {WHOLE_SERVER: whole, **below, **{prefix + path: route for path, route in below.items()}}

    @property
    def limits(self) -> Limits:
        return self._service.settings.limits

    @property
    def most_pipelined(self) -> int:
        # A raw script may stream: a body that waits for another request's answer would have to be kept in memory.
        return 1 if self._service.input == "raw" else self.limits.max_pipelined

    def screen(self, head: Head) -> Response | None:
        """Answer from the head alone what the body cannot change: a wrong path, method, id or key."""
        response = self._screen(head)
        if response is not None:
            request_id = b"" if head.ids is None else head.ids.request_id()
            self._note(head, response, request_id=request_id, started=time.monotonic())
        return response

    def refused(self, head: Head, response: Response) -> None:
        """The connection has refused a request by itself, or what began like one: then the head is empty."""
        if head.route is None:
            head.route = self._routes.get(head.path) or self._inference_route(head.path)
        response.lines += NOT_FAILED + self._service.cors.lines(head)
        self._note(head, response, request_id=b"", started=time.monotonic())

    def no_room(self, limit: str) -> Response:
        """What a client is told for whose body there is no room, by that limit; and a line for the log."""
        if self._service.active is not None:
            self._service.active.pool.limit_log.held(limit)
        return NO_ROOM[limit](self._service, self.limits)

    def _screen(self, head: Head) -> Response | None:
        route = head.route = self._routes.get(head.path) or self._inference_route(head.path)
        as_v1 = self._service.settings.error_mode is ErrorMode.JSON
        if route is None:
            text = NO_SUCH_PATH if as_v1 else f"There is no {head.path.decode('latin-1')} here"
            return message(404, text, lines=NOT_FAILED)
        if route.target is not None:
            return self._screen_inference(head, route, route.target)
        if head.method not in route.methods and not self._is_head_for_script(head, route):
            text = NO_SUCH_METHOD if as_v1 else f"The method {head.method.decode('latin-1')} is not allowed here"
            return message(405, text, lines=NOT_FAILED + route.allow_line)
        return self._screen_known(head, route)

    def _screen_known(self, head: Head, route: Route) -> Response | None:
        cors = self._service.cors
        head.lines = cors.lines(head)
        try:
            head.ids = read_ids(head.headers)
        except IdTooLong as error:
            return message(431, str(error), lines=RUN_OK + error.echo + head.lines)
        if cors.is_preflight(head):
            return self._screened(head, Response(200, lines=cors.preflight_lines(head)))
        if head.method == b"OPTIONS" and route.only_reads:
            return self._screened(head, Response(200, lines=route.allow_line))
        return self._check_access(head) if route.needs_key else None

    def _is_head_for_script(self, head: Head, route: Route) -> bool:
        """A raw script gets HEAD where it gets GET, as in v1's server."""
        return head.method == b"HEAD" and route.name == "/score" and self._service.input == "raw"

    def _inference_route(self, path: bytes) -> Route | None:
        target = read_target(path.removeprefix(self._prefix))
        if target is None:
            return None
        answer = partial(self._infer, target=target)
        return Route(
            methods=frozenset(target.methods), answer=answer, needs_key=target.needs_key, name="/v2", target=target
        )

    def _screen_inference(self, head: Head, route: Route, target: Target) -> Response | None:
        response = self._screen_known(head, route)
        if response is not None:
            return response if response.status == 200 else as_error(response)  # 200: a pre-flight
        refused = self._inference.screen(head, target)
        return None if refused is None else self._screened(head, refused)

    def _infer(self, exchange: Exchange, *, target: Target) -> None:
        response = self._inference.respond(exchange, target)
        if response is not None:
            self._answer(exchange, response)

    def handle(self, exchange: Exchange) -> None:
        """Answer the whole request, now or later."""
        exchange.head.route.answer(exchange)

    def memory_for(self, head: Head) -> memoryview | None:
        """Memory for the body of a request with that head, which has a length. None where it had better be anywhere."""
        if head.length is None or head.route.name != "/score":  # the others are read here
            return None
        return self._service.memory_for(head.length)

    def _check_access(self, head: Head) -> Response | None:
        decision = self._service.gate.check(head.headers.get(b"authorization"))
        if isinstance(decision, Denied):
            if self._is_plain_options(head):
                return None
            return self._screened(head, message(decision.status, decision.text, lines=decision.challenge))
        head.until = FOREVER if decision.until is None else decision.until
        return None

    def _is_plain_options(self, head: Head) -> bool:
        """A browser asks with OPTIONS before it sends a key; unless a raw script gets to see it, nothing is told."""
        return head.method == b"OPTIONS" and self._service.input not in (None, "raw")

    def _screened(self, head: Head, response: Response) -> Response:
        assert head.ids is not None
        head.ids.settle()
        response.lines += RUN_OK + head.ids.echo(head.ids.request_id()) + head.lines
        return response

    def _score(self, exchange: Exchange) -> None:
        self._service.submit(Scoring(exchange, self._service), exchange)

    def _health(self, exchange: Exchange) -> None:
        if self._service.state is ServiceState.RUNNING:
            response = Response(200, lines=TEXT_TYPE, body=HEALTHY)
        else:
            response = Response(503, lines=TEXT_TYPE, body=f"Unhealthy: {why_not_healthy(self._service)}".encode())
        self._answer(exchange, response)

    def _swagger(self, exchange: Exchange) -> None:
        service = self._service
        documents = service.active.documents(service.settings) if service.active is not None else None
        if documents is None:
            response = no_worker(service)
        else:
            try:
                response = Response(200, lines=JSON_TYPE, body=documents.get(asked_version(exchange.head.query)))
            except NoSuchDocument as error:
                response = message(404, str(error))
        self._answer(exchange, response)

    def _metrics(self, exchange: Exchange) -> None:
        telemetry = self._service.telemetry
        if telemetry.settings.metrics:
            content_type, body = telemetry.render(exchange.head.headers.get(b"accept"))
            response = Response(200, lines=b"content-type: %b\r\n" % content_type, body=body)
        else:
            response = message(404, "Metrics are switched off: telemetry.metrics is false in the service's settings")
        self._answer(exchange, response)

    def _answer(self, exchange: Exchange, response: Response) -> None:
        response.lines += RUN_OK + exchange.echo() + exchange.head.lines
        started = time.monotonic()
        exchange.answer(response)
        self._note(exchange.head, response, request_id=exchange.request_id, started=started)

    def _note(self, head: Head, response: Response, *, request_id: bytes, started: float) -> None:
        """Count an answer that no worker gave, and write it down where that is asked for."""
        telemetry = self._service.telemetry
        route = head.route.name if head.route is not None else "other"
        if telemetry.settings.metrics:
            telemetry.answered(route, response.status)
        if telemetry.access_log is not None and route != "/":
            telemetry.access_log.add(
                Access(
                    method=head.method,
                    path=head.path,
                    status=response.status,
                    started=started,
                    ended=time.monotonic(),
                    length=len(response.body),
                    request_id=request_id,
                    client_request_id=head.headers.get(b"x-ms-client-request-id", b""),
                    span=read_parent(head.headers),
                )
            )


def asked_version(query: bytes) -> str | None:
    """The first ``version`` of a query, None where it has none among its first parameters.

    A query may be as long as a head: to decode all of it would take the event loop some 20 ms.
    """
    for parameter in query.split(b"&", MOST_PARAMETERS)[:MOST_PARAMETERS]:
        name, _, value = parameter.partition(b"=")
        if len(name) <= MOST_CODED_BYTES and unquote_plus(name.decode("latin-1")) == "version":
            return unquote_plus(value[:MOST_CODED_BYTES].decode("latin-1"))
    return None
