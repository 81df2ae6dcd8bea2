"""What a server process tells about itself, at a cost that a request does not notice.

An answer is noted when it is given, and counted with others into the process's own part of the shared memory. Nothing
here takes a lock or looks up a label. The memory is laid out in ``layout``, and read and rendered in ``exposition``.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from modelport_scoring.telemetry import layout
from modelport_scoring.telemetry.counters import Counters, share_memory
from modelport_scoring.telemetry.settings import TelemetrySettings
from modelport_scoring.telemetry.tally import Scored, tally

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
    queue_length: Callable[[], int]
    in_flight: Callable[[], int]


class Rows(dict[int, "memoryview[float]"]):
    """The rows of the revisions that were asked for lately."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def __missing__(self, revision: int) -> memoryview[float]:
        # The row that is free for this revision may be one that another had: nobody may go on counting there.
        self.clear()
        row = self[revision] = self._counters.row(revision)
        return row


class Telemetry:
    """What one server process tells about itself.

    ``memory`` is what ``share_memory`` made in the supervisor, and ``process`` the number of this process below it;
    without them the process counts for itself.
    """

    def __init__(
        self, settings: TelemetrySettings, *, service: str, memory: int | None = None, process: int = 0
    ) -> None:
        self.settings = settings
        self.service = service
        self.gauges: Gauges | None = None
        self.counters = Counters(share_memory() if memory is None else memory, process=process)
        self._head = self.counters.head
        self._rows = Rows(self.counters)
        self._pending: list[Scored] = []
        self._connections = 0

    # --- each request -------------------------------------------------------------------------------------------------

    def scored(
        self, status: int, revision: int, started: float, sent: float, micros: int, batch: int, ended: float
    ) -> None:
        """One answer to ``/score``, its status between 100 and 599.

        ``started``, ``sent``, ``ended``: seconds of ``loop.time()`` when the request was whole, when it was given to a
        worker (0.0: never), and when it was answered. ``micros``: microseconds in ``run()``, 0 where it was not called.
        ``batch``: how many requests shared that call.
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

    def batch_redone(self, revision: int) -> None:
        """A batch that raised, or whose result did not split by rows, is redone one by one."""
        self._rows[revision][layout.BATCHES_REDONE] += 1.0

    def shadow_compared(self, revision: int, *, equal: bool) -> None:
        """The revision answered a copy of a request, and its answer was compared with the one that was sent."""
        self._rows[revision][layout.SHADOW_EQUAL if equal else layout.SHADOW_DIFFERENT] += 1.0

    def connection_opened(self) -> None:
        """A client has connected."""
        self._connections += 1
        self._head[layout.CONNECTIONS_TOTAL] += 1.0

    def connection_closed(self) -> None:
        """A client, or we, closed its connection."""
        self._connections -= 1

    # --- once a second ------------------------------------------------------------------------------------------------

    def publish(self) -> None:
        """Write down how the process is, for whichever process is asked. Call it about once a second."""
        self._count()
        now = time.monotonic()
        head = self._head
        head[layout.CONNECTIONS] = self._connections
        if self.gauges is not None:
            head[layout.WORKERS_READY] = self.gauges.workers_ready()
            head[layout.QUEUE_LENGTH] = self.gauges.queue_length()
            head[layout.IN_FLIGHT] = self.gauges.in_flight()
        head[layout.PUBLISHED_AT] = now
        for row in self._rows.values():
            answered = sum(row[ANSWERED])
            if answered != row[layout.SEEN]:
                row[layout.SEEN], row[layout.USED_AT] = answered, now

    # --- when it is asked for -----------------------------------------------------------------------------------------

    def render(self, accept: bytes | None) -> tuple[bytes, bytes]:
        """Content type and body of ``GET /metrics``: what all processes of the service have counted together."""
        self.publish()
        return load_renderer()(self.counters.memory, accept)

    def _count(self) -> None:
        answers, self._pending = self._pending, []
        revisions = {answer[1] for answer in answers}
        for revision in revisions:
            own = answers if len(revisions) == 1 else [answer for answer in answers if answer[1] == revision]
            tally(self._rows[revision], own)


def load_renderer() -> Callable[[int, bytes | None], tuple[bytes, bytes]]:
    """What ``GET /metrics`` needs, and nothing else does.

    Loading it takes a tenth of a second. Call this while the first worker starts, so that neither the start of the
    service nor the first scrape waits for it.
    """
    from modelport_scoring.telemetry.exposition import render  # noqa: PLC0415

    return render
