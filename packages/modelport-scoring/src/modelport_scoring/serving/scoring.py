"""One scoring request: what its worker gets, and what the worker's result becomes on the wire."""

from __future__ import annotations

import time
from copy import copy
from typing import Self

import orjson

from modelport_scoring.access.cors import names_origin
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import TEXT_TYPE, WITHOUT_CONTENT, Response, message
from modelport_scoring.http.stream import BodyStream
from modelport_scoring.service import Service
from modelport_scoring.serving.refusals import refused, timed_out
from modelport_scoring.serving.script_answers import RUN_BAD, RUN_OK, failed, json_returned, returned, run_lines
from modelport_scoring.settings.service import ErrorMode
from modelport_scoring.telemetry.access_log import STREAMED, Access
from modelport_scoring.telemetry.trace_context import read_parent
from modelport_scoring.telemetry.tracer import Trace
from modelport_scoring.traffic.shadow import CopiableTicket
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.numbers import NumberReader
from modelport_scoring.workers.ticket import Refusal
from modelport_worker.frames import ALONE, ARRAY, QUERY, RAISED, RETURNED, UNSERIALIZABLE

REPLICA_CLOSED = "Replica closed connection before replying"
EXPECTS_JSON = "Expects Content-Type to be application/json"


class Scoring(CopiableTicket):
    """One request to ``/score``."""

    __slots__ = ("_exchange", "_service", "_started", "_trace")

    posing_as: int | None = None
    """The revision that a copy's answer names, where it names one."""

    def __init__(self, exchange: Exchange, service: Service) -> None:
        CopiableTicket.__init__(self, exchange.body)  # by super() it takes twice as long, for each request
        self._exchange = exchange
        self._service = service
        self._started = time.monotonic()
        self._trace = service.telemetry.tracer.begin(exchange.head.headers) if service.telemetry.tracer else None
        exchange.work = self

    def copied_to(self, exchange: Exchange, *, posing_as: int) -> Self:
        twin = copy(self)
        twin.is_copy = twin.tied = True
        twin.posing_as = posing_as
        twin._exchange = exchange
        twin._trace = None
        exchange.work = twin
        return twin

    # --- what the client does -----------------------------------------------------------------------------------------

    def client_gone(self) -> None:
        if self.source is None:
            self.client_has_gone = True
            if self.line is not None:
                self.line.abandon(self)
                self._exchange.let_go()
        else:
            self.settled = True
            self._cancel_body()

    def client_ended(self) -> bool:
        self.client_has_ended = True
        return self.line is None and self.away is None

    def _cancel_body(self) -> None:
        assert self.source is not None
        source, self.source = self.source, None
        source.cancel(self)

    def pause(self) -> None:
        if self.source is not None:
            self.source.pause()

    def resume(self) -> None:
        if self.source is not None:
            self.source.resume()

    # --- what the pool says -------------------------------------------------------------------------------------------

    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        head = self._exchange.head
        self.payload = self._exchange.body
        self.flags = ALONE if self.alone else 0
        if head.method == b"GET" and contract.input != "raw":  # a raw script gets the body, too, if there is one
            self.payload = head.query
            self.flags |= QUERY
        elif head.method == b"OPTIONS" and contract.input != "raw":
            self._answer(Response(200))
            return False
        elif contract.input == "json":
            if not head.is_json:
                self._answer(message(415, EXPECTS_JSON))
                return False
            if numbers is not None and (read := numbers.read(self.payload)) is not None:
                self.payload = read
                self.flags |= ARRAY
        if contract.wants_request:
            hides_key = self._service.settings.auth.is_required
            described = describe_request(self._exchange, hides_key=hides_key, trace=self._trace)
            self.meta = described + b"\n" + self._exchange.order.address
        return True

    def scored(
        self, code: int, flags: int, micros: int, meta: bytes, payload: bytes | memoryview, together: int
    ) -> None:
        if flags == RETURNED and code == 200 and not meta:  # nearly always
            exchange = self._exchange
            response = Response(200, json_returned(micros) + exchange.echo() + exchange.head.lines, payload)
            exchange.answer(response)
            self._tell(response, micros, together)
            return
        if flags & (RAISED | UNSERIALIZABLE):
            response = failed(flags, bytes(payload), mode=self._service.settings.error_mode)
        else:
            response = returned(code, meta, payload)
        self._answer(response, run=run_lines(response.status, flags, micros), micros=micros, together=together)

    def stream_began(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        response = returned(code, meta, b"")
        only_head = self._exchange.head.method == b"HEAD"
        if response.status == code and code not in WITHOUT_CONTENT:
            response.stream = BodyStream(done=only_head)  # how long it would be is not known, not even of a HEAD's
        self._answer(response, run=run_lines(response.status, flags, micros), micros=micros)
        if response.stream is None or only_head or self.client_has_gone:
            self.client_gone()

    def stream_went_on(self, chunk: bytes) -> None:
        self._exchange.send(chunk)

    def stream_ended(self, *, broken: bool) -> None:
        self._exchange.end(broken=broken)

    def timed_out(self) -> None:
        if self.source is not None:
            self._cancel_body()
            self._exchange.end(broken=True)
            return
        limits = self._service.limits_of(self.revision)
        self._answer(timed_out(self._service, limits), run=RUN_BAD)

    def lost(self) -> None:
        if self.source is not None:
            self.source = None
            self._exchange.end(broken=True)
        elif self._service.settings.error_mode is ErrorMode.JSON:
            self._answer(message(502, REPLICA_CLOSED), run=RUN_BAD)
        else:
            self._answer(Response(502, lines=TEXT_TYPE, body=REPLICA_CLOSED.encode()), run=RUN_BAD)

    def refused(self, refusal: Refusal) -> None:
        self.declined = True
        self._answer(refused(refusal, self._service, self._service.limits_of(self.revision)))

    def _answer(self, response: Response, run: bytes = RUN_OK, micros: int = 0, together: int = 1) -> None:
        exchange = self._exchange
        cors = exchange.head.lines
        if cors and names_origin(response.lines):
            cors = b""
        response.lines += run + exchange.echo() + cors
        exchange.answer(response)
        self._tell(response, micros, together)

    def _tell(self, response: Response, micros: int, together: int) -> None:
        """Count the answer, and write it down where that is asked for."""
        telemetry, ended = self._service.telemetry, time.monotonic()
        if telemetry.settings.metrics:
            telemetry.scored(response.status, self.revision, self._started, self.sent_at, micros, together, ended)
        if telemetry.access_log is not None and not self.is_copy:
            telemetry.access_log.add(self._access(response, micros, ended))
        if self._trace is not None:
            self._end_trace(self._trace, response, micros, together, ended)

    def _access(self, response: Response, micros: int, ended: float) -> Access:
        head = self._exchange.head
        return Access(
            head.method,
            head.path,
            response.status,
            self._started,
            ended,
            len(response.body) if response.stream is None else STREAMED,
            self.sent_at,
            micros,
            self.revision,
            self._exchange.request_id,
            head.headers.get(b"x-ms-client-request-id", b""),
            read_parent(head.headers) if self._trace is None else self._trace,
        )

    def _end_trace(self, trace: Trace, response: Response, micros: int, together: int, ended: float) -> None:
        tracer = self._service.telemetry.tracer
        if tracer is None:  # switched off meanwhile
            return
        tracer.end(
            trace,
            status=response.status,
            started=self._started,
            sent=self.sent_at,
            micros=micros,
            ended=ended,
            method=self._exchange.head.method,
            path=self._exchange.head.path,
            revision=self.revision,
            batch=together,
        )


def describe_request(exchange: Exchange, *, hides_key: bool, trace: Trace | None) -> bytes:
    """The ``meta`` of a SCORE frame, but for the client's address. The script does not get the service's key; it always
    finds a request id; and where requests are traced, the headers by which it continues the trace."""
    head = exchange.head
    if trace is not None:
        described = describe_head(head, hides_key=hides_key, trace=trace)
    else:
        hid_key, described = head.described
        if not described or hid_key is not hides_key:
            described = describe_head(head, hides_key=hides_key)
            head.described = hides_key, described
    if head.ids is None or b"x-ms-request-id" in head.headers:
        return described
    return described + head.ids.ms_request_id(exchange.request_id)


def describe_head(head: Head, *, hides_key: bool, trace: Trace | None = None) -> bytes:
    """The part of it that is the same for every request with this head; the id of one follows."""
    headers = dict(head.headers)
    if hides_key:
        headers.pop(b"authorization", None)
    if trace is not None:
        headers[b"traceparent"] = trace.child_header
        headers.pop(b"tracestate", None)
        if trace.state:
            headers[b"tracestate"] = trace.state
    return orjson.dumps(
        {
            "method": head.method.decode("latin-1"),
            "path": head.path.decode("latin-1"),
            "query": head.query.decode("latin-1"),
            "headers": [[title_case(name), value.decode("latin-1")] for name, value in headers.items()],
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def title_case(name: bytes) -> str:
    """``x-ms-request-id`` as ``X-Ms-Request-Id``."""
    return "-".join(part.capitalize() for part in name.decode("latin-1").split("-"))
