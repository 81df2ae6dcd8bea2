"""Where requests go, by one state of the settings, and what the router says by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from modelport_scoring.http.front_ends import OVERLOADED, RETRY_AFTER, TIMED_OUT_ON_ACI, plain
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import CLOSE, KEEP_ALIVE, Response, limit_message, message
from modelport_scoring.http.response import head as response_head
from modelport_scoring.router.metrics import CONTENT_TYPE, Metrics
from modelport_scoring.router.settings import RouterSettings
from modelport_scoring.router.upstream import Upstream
from modelport_scoring.settings.service import FrontEnd
from modelport_scoring.traffic.split import Split

READING = (b"GET", b"HEAD")


class Choice(NamedTuple):
    """Who is to answer."""

    upstream: Upstream
    instead: Upstream | None
    """Who does where that one cannot be reached: the default version, unless the client asked for this one by name."""


class InFlight(Protocol):
    """A request that is being answered."""


class Routing:
    """The settings in force, and the servers that they name: those whose address stays keep their connections."""

    def __init__(self, settings: RouterSettings, *, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        self.loop = loop
        self.metrics = metrics
        self.now = loop.time
        self.date_line: Callable[[], bytes] = lambda: b""
        self.in_flight: set[InFlight] = set()
        self.waiting = 0
        """Requests that wait for a server to accept a connection."""
        self._upstreams: dict[int, Upstream] = {}
        metrics.gauges["requests_waiting"] = lambda: self.waiting
        metrics.gauges["requests_in_flight"] = lambda: len(self.in_flight)
        self.adopt(settings)

    def adopt(self, settings: RouterSettings) -> None:
        """Route by these from now on; what is on its way is not touched."""
        self.settings = settings
        before, self._upstreams = self._upstreams, {}
        for each in settings.upstreams:
            same = before.get(each.revision)
            if same is not None and same.url == each.url:
                self._upstreams[each.revision] = before.pop(each.revision)
            else:
                self._upstreams[each.revision] = Upstream(
                    each.url, revision=each.revision, loop=self.loop, metrics=self.metrics
                )
        for gone in before.values():
            gone.close()
        self._names = {each.version.encode(): each.revision for each in settings.upstreams if each.version}
        self._version_header = (settings.traffic.version_header or "").lower().encode()
        others = [number for number in self._upstreams if number != settings.default]
        self._split = Split(settings.traffic, default=settings.default, others=others)
        prefix = "/" + settings.path_prefix.strip("/") if settings.path_prefix.strip("/") else ""
        self._health = frozenset((b"/", f"{prefix}/".encode()))

    @property
    def upstreams(self) -> Mapping[int, Upstream]:
        return self._upstreams

    @property
    def is_overloaded(self) -> bool:
        return len(self.in_flight) >= self.settings.limits.max_concurrent_requests

    @property
    def patience_s(self) -> float:
        """How long a server may take to begin with its answer, or to go on with it: it has limits of its own, which
        come first, and are told to the client in its own words."""
        limits = self.settings.limits
        return (limits.queue_wait_ms + limits.scoring_timeout_ms + limits.scoring_grace_ms) / 1000 + 5.0

    def begin(self, request: InFlight) -> None:
        self.in_flight.add(request)

    def end(self, request: InFlight) -> None:
        self.in_flight.discard(request)

    def sweep(self) -> None:
        """Called about once a second."""
        for upstream in self._upstreams.values():
            upstream.sweep()

    def own_answer(self, head: Head) -> Response | None:
        """What the router answers by itself, however much it has to do: how it is."""
        if head.path in self._health and head.method in READING:
            return Response(200, lines=b"content-type: text/html; charset=utf-8\r\n", body=b"Healthy")
        if head.path == b"/metrics" and head.method in READING:
            return Response(200, lines=b"content-type: %b\r\n" % CONTENT_TYPE, body=self.metrics.render())
        return None

    def choose(self, head: Head) -> Choice | Response:
        """The version that answers, or that there is none."""
        asked = self._split.asked(head.headers)
        if asked is not None:
            number = self._names.get(asked, self._split.find(asked))
            if number is None:
                return self._no_such_version()
            head.headers[self._version_header] = b"%d" % number  # the server knows no names
            return Choice(self._upstreams[number], None)
        number = self._split.choose(head.headers)
        upstream, default = self._upstreams[number], self._upstreams[self.settings.default]
        if number == self.settings.default:
            return Choice(default, None)
        if upstream.is_down:
            self.metrics.fallbacks[number] += 1
            return Choice(default, None)
        return Choice(upstream, default)

    def to_bytes(self, response: Response, head: Head, *, last: bool) -> list[bytes]:
        """An answer of the router's own."""
        connection = CLOSE if last else KEEP_ALIVE if head.version == "1.0" else b""
        start = response_head(response, connection=connection, date=self.date_line())
        return [start] if head.method == b"HEAD" else [start, bytes(response.body)]

    def _no_such_version(self) -> Response:
        header, name = self.settings.traffic.version_header, self.settings.name
        known = ", ".join(
            f"{each.revision} ({each.version})" if each.version else str(each.revision)
            for each in self.settings.upstreams
        )
        return message(404, f"There is no such revision of service {name}: {header} may be {known}")


def overloaded(settings: RouterSettings, limit: str = "max_concurrent_requests") -> Response:
    """There are more requests than the router is to hold."""
    text = OVERLOADED.format(name=settings.name)
    if settings.front_end is FrontEnd.AKS:
        return plain(503, text, lines=RETRY_AFTER + b"modelport-limit: %b\r\n" % limit.encode())
    return limit_message(503, text, limit=limit, value=getattr(settings.limits, limit), lines=RETRY_AFTER)


def no_replica(settings: RouterSettings) -> Response:
    """No server of the version accepts a connection."""
    text, why = f"No ready replicas for service {settings.name}", "no server of the version accepts a connection"
    if settings.front_end is FrontEnd.AKS:
        return plain(503, text, lines=RETRY_AFTER + b"modelport-reason: %b\r\n" % why.encode())
    return message(503, f"{text}: {why}", lines=RETRY_AFTER)


def closed(settings: RouterSettings) -> Response:
    """The server may have got the request, and is gone."""
    text = "Replica closed connection before replying"
    return plain(502, text) if settings.front_end is FrontEnd.AKS else message(502, text)


def timed_out(settings: RouterSettings) -> Response:
    """The server has not answered, not even that it takes too long."""
    if settings.front_end is FrontEnd.ACI:
        return plain(504, TIMED_OUT_ON_ACI, lines=b"modelport-limit: scoring_timeout_ms\r\n")
    limit = settings.limits.scoring_timeout_ms
    return limit_message(504, f"Scoring timeout after {limit} ms", limit="scoring_timeout_ms", value=limit)
