"""W3C trace context by its rules, and spans in a real collector."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import closing

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.trace import StatusCode

import modelport_scoring.telemetry.telemetry as telemetry_module
from modelport_scoring.settings.telemetry import TelemetrySettings, check_telemetry
from modelport_scoring.telemetry.otlp import make_spans
from modelport_scoring.telemetry.span_export import COMPLAINTS, MOST_AT_ONCE, MOST_WAITING, Send, SpanExport
from modelport_scoring.telemetry.telemetry import Telemetry
from modelport_scoring.telemetry.trace_context import Parent, is_state, read_parent
from modelport_scoring.telemetry.tracer import Described, Request, Trace, Tracer
from otlp_collector import Collector, attributes
from scoring_services import Services, wait_until

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = b"00f067aa0ba902b7"
GIVEN = b"00-%b-%b-01" % (TRACE, SPAN)

# --- traceparent ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "sampled", "random"),
    [
        (GIVEN, True, False),
        (b"00-%b-%b-00" % (TRACE, SPAN), False, False),
        (b"00-%b-%b-02" % (TRACE, SPAN), False, True),
        (b"00-%b-%b-03" % (TRACE, SPAN), True, True),
        (b"00-%b-%b-fc" % (TRACE, SPAN), False, False),
        (b"00-%b-%b-ff" % (TRACE, SPAN), True, True),
        (b"cc-%b-%b-01" % (TRACE, SPAN), True, False),
        (b"cc-%b-%b-01-what-comes" % (TRACE, SPAN), True, False),
        (b"fe-%b-%b-01-" % (TRACE, SPAN), True, False),
    ],
)
def test_a_valid_parent_is_read(header: bytes, sampled: bool, random: bool) -> None:
    assert read_parent({b"traceparent": header}) == Parent(TRACE, SPAN, sampled, b"", random)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"00",
        GIVEN.upper(),
        GIVEN + b"\n",
        GIVEN + b" ",
        b" " + GIVEN,
        GIVEN + b"-more",
        GIVEN + b"-",
        GIVEN + b"," + GIVEN,
        GIVEN + b", " + GIVEN,
        GIVEN[:-1],
        b"cc-%b-%b-01.more" % (TRACE, SPAN),
        b"cc-%b-%b-012" % (TRACE, SPAN),
        b"ff-%b-%b-01" % (TRACE, SPAN),
        b"0-%b-%b-01" % (TRACE, SPAN),
        b"00-%b-%b-01" % (b"0" * 32, SPAN),
        b"00-%b-%b-01" % (TRACE, b"0" * 16),
        b"00-%b-%b-01" % (TRACE[:-1], SPAN),
        b"00-%b-%b-01" % (TRACE[:-1] + b".", SPAN),
        b"00-%b-%b-0x" % (TRACE, SPAN),
        b"00_%b_%b_01" % (TRACE, SPAN),
    ],
)
def test_an_invalid_parent_is_ignored_with_its_state(header: bytes) -> None:
    assert read_parent({b"traceparent": header, b"tracestate": b"a=1"}) is None


@given(st.binary(max_size=80))
def test_no_header_raises(header: bytes) -> None:
    read_parent({b"traceparent": header, b"tracestate": header})
    read_parent({b"traceparent": GIVEN, b"tracestate": header})


# --- tracestate -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        b"foo=1",
        b"foo=1,bar=2",
        b"foo=1 \t , \t bar=2, \t baz=3",
        b"foo=1,",
        b"foo=1,,bar=2",
        b"t1234567890@s=x",
        b"0a@b=x",
        b"1foo=1",  # and the keys below: of the second level, as W3C's own tests ask for
        b"foo@=1,bar=2",
        b"foo@@bar=1",
        b"foo@bar@baz=1",
        b"t" * 242 + b"@v=1",
        b"t@" + b"v" * 15 + b"=1",
        b"foo=1,foo=2",
        b"foo=1,foo=1",
        b"a" * 256 + b"=1",
        b"t" * 241 + b"@" + b"v" * 14 + b"=1",
        b"foo=" + b"v" * 256,
        b"foo= inner space",
        b",".join(b"k%d=1" % number for number in range(32)),
    ],
)
def test_a_valid_state_goes_on(state: bytes) -> None:
    assert read_parent({b"traceparent": GIVEN, b"tracestate": state}) == Parent(TRACE, SPAN, True, state)


@pytest.mark.parametrize(
    "state",
    [
        b"foo",
        b"foo=",
        b"=1",
        b"foo =1",
        b"FOO=1",
        b"foo.bar=1",
        b"@foo=1",
        b"foo=bar=baz",
        b"foo=,bar=3",
        b"foo=\xc3\xa9",
        b"foo=a\x00",
        b"a" * 257 + b"=1",
        b"foo=" + b"v" * 257,
        b",".join(b"k%d=1" % number for number in range(33)),
    ],
)
def test_an_invalid_state_is_dropped_and_the_parent_kept(state: bytes) -> None:
    assert not is_state(state)
    assert read_parent({b"traceparent": GIVEN, b"tracestate": state}) == Parent(TRACE, SPAN, True, b"")


# --- what the script is told ------------------------------------------------------------------------------------------


def test_the_script_is_told_of_a_span_below_the_clients() -> None:
    trace = Tracer(sampling_ratio=0.0, export=None).begin({b"traceparent": GIVEN, b"tracestate": b"a=1"})
    told = read_parent({b"traceparent": trace.child_header, b"tracestate": trace.state})
    assert told == Parent(TRACE, trace.run_id, True, b"a=1")
    assert len({SPAN, trace.span_id, trace.run_id}) == 3


def test_a_client_that_does_not_sample_is_followed() -> None:
    trace = Tracer(sampling_ratio=1.0, export=None).begin({b"traceparent": b"00-%b-%b-00" % (TRACE, SPAN)})
    assert trace.child_header.endswith(b"-00")


@pytest.mark.parametrize("flags", [b"00", b"01", b"02", b"03"])
def test_what_the_client_says_of_its_trace_goes_on(flags: bytes) -> None:
    trace = Tracer(sampling_ratio=1.0, export=None).begin({b"traceparent": b"00-%b-%b-%b" % (TRACE, SPAN, flags)})
    assert trace.child_header.endswith(b"-" + flags)


def test_flags_that_nobody_knows_do_not_go_on() -> None:
    trace = Tracer(sampling_ratio=1.0, export=None).begin({b"traceparent": b"00-%b-%b-fc" % (TRACE, SPAN)})
    assert trace.child_header.endswith(b"-00")


def test_a_new_trace_begins_where_the_client_sends_none() -> None:
    tracer = Tracer(sampling_ratio=1.0, export=None)
    first, second = tracer.begin({}), tracer.begin({b"traceparent": b"nonsense", b"tracestate": b"a=1"})
    assert first.trace_id != second.trace_id
    assert read_parent({b"traceparent": first.child_header}) == Parent(first.trace_id, first.run_id, True, b"")
    assert second.state == b""


@pytest.mark.parametrize(("ratio", "least", "most"), [(0.0, 0, 0), (0.25, 400, 600), (1.0, 2000, 2000)])
def test_the_sampling_ratio_is_for_traces_that_begin_here(ratio: float, least: int, most: int) -> None:
    tracer = Tracer(sampling_ratio=ratio, export=None)
    assert least <= sum(tracer.begin({}).sampled for _ in range(2000)) <= most


# --- spans ------------------------------------------------------------------------------------------------------------


def traced(collector: Collector) -> Telemetry:
    settings = TelemetrySettings(tracing=True, otlp_endpoint=collector.endpoint)
    assert check_telemetry(settings) is None
    return Telemetry(settings, service=Described("diabetes", "https"))


def tracer_of(telemetry: Telemetry) -> Tracer:
    assert telemetry.tracer is not None
    return telemetry.tracer


def test_a_collector_gets_the_request_and_its_run_as_its_child() -> None:
    with Collector() as collector:
        with closing(traced(collector)) as telemetry:
            tracer = tracer_of(telemetry)
            trace = tracer.begin({b"traceparent": GIVEN, b"tracestate": b"a=1"})
            now, clock = time.monotonic(), time.time_ns()
            tracer.end(
                trace,
                status=200,
                started=now - 1.0,
                sent=now - 0.75,
                micros=500_000,
                ended=now,
                path=b"/behind/score",
                revision=3,
                batch=4,
            )
        server, run = sorted(collector.spans, key=lambda span: span.start_time_unix_nano)
    assert (collector.paths, collector.services) == (["/v1/traces"], {"diabetes"})
    assert {server.trace_id.hex(), run.trace_id.hex()} == {TRACE.decode()}
    assert (server.parent_span_id.hex(), run.parent_span_id) == (SPAN.decode(), server.span_id)
    assert b"%b-%b" % (TRACE, run.span_id.hex().encode()) in trace.child_header
    assert (server.name, server.kind, server.trace_state) == ("POST /behind/score", Span.SPAN_KIND_SERVER, "a=1")
    assert (run.name, run.kind) == ("run()", Span.SPAN_KIND_INTERNAL)
    assert server.end_time_unix_nano - server.start_time_unix_nano == pytest.approx(1e9, rel=1e-6)
    assert run.end_time_unix_nano - run.start_time_unix_nano == pytest.approx(5e8, rel=1e-6)
    assert abs(server.end_time_unix_nano - clock) < 1e9
    assert attributes(server) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/behind/score",
        "url.path": "/behind/score",
        "url.scheme": "https",
        "modelport.revision": 3,
        "modelport.queue_wait_ms": 250.0,
    }
    assert attributes(run) == {"modelport.revision": 3, "modelport.batch_size": 4}
    assert server.status.code == Status.STATUS_CODE_UNSET


def test_run_did_not_begin_before_a_worker_had_the_request() -> None:
    """It is told how long that took, which may be rounded, or be the time of all requests of a batch."""
    with Collector() as collector:
        with closing(traced(collector)) as telemetry:
            tracer = tracer_of(telemetry)
            tracer.end(tracer.begin({}), status=200, started=1.0, sent=1.5, micros=900_000, ended=2.0)
        (run,) = [span for span in collector.spans if span.name == "run()"]
    assert run.end_time_unix_nano - run.start_time_unix_nano == pytest.approx(5e8, rel=1e-6)


def test_what_fails_is_an_error_and_what_no_worker_got_has_no_child() -> None:
    with Collector() as collector:
        with closing(traced(collector)) as telemetry:
            tracer = tracer_of(telemetry)
            tracer.end(tracer.begin({}), status=503, started=1.0, sent=0.0, micros=0, ended=2.0)
        (span,) = collector.spans
    assert span.status.code == Status.STATUS_CODE_ERROR
    assert span.parent_span_id == b""
    assert "modelport.queue_wait_ms" not in attributes(span)


@pytest.mark.parametrize(("status", "is_error"), [(404, False), (499, False), (500, True), (504, True)])
def test_a_clients_mistake_is_no_error_of_the_server(status: int, is_error: bool) -> None:
    trace = Trace(TRACE, None, sampled=True, state=b"")
    request = Request(trace, b"POST", b"/score", status, 1, started=1.0, sent=1.0, micros=5, batch=1, ended=2.0)
    server, run = make_spans(request, Described("demo"), Resource.create({}), offset=0)
    assert (server.status.status_code is StatusCode.ERROR) is is_error
    assert (run.status.status_code is StatusCode.ERROR) is is_error
    assert (server.attributes or {}).get("error.type") == (str(status) if is_error else None)


def test_what_is_not_sampled_is_not_sent() -> None:
    with Collector() as collector:
        with closing(traced(collector)) as telemetry:
            tracer = tracer_of(telemetry)
            for flags in (b"00", b"01"):
                trace = tracer.begin({b"traceparent": b"00-%b-%b-%b" % (TRACE, SPAN, flags)})
                tracer.end(trace, status=200, started=1.0, sent=1.0, micros=5, ended=2.0)
        assert len(collector.spans) == 2


def test_spans_are_sent_while_the_server_runs_and_an_endpoint_with_a_path_is_taken_as_it_is() -> None:
    with Collector() as collector:
        settings = TelemetrySettings(tracing=True, otlp_endpoint=f"{collector.endpoint}/otlp/traces")
        with closing(Telemetry(settings, service=Described("demo"))) as telemetry:
            tracer = tracer_of(telemetry)
            tracer.end(tracer.begin({}), status=200, started=1.0, sent=1.0, micros=5, ended=2.0)
            wait_until(lambda: len(collector.spans) == 2, what="spans in the collector")
        assert collector.paths == ["/otlp/traces"]


def test_an_exporter_that_another_one_follows_sends_what_it_has_and_ends() -> None:
    before = exporting()
    with Collector() as collector, closing(traced(collector)) as telemetry:
        tracer = tracer_of(telemetry)
        tracer.end(tracer.begin({}), status=200, started=1.0, sent=1.0, micros=5, ended=2.0)
        telemetry.configure(msgspec.structs.replace(telemetry.settings, sampling_ratio=0.0))
        assert not tracer_of(telemetry).begin({}).sampled
        wait_until(lambda: len(collector.spans) == 2 and len(exporting() - before) == 1, what="the first one's end")


def exporting() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "span-export"}


def test_spans_that_a_collector_refuses_are_counted() -> None:
    with Collector(status=400) as collector:
        telemetry = traced(collector)
        tracer = tracer_of(telemetry)
        tracer.end(tracer.begin({}), status=200, started=1.0, sent=1.0, micros=5, ended=2.0)
        telemetry.close()
    _, body = telemetry.render(None)
    assert b"\nmodelport_spans_dropped_total 2.0\n" in body


def test_a_collector_that_hangs_costs_spans_and_neither_time_nor_memory() -> None:
    may_send = threading.Event()

    def send(requests: Sequence[Request]) -> int:
        may_send.wait()
        return 0

    def load() -> Send:
        may_send.wait()
        return send

    export = SpanExport(load)
    try:
        request = Request(
            Trace(TRACE, None, sampled=True, state=b""),
            b"POST",
            b"/score",
            200,
            1,
            started=1.0,
            sent=1.0,
            micros=5,
            batch=1,
            ended=2,
        )
        for _ in range(MOST_WAITING + 10):
            export.add(request)
        assert export.take_dropped() == 20, "two spans each"
        assert export.take_dropped() == 0
    finally:
        may_send.set()
        export.close()


def test_every_lost_span_is_counted_once_however_long_a_batch_takes() -> None:
    request = Request(Trace(TRACE, None, sampled=True, state=b""), b"POST", b"/score", 200, 1, 1.0, 1.0, 0, 1, 2.0)
    began, may_go_on = threading.Event(), threading.Event()

    def send(requests: Sequence[Request]) -> int:
        began.set()
        may_go_on.wait()
        return len(requests)

    export = SpanExport(lambda: send)
    try:
        export.add(request)
        began.wait()
        for _ in range(MOST_WAITING + 7):
            export.add(request)
        counted = export.take_dropped()
        assert counted == 7
    finally:
        may_go_on.set()
        export.close()
    assert counted + export.take_dropped() == 1 + MOST_WAITING + 7


def test_the_end_does_not_wait_for_a_collector_that_hangs_and_counts_what_is_lost_once(
    capfd: pytest.CaptureFixture[str],
) -> None:
    request = Request(Trace(TRACE, None, sampled=True, state=b""), b"POST", b"/score", 200, 1, 1.0, 1.0, 5, 1, 2.0)
    began, may_go_on = threading.Event(), threading.Event()

    def send(requests: Sequence[Request]) -> int:
        began.set()
        may_go_on.wait()
        return 2 * len(requests)

    before = exporting()
    export = SpanExport(lambda: send)
    (thread,) = exporting() - before
    try:
        export.add(request)
        began.wait()
        for _ in range(MOST_AT_ONCE + 2):
            export.add(request)
        export.close(0.01)
        lost = 2 * (1 + MOST_AT_ONCE + 2)
        assert export.take_dropped() == lost, "of the batch under way, and of what waits"
    finally:
        may_go_on.set()
    thread.join()
    assert export.has_ended
    assert export.take_dropped() == 0
    assert capfd.readouterr().err.count(f"spans: {lost} of the last ones before the end could not be sent") == 1


def test_what_a_collector_refuses_at_the_end_is_told_and_what_it_takes_is_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    request = Request(Trace(TRACE, None, sampled=True, state=b""), b"POST", b"/score", 200, 1, 1.0, 1.0, 5, 1, 2.0)
    for lost in (0, 2):
        export = SpanExport(lambda lost=lost: lambda _: lost)  # type: ignore[misc]
        export.add(request)
        export.close()
        assert export.take_dropped() == lost
        assert ("spans: 2 of the last ones" in capfd.readouterr().err) is bool(lost)


def test_spans_of_an_exporter_that_was_replaced_are_counted_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry_module, "PATIENCE_S", 0.1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    before = exporting()
    with socket.create_server(("127.0.0.1", 0)) as silent, Collector(status=400) as refusing:
        settings = TelemetrySettings(tracing=True, otlp_endpoint=refusing.endpoint)
        telemetry = Telemetry(settings, service=Described("demo"))
        for endpoint in (f"http://127.0.0.1:{silent.getsockname()[1]}", None):
            tracer = tracer_of(telemetry)
            tracer.end(tracer.begin({}), status=200, started=1.0, sent=1.0, micros=5, ended=2.0)
            telemetry.configure(msgspec.structs.replace(settings, otlp_endpoint=endpoint))
        none = b"\nmodelport_spans_dropped_total 0.0\n"
        wait_until(lambda: none not in telemetry.render(None)[1], what="a refusal")
        telemetry.close()
        assert b"\nmodelport_spans_dropped_total 4.0\n" in telemetry.render(None)[1]
        for thread in exporting() - before:
            thread.join()


def test_spans_that_nothing_can_send_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    def load() -> Send:
        raise ImportError("no module that could send them")

    export = SpanExport(load)
    for micros in (5, 0):
        export.add(
            Request(Trace(TRACE, None, sampled=True, state=b""), b"POST", b"/", 200, 1, 1.0, 1.0, micros, 1, 2.0)
        )
    export.close()
    assert export.take_dropped() == 3, "two of the one and one of the other"
    assert capfd.readouterr().err.count("spans cannot be exported: ImportError: no module that could send them") == 1


def test_a_batch_that_cannot_be_sent_is_lost_and_the_next_one_is_sent(capfd: pytest.CaptureFixture[str]) -> None:
    request = Request(Trace(TRACE, None, sampled=True, state=b""), b"POST", b"/score", 200, 1, 1.0, 1.0, 5, 1, 2.0)
    sizes: list[int] = []

    def send(requests: Sequence[Request]) -> int:
        sizes.append(len(requests))
        if len(sizes) == 1:
            raise ValueError("something about the first one")
        return 0

    may_begin = threading.Event()

    def load() -> Send:
        may_begin.wait()
        return send

    export = SpanExport(load)
    for _ in range(MOST_AT_ONCE + 1):
        export.add(request)
    may_begin.set()
    export.close()
    assert sizes == [MOST_AT_ONCE, 1]
    assert export.take_dropped() == 2 * MOST_AT_ONCE
    assert capfd.readouterr().err.count("spans could not be exported: ValueError: something about the first") == 1


@pytest.mark.parametrize("headers", ["api-key SECRET", "api-key=SECRET%0Aagain"])
def test_a_key_that_is_no_header_is_not_told(
    headers: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", headers)
    monkeypatch.setattr(COMPLAINTS, "_quiet_until", {})
    with Collector() as collector, closing(traced(collector)) as telemetry:
        for ratio in (0.9, 0.8, 0.7):
            telemetry.configure(msgspec.structs.replace(telemetry.settings, sampling_ratio=ratio))
        tracer = tracer_of(telemetry)
        parent = {b"traceparent": b"00-%b-%b-01" % (TRACE, SPAN)}
        tracer.end(tracer.begin(parent), status=200, started=1.0, sent=1.0, micros=5, ended=2.0)
    said = capfd.readouterr().err
    assert "SECRET" not in said
    assert said.count("OTEL_EXPORTER_OTLP_HEADERS must hold headers as name=value") == 1


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (TelemetrySettings(sampling_ratio=1.5), "sampling_ratio"),
        (TelemetrySettings(otlp_endpoint="http://127.0.0.1:4318"), "telemetry.tracing is off"),
        (TelemetrySettings(tracing=True, otlp_endpoint="127.0.0.1:4318"), "must be an address"),
        (TelemetrySettings(tracing=True, otlp_endpoint="http://[::1"), "must be an address"),
        (TelemetrySettings(tracing=True, otlp_endpoint="http://h:99999"), "must be an address"),
        (TelemetrySettings(tracing=True, otlp_endpoint="http://me:secret@h:4318"), "OTEL_EXPORTER_OTLP_HEADERS"),
        (TelemetrySettings(tracing=True, otlp_endpoint="http://h:4318?key=secret"), "OTEL_EXPORTER_OTLP_HEADERS"),
    ],
)
def test_wrong_settings_are_named_and_no_secret_is_repeated(settings: TelemetrySettings, complaint: str) -> None:
    said = check_telemetry(settings)
    assert said is not None
    assert complaint in said
    assert "secret" not in said


WITHOUT_THE_EXTRA = """
import sys
sys.modules["opentelemetry"] = None
from modelport_scoring.settings.telemetry import TelemetrySettings, check_telemetry
print(check_telemetry(TelemetrySettings(tracing=True)))
print(check_telemetry(TelemetrySettings(tracing=True, otlp_endpoint="http://127.0.0.1:4318")))
"""


def test_without_the_extra_the_settings_name_it() -> None:
    command = [sys.executable, "-c", WITHOUT_THE_EXTRA]
    propagating, exporting = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert propagating == "None"
    assert 'pip install "modelport-scoring[tracing]"' in exporting


# --- what a script is told --------------------------------------------------------------------------------------------

TELLING = """
def init(): pass

