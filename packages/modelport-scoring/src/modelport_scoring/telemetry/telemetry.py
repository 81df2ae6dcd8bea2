"""What a server process tells about itself, at a cost that a request does not notice.

An answer is noted when it is given, and counted with others into the process's own part of the shared memory. Nothing
here takes a lock or looks up a label. The memory is laid out in ``layout``, and read and rendered in ``exposition``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelport_scoring.logs.journal import write_as
from modelport_scoring.service_folder import ACCESS_LOG
from modelport_scoring.settings.telemetry import TelemetrySettings
from modelport_scoring.telemetry import layout
from modelport_scoring.telemetry.access_log import AccessLog
from modelport_scoring.telemetry.counters import Counters, read_parts, share_memory
from modelport_scoring.telemetry.span_export import PATIENCE_S, Send, SpanExport
from modelport_scoring.telemetry.statistics import RevisionStatistics, read_statistics
from modelport_scoring.telemetry.tally import Scored, tally
from modelport_scoring.telemetry.tracer import Described, Export, Tracer

MOST_PENDING = 256
"""So many answers are counted together, in a tenth of a millisecond; or what there is once a second."""

ANSWERED = slice(layout.DURATION, layout.DURATION + layout.BUCKETS)

OTHER_ROUTES = {
    route: layout.ROUTES_START + number * layout.STATUSES - layout.FIRST_STATUS
    for number, route in enumerate(layout.ROUTES)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """How to ask the process how it is at the moment."""

    workers_ready: Callable[[], int]
    workers_wanted: Callable[[], int]
    queue_length: Callable[[], int]
    in_flight: Callable[[], int]


class Rows(dict[int, "memoryview[float]"]):
    """The rows of the revisions that were asked for lately."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def __missing__(self, revision: int) -> memoryview[float]:
        row, given_way = self._counters.row(revision)
        if given_way is not None:
            # Nobody may go on counting for it in a row that is another's now.
            self.pop(given_way, None)
        self[revision] = row
        return row


