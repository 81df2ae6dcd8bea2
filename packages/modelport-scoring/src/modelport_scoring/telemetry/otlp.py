"""Spans as OpenTelemetry knows them, sent over HTTP. Needs the extra ``modelport-scoring[tracing]``.

A span's ids were chosen when the request came, and told to the script; its times are those that were measured. So the
spans are made whole, when they are exported, instead of being started and ended.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState

from modelport_scoring.telemetry.span_export import Send
from modelport_scoring.telemetry.tracer import Described, Request, Trace
from modelport_scoring.version import __version__

PATH = "/v1/traces"
NANOSECONDS = 1_000_000_000
SCOPE = InstrumentationScope("modelport_scoring", __version__)


def make_sender(endpoint: str, *, service: Described) -> Send:
    """A function that sends spans of that service's requests there. An endpoint without a path gets the usual one."""
    url = endpoint.rstrip("/") + PATH if urlsplit(endpoint).path in ("", "/") else endpoint
    exporter = OTLPSpanExporter(endpoint=url)
    resource = Resource.create({"service.name": service.name})

    def send(requests: Sequence[Request]) -> int:
        # CLOCK_MONOTONIC to the time of day, as it is now: it may have been set since the last batch.
        offset = time.time_ns() - time.monotonic_ns()
        spans = [span for request in requests for span in make_spans(request, service, resource, offset=offset)]
        return 0 if exporter.export(spans) is SpanExportResult.SUCCESS else len(spans)

    return send


def make_spans(request: Request, service: Described, resource: Resource, *, offset: int) -> Iterator[ReadableSpan]:
    """The request's span and, where ``run()`` was called, its child's."""
    trace = request.trace
    yield ReadableSpan(
        f"{request.method.decode('latin-1')} {request.path.decode('latin-1')}",
        context=context(trace, trace.span_id),
        parent=context(trace, trace.parent_id, is_remote=True) if trace.parent_id else None,
        resource=resource,
        kind=SpanKind.SERVER,
        attributes=attributes(request, service),
        status=outcome(request),
        start_time=nanoseconds(request.started, offset),
        end_time=nanoseconds(request.ended, offset),
        instrumentation_scope=SCOPE,
    )
    if request.micros:
        yield run_span(request, resource=resource, offset=offset)


def run_span(request: Request, *, resource: Resource, offset: int) -> ReadableSpan:
    """The worker says how long ``run()`` took, not when it began: the span ends with the answer.

    Where ``run()`` was called and the answer is an error, it is what ``run()`` raised or returned.
    """
    trace = request.trace
    return ReadableSpan(
        "run()",
        context=context(trace, trace.run_id),
        parent=context(trace, trace.span_id),
        resource=resource,
        kind=SpanKind.INTERNAL,
        attributes={"modelport.revision": request.revision, "modelport.batch_size": request.batch},
        status=outcome(request),
        start_time=nanoseconds(max(request.sent, request.ended - request.micros * 1e-6), offset),
        end_time=nanoseconds(request.ended, offset),
        instrumentation_scope=SCOPE,
    )


def outcome(request: Request) -> Status:
    return Status(StatusCode.ERROR if is_error(request) else StatusCode.UNSET)


def is_error(request: Request) -> bool:
    """A client's mistake is no error of the server: semantic conventions of HTTP spans."""
    return request.status >= 500


def attributes(request: Request, service: Described) -> dict[str, str | int | float]:
    """Names follow OpenTelemetry's semantic conventions; what they do not know begins with ``modelport.``."""
    path = request.path.decode("latin-1")  # a plain one, of few: those of a service's routes
    known: dict[str, str | int | float] = {
        "http.request.method": request.method.decode("latin-1"),
        "http.response.status_code": request.status,
        "http.route": path,
        "url.path": path,
        "url.scheme": service.scheme,
        "modelport.revision": request.revision,
    }
    if is_error(request):
        known["error.type"] = str(request.status)
    if request.sent:
        known["modelport.queue_wait_ms"] = round((request.sent - request.started) * 1000, 3)
    return known


def context(trace: Trace, span_id: bytes, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(
        int(trace.trace_id, 16),
        int(span_id, 16),
        is_remote=is_remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
        trace_state=TraceState.from_header([trace.state.decode("latin-1")]) if trace.state else None,
    )


def nanoseconds(seconds: float, offset: int) -> int:
    return int(seconds * NANOSECONDS) + offset