def run(data, request_headers):
    return {name.lower(): value for name, value in request_headers.items() if name.lower().startswith("trace")}
"""


def test_a_script_continues_the_trace_that_is_exported(services: Services) -> None:
    with Collector() as collector:
        service = services.start(TELLING, telemetry={"tracing": True, "otlp_endpoint": collector.endpoint})
        told = service.score("x", headers={"traceparent": GIVEN.decode(), "tracestate": "a=1"}).json
        wait_until(lambda: len(collector.spans) == 2, what="both spans")
        server, run = sorted(collector.spans, key=lambda span: span.name)
        service.score("x")
        service.end()
        assert len(collector.spans) == 4, "those of the last moment too"
    assert (server.name, run.name) == ("POST /score", "run()")
    assert server.parent_span_id.hex().encode() == SPAN
    assert told == {"traceparent": f"00-{TRACE.decode()}-{run.span_id.hex()}-01", "tracestate": "a=1"}


def test_a_script_gets_a_trace_of_each_request_and_nothing_of_one_that_is_none(services: Services) -> None:
    service = services.start(TELLING, telemetry={"tracing": True})
    told = [service.score("x").json for _ in range(3)]
    told += [service.score("x", headers={"tracestate": "a=1"}).json]
    told += [service.score("x", headers={"traceparent": "00-1", "tracestate": "a=1"}).json]
    assert [list(each) for each in told] == [["traceparent"]] * 5
    parents = [read_parent({b"traceparent": each["traceparent"].encode()}) for each in told]
    assert None not in parents
    assert len({parent.trace_id for parent in parents if parent is not None}) == 5
    continued = service.score("x", headers={"traceparent": GIVEN.decode(), "tracestate": "A B"}).json
    assert list(continued) == ["traceparent"]
    assert continued["traceparent"].startswith(f"00-{TRACE.decode()}-")


def test_without_tracing_a_script_gets_what_its_client_has_sent(services: Services) -> None:
    service = services.start(TELLING)
    sent = {"traceparent": "00-1", "tracestate": "A B"}
    assert service.score("x", headers=sent).json == sent
    assert service.score("x").json == {}