class Telemetry:
    """What one server process tells about itself.

    ``memory`` is what ``share_memory`` made in the supervisor, and ``process`` the number of this process below it;
    without them the process counts for itself. ``logs`` is the folder of the access log.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        *,
        service: Described,
        memory: int | None = None,
        process: int = 0,
        logs: Path = Path("logs"),
    ) -> None:
        self.settings = settings
        self.gauges: Gauges | None = None
        self._service = service
        self._logs = logs
        self.access_log = self._make_access_log()
        """None where it is off: then nobody prepares what it would be told."""
        self.tracer = make_tracer(settings, service=service) if settings.tracing else None
        """None where it is off."""
        self._replaced: list[Export] = []
        """What spans were given to before the settings changed, while it has some left."""
        self.counters = Counters(share_memory() if memory is None else memory, process=process)
        self._head = self.counters.head
        self._rows = Rows(self.counters)
        self._pending: list[Scored] = []
        self._connections = 0

    def configure(self, settings: TelemetrySettings) -> None:
        """Work by these from now on. What was gathered by the old ones is written, and sent."""
        before, self.settings = self.settings, settings
        if logging_of(before) != logging_of(settings):
            self._flush()
            self.access_log = self._make_access_log()
        if tracing_of(before) != tracing_of(settings):
            if self.tracer is not None and self.tracer.export is not None:
                self.tracer.export.let_go()
                self._replaced.append(self.tracer.export)
            self.tracer = make_tracer(settings, service=self._service) if settings.tracing else None
        write_as(settings.log_format)

    def _make_access_log(self) -> AccessLog | None:
        settings = self.settings
        return AccessLog(self._logs / ACCESS_LOG, form=settings.access_log_format) if settings.access_log else None

    # --- each request -------------------------------------------------------------------------------------------------

    def scored(
        self, status: int, revision: int, started: float, sent: float, micros: int, batch: int, ended: float
    ) -> None:
        """One answer to ``/score``, its status between 100 and 599.

        ``started``, ``sent``, ``ended``: when the request was whole, when it was given to a worker (0.0: never), and
        when it was answered, in seconds of ``time.monotonic()`` (uvloop's ``loop.time()`` counts whole milliseconds).
        ``micros``: microseconds in ``run()``, 0 where it was not called. ``batch``: how many requests shared that call.
        """
        self._pending.append((status, revision, started, sent, micros, batch, ended))
        if len(self._pending) >= MOST_PENDING:
            self._count()

    def answered(self, route: str, status: int) -> None:
        """One answer that was not scored. A route that is not in ``layout.ROUTES`` counts as ``other``."""
        self._head[OTHER_ROUTES.get(route, OTHER_ROUTES["other"]) + status] += 1.0

    # --- what happens now and then ------------------------------------------------------------------------------------

    def worker_restarted(self, revision: int) -> None:
        """A worker of the revision ended unasked, and another one is started in its place."""
        self._rows[revision][layout.WORKER_RESTARTS] += 1.0

    def became_ready(self, revision: int) -> None:
        """A worker of the revision takes requests."""
        self._rows[revision][layout.WAS_READY] = 1.0
        if self.gauges is not None:  # the other processes leave new connections to us from now on
            self._head[layout.WORKERS_READY] = self.gauges.workers_ready()

    def was_ready(self, revision: int) -> bool:
        """Whether one ever did, in whichever server process of the service, also in one that is gone."""
        rows = (part.rows.get(revision) for part in read_parts(self.counters.memory))
        return any(row is not None and row[layout.WAS_READY] == 1.0 for row in rows)

    def batch_redone(self, revision: int) -> None:
        """A batch that raised, or whose result did not split by rows, is redone one by one."""
        self._rows[revision][layout.BATCHES_REDONE] += 1.0

    def shadow_compared(self, revision: int, *, equal: bool) -> None:
        """The revision answered a copy of a request, and its answer was compared with the one that was sent."""
        self._rows[revision][layout.SHADOW_EQUAL if equal else layout.SHADOW_DIFFERENT] += 1.0

    def shadow_dropped(self, revision: int) -> None:
        """A copy of a request for the revision was dropped, or could not be compared."""
        self._rows[revision][layout.SHADOW_DROPPED] += 1.0

    def connection_opened(self) -> None:
        """A client has connected."""
        self._connections += 1
        self._head[layout.CONNECTIONS_TOTAL] += 1.0
        self._head[layout.CONNECTIONS] = self._connections

    def shake_hands(self, clients: int) -> None:
        """So many clients are about to become connections."""
        self._head[layout.SHAKING_HANDS] = clients

    def gives_way_to(self, others: Sequence[memoryview[float]]) -> bool:
        """Whether the next connection is rather for one of the other processes, whose parts begin so: one has workers,
        and this one has none, or it has fewer connections."""
        own, is_ready = clients_of(self._head), self.gauges is not None and self.gauges.workers_ready() > 0
        for head in others:
            has_workers = head[layout.WORKERS_READY] > 0
            if has_workers > is_ready or (has_workers == is_ready and clients_of(head) < own):
                return True
        return False

    def connection_closed(self) -> None:
        """A client, or we, closed its connection."""
        self._connections -= 1
        self._head[layout.CONNECTIONS] = self._connections

    # --- once a second ------------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Write down how the process is, for whichever process is asked. Call it about once a second."""
        self._count()
        now = time.monotonic()
        head = self._head
        if self.gauges is not None:
            head[layout.WORKERS_READY] = self.gauges.workers_ready()
            head[layout.WORKERS_WANTED] = self.gauges.workers_wanted()
            head[layout.QUEUE_LENGTH] = self.gauges.queue_length()
            head[layout.IN_FLIGHT] = self.gauges.in_flight()
        head[layout.PUBLISHED_AT] = now
        for row in self._rows.values():
            answered = sum(row[ANSWERED])
            if answered != row[layout.SEEN]:
                row[layout.SEEN], row[layout.USED_AT] = answered, now
        self._flush()
        self._count_spans()

    def _count_spans(self) -> None:
        """Those that were dropped since, also by an exporter that ends."""
        ended = [export for export in self._replaced if export.has_ended]  # asked first: what it says then is the last
        for export in self._exports():
            self._head[layout.SPANS_DROPPED] += export.take_dropped()
        self._replaced = [export for export in self._replaced if export not in ended]

    def _exports(self) -> list[Export]:
        current = None if self.tracer is None else self.tracer.export
        return self._replaced if current is None else [*self._replaced, current]

    def _flush(self) -> None:
        if self.access_log is not None:
            self.access_log.flush()
            self._head[layout.LINES_DROPPED] += self.access_log.take_dropped()

    def close(self) -> None:
        """Write and send what is left, for two seconds at most."""
        self.publish()
        until = time.monotonic() + PATIENCE_S
        for export in self._exports():
            export.let_go()
        for export in self._exports():
            export.close(until - time.monotonic())
        self._count_spans()

    # --- when it is asked for -----------------------------------------------------------------------------------------

    def render(self, accept: bytes | None) -> tuple[bytes, bytes]:
        """Content type and body of ``GET /metrics``: what all processes of the service have counted together."""
        self.publish()
        return load_renderer()(self.counters.memory, accept)

    def statistics(self) -> dict[int, RevisionStatistics]:
        """What all processes of the service have counted together, by the revision's number."""
        self.publish()
        return read_statistics(self.counters.memory)

    def _count(self) -> None:
        answers, self._pending = self._pending, []
        revisions = {answer[1] for answer in answers}
        for revision in revisions:
            own = answers if len(revisions) == 1 else [answer for answer in answers if answer[1] == revision]
            tally(self._rows[revision], own)


def clients_of(head: memoryview[float]) -> float:
    """Of the process whose part begins so: its connections, and those who are about to be."""
    return head[layout.CONNECTIONS] + head[layout.SHAKING_HANDS]


def logging_of(settings: TelemetrySettings) -> tuple[object, ...]:
    """What another access log is needed for, where it changes."""
    return settings.access_log, settings.access_log_format


def tracing_of(settings: TelemetrySettings) -> tuple[object, ...]:
    """What another tracer is needed for, where it changes."""
    return settings.tracing, settings.otlp_endpoint, settings.sampling_ratio


def load_renderer() -> Callable[[int, bytes | None], tuple[bytes, bytes]]:
    """What ``GET /metrics`` needs, and nothing else does.

    Loading it takes a tenth of a second. Call this while the first worker starts, so that neither the start of the
    service nor the first scrape waits for it.
    """
    from modelport_scoring.telemetry.exposition import render  # noqa: PLC0415

    return render


def make_tracer(settings: TelemetrySettings, *, service: Described) -> Tracer:
    """A tracer that exports where the settings say so."""
    endpoint = settings.otlp_endpoint
    if endpoint is None:
        return Tracer(sampling_ratio=settings.sampling_ratio, export=None)

    def load() -> Send:
        # Only where it is asked for: it needs an extra, 6 MB and a quarter of a second.
        from modelport_scoring.telemetry.otlp import make_sender  # noqa: PLC0415

        return make_sender(endpoint, service=service)

    return Tracer(sampling_ratio=settings.sampling_ratio, export=SpanExport(load))
