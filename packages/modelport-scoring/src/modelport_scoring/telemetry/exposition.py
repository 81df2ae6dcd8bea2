"""``GET /metrics``: the numbers of all server processes, summed, in the formats that Prometheus reads.

docs/metrics.md lists every name. Importing this module takes a tenth of a second: it is done while the first worker
starts, not before.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from modelport_scoring.telemetry import layout
from modelport_scoring.telemetry.counters import Part, read_parts

MOST_SHOWN = 8
"""The revisions that answered last. That a series ends is no trouble; but each revision adds half a millisecond to a
scrape, and the loop waits for it."""

MOST_ACCEPT_BYTES = 2_000
"""Of an Accept header: Prometheus sends 300. One as long as a head would be taken apart for milliseconds."""

Row = Sequence[float]

EVENTS = (
    ("modelport_worker_restarts", "Workers that ended unasked and were started again.", layout.WORKER_RESTARTS),
    ("modelport_batches_redone", "Batches that were redone request by request.", layout.BATCHES_REDONE),
)
DURATIONS = (
    (
        "modelport_request_duration_seconds",
        "From the last byte of a request to /score to its answer.",
        layout.DURATION,
    ),
    (
        "modelport_queue_wait_seconds",
        "From the last byte of a request to /score until a worker got it.",
        layout.QUEUE_WAIT,
    ),
    (
        "modelport_run_duration_seconds",
        "Time in run(), for each request that it was called for, in a batch or alone.",
        layout.RUN,
    ),
)
PROCESS_COUNTERS = (
    ("modelport_connections_opened", "Connections that clients opened.", layout.CONNECTIONS_TOTAL),
    ("modelport_access_log_dropped", "Lines of the access log that could not be written.", layout.LINES_DROPPED),
    ("modelport_spans_dropped", "Spans that were not exported.", layout.SPANS_DROPPED),
)
GAUGES = (
    ("modelport_workers_ready", "Workers that take requests.", layout.WORKERS_READY),
    ("modelport_workers_wanted", "Workers that there should be.", layout.WORKERS_WANTED),
    ("modelport_queue_length", "Requests that wait for a worker.", layout.QUEUE_LENGTH),
    ("modelport_requests_in_flight", "Requests that workers hold.", layout.IN_FLIGHT),
    ("modelport_connections", "Open connections.", layout.CONNECTIONS),
)


def render(memory: int, accept: bytes | None) -> tuple[bytes, bytes]:
    """Content type and body, in the format that the Accept header asks for; the text format where it asks for none, or
    is too long to be read."""
    asked = accept if accept is not None and len(accept) <= MOST_ACCEPT_BYTES else b""
    try:
        encode, content_type = choose_encoder(asked.decode("latin-1"))
    except (TypeError, ValueError):  # a version that is none
        encode, content_type = choose_encoder("")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServiceCollector(memory))
    return content_type.encode(), encode(registry)


class ServiceCollector(Collector):
    """Everything that the processes of one service have counted."""

    def __init__(self, memory: int) -> None:
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        parts = list(read_parts(self._memory))
        rows = sum_rows(parts)
        yield requests(rows)
        yield other_requests(parts)
        for name, text, first in DURATIONS:
            yield durations(name, text, rows, first=first)
        yield batch_sizes(rows)
        for name, text, slot in EVENTS:
            yield events(name, text, rows, slot=slot)
        yield from shadow(rows)
        for name, text, slot in PROCESS_COUNTERS:
            yield CounterMetricFamily(name, text, value=sum(part.head[slot] for part in parts))
        for name, text, slot in GAUGES:
            yield GaugeMetricFamily(name, text, value=sum(part.head[slot] for part in parts if part.is_fresh))
        yield from processes(parts)


def sum_rows(parts: Iterable[Part]) -> dict[int, Row]:
    """The rows of each revision added up, for the revisions that answered last, by number."""
    found: dict[int, list[Row]] = {}
    for revision, row in itertools.chain.from_iterable(part.rows.items() for part in parts):
        found.setdefault(revision, []).append(row)
    latest = sorted(found, key=lambda revision: max(row[layout.USED_AT] for row in found[revision]))[-MOST_SHOWN:]
    return {revision: add_up(found[revision]) for revision in sorted(latest)}


def add_up(rows: Sequence[Row]) -> Row:
    """Slot by slot."""
    return list(rows[0]) if len(rows) == 1 else [sum(slot) for slot in zip(*rows, strict=True)]


def requests(rows: dict[int, Row]) -> Metric:
    family = CounterMetricFamily("modelport_requests", "Requests to /score.", labels=["revision", "status"])
    for revision, row in rows.items():
        for status, count in by_status(row, layout.BY_STATUS):
            family.add_metric([str(revision), status], count)
    return family


def other_requests(parts: Sequence[Part]) -> Metric:
    text = "Requests to other routes, and those to /score that were refused before a revision was asked."
    family = CounterMetricFamily("modelport_other_requests", text, labels=["route", "status"])
    head = add_up([part.head for part in parts])
    for number, route in enumerate(layout.ROUTES):
        for status, count in by_status(head, layout.ROUTES_START + number * layout.STATUSES):
            family.add_metric([route, status], count)
    return family


def by_status(row: Row, first: int) -> Iterator[tuple[str, float]]:
    """The statuses that occurred, and how often."""
    for status, count in enumerate(row[first : first + layout.STATUSES], layout.FIRST_STATUS):
        if count:
            yield str(status), count


def durations(name: str, text: str, rows: dict[int, Row], *, first: int) -> Metric:
    family = HistogramMetricFamily(name, text, labels=["revision"])
    for revision, row in rows.items():
        counts = row[first : first + layout.BUCKETS]
        family.add_metric([str(revision)], cumulative(layout.SECONDS, counts), row[first + layout.BUCKETS])
    return family


def batch_sizes(rows: dict[int, Row]) -> Metric:
    text = "How many requests each call of run() was for."
    family = HistogramMetricFamily("modelport_batch_size", text, labels=["revision"])
    for revision, row in rows.items():
        requests_by_size = enumerate(row[layout.BY_BATCH_SIZE : layout.BY_BATCH_SIZE + layout.LARGEST_BATCH + 1])
        calls = [(size, round(count / size)) for size, count in requests_by_size if size and count]
        counts = [0] * (len(layout.BATCH_SIZES) + 1)
        for size, count in calls:
            counts[bisect_left(layout.BATCH_SIZES, size)] += count
        counts[-1] = round(row[layout.LARGER_BATCHES])
        total = sum(size * count for size, count in calls) + row[layout.REQUESTS_OF_LARGER]
        family.add_metric([str(revision)], cumulative(layout.BATCH_SIZES, counts), total)
    return family


def cumulative(bounds: Sequence[float], counts: Sequence[float]) -> list[tuple[str, float]]:
    """Buckets as Prometheus wants them: each counts all that is not above its bound."""
    names = [*(str(float(bound)) for bound in bounds), "+Inf"]
    return list(zip(names, itertools.accumulate(counts), strict=True))


def events(name: str, text: str, rows: dict[int, Row], *, slot: int) -> Metric:
    family = CounterMetricFamily(name, text, labels=["revision"])
    for revision, row in rows.items():
        family.add_metric([str(revision)], row[slot])
    return family


def shadow(rows: dict[int, Row]) -> Iterator[Metric]:
    """Copies of requests, for the revisions that got any."""
    text = "Answers of a shadow revision that were compared with those that were sent."
    family = CounterMetricFamily("modelport_shadow_comparisons", text, labels=["revision", "equal"])
    dropped = CounterMetricFamily(
        "modelport_shadow_dropped", "Copies that were dropped, or could not be compared.", labels=["revision"]
    )
    for revision, row in rows.items():
        for equal, slot in (("true", layout.SHADOW_EQUAL), ("false", layout.SHADOW_DIFFERENT)):
            if row[layout.SHADOW_EQUAL] or row[layout.SHADOW_DIFFERENT]:
                family.add_metric([str(revision), equal], row[slot])
        if row[layout.SHADOW_DROPPED]:
            dropped.add_metric([str(revision)], row[layout.SHADOW_DROPPED])
    yield family
    yield dropped


def processes(parts: Iterable[Part]) -> Iterator[Metric]:
    """CPU, memory and descriptors of each living server process, as prometheus_client reads them from the system."""
    families: dict[str, Metric] = {}
    for part in parts:
        if part.is_fresh:
            for metric in ProcessCollector(pid=part.read_pid, registry=None).collect():
                family = families.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type))
                for sample in metric.samples:
                    family.add_sample(sample.name, {"process": str(part.process)}, sample.value)
    yield from families.values()
