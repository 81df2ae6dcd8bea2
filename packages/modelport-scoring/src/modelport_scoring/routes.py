"""The paths of a service, their methods, and who may use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from modelport_scoring.auth import refuse
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.request import Request
from modelport_scoring.http.response import JSON_TYPE, TEXT_TYPE, Response, message
from modelport_scoring.ids import IdTooLong, read_ids
from modelport_scoring.openapi import NoSuchDocument, normal_prefix
from modelport_scoring.scoring import NOT_FAILED, RUN_OK, Scoring, no_worker, why_not_healthy
from modelport_scoring.service import Service
from modelport_scoring.settings import Limits
from modelport_scoring.states import ServiceState

HEALTHY = b"Healthy"
CHALLENGE = b"www-authenticate: Bearer\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    methods: frozenset[bytes]
    answer: Callable[[Exchange], None]
    needs_key: bool

    @property
    def allow_line(self) -> bytes:
        return b"allow: %b\r\n" % b", ".join(sorted(self.methods))


class Routes:
    """Everything that a service answers, below its path prefix."""

    def __init__(self, service: Service) -> None:
        self._service = service
        prefix = normal_prefix(service.settings.path_prefix).encode()
        reading = frozenset((b"GET", b"HEAD"))
        scoring = frozenset((b"GET", b"POST", b"OPTIONS"))
        self._routes = {
            prefix + b"/": Route(methods=reading, answer=self._health, needs_key=False),
            prefix + b"/score": Route(methods=scoring, answer=self._score, needs_key=True),
            prefix + b"/swagger.json": Route(methods=reading, answer=self._swagger, needs_key=True),
        }

    @property
    def limits(self) -> Limits:
        return self._service.settings.limits

    def screen(self, request: Request) -> Response | None:
        """Answer from the head alone what the body cannot change: a wrong path, method, id or key."""
        route = self._routes.get(request.path)
        if route is None:
            return message(404, f"There is no {request.path.decode('latin-1')} here", lines=NOT_FAILED)
        if request.method not in route.methods:
            method = request.method.decode("latin-1")
            return message(405, f"The method {method} is not allowed here", lines=NOT_FAILED + route.allow_line)
        try:
            ids = request.ids = read_ids(request.headers)
        except IdTooLong as error:
            return message(431, str(error), lines=RUN_OK)
        if route.needs_key:
            reason = refuse(self._service.settings.auth, request.headers.get(b"authorization"))
            if reason is not None and not self._is_preflight(request):
                return message(401, reason, lines=CHALLENGE + RUN_OK + ids.echo)
        return None

    def handle(self, exchange: Exchange) -> None:
        """Answer the whole request, now or later."""
        self._routes[exchange.request.path].answer(exchange)

    def _is_preflight(self, request: Request) -> bool:
        """A browser asks with OPTIONS before it sends a key; unless a raw script gets to see it, nothing is told."""
        active = self._service.active
        contract = active.contract if active is not None else None
        return request.method == b"OPTIONS" and contract is not None and contract.input != "raw"

    def _score(self, exchange: Exchange) -> None:
        self._service.submit(Scoring(exchange, self._service))

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
            query = parse_qsl(exchange.request.query.decode("latin-1"), keep_blank_values=True)
            asked = next((value for name, value in query if name == "version"), None)
            try:
                response = Response(200, lines=JSON_TYPE, body=documents.get(asked))
            except NoSuchDocument as error:
                response = message(404, str(error))
        self._answer(exchange, response)

    def _answer(self, exchange: Exchange, response: Response) -> None:
        ids = exchange.request.ids
        response.lines += RUN_OK if ids is None else RUN_OK + ids.echo
        exchange.answer(response)
