"""What a router counts, for ``/metrics``."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

HELP = {
    "requests_total": "Answers to clients, by the revision that gave them; 0: the router itself.",
    "upstream_failures_total": "Requests that a server did not answer, by what happened.",
    "retries_total": "Requests that were sent once more, since they had reached nobody.",
    "fallbacks_total": "Requests that the default revision took for one that could not be reached.",
    "upstream_connections_total": "Connections made to the servers of a revision.",
    "requests_in_flight": "Requests that have no whole answer yet.",
    "requests_waiting": "Requests that wait for a server to accept a connection.",
    "connections": "Connections of clients that are open.",
    "request_duration_seconds": "From a request's head to the head of its answer.",
}
"""What each metric tells, by its name without the prefix."""


class Metrics:
    """Counts by revision."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[int, int]] = Counter()
        """By revision and status; what the router answers itself is revision 0's."""
        self.failures: Counter[tuple[int, str]] = Counter()
        """By revision and what happened: ``connect``, ``closed``, ``timeout``, ``broken``."""
        self.retries: Counter[int] = Counter()
        self.fallbacks: Counter[int] = Counter()
        """Requests that the default revision took for one that could not be reached."""
        self.connections: Counter[int] = Counter()
        """Made to the servers of a revision."""
        self.gauges: dict[str, Callable[[], int]] = {}
        self._seconds: Counter[int] = Counter()
        self._buckets: dict[int, list[int]] = {}

    def answered(self, revision: int, status: int, seconds: float) -> None:
        self.answers[revision, status] += 1
        self._seconds[revision] += seconds  # type: ignore[assignment]  # a counter adds floats as well
        buckets = self._buckets.get(revision)
        if buckets is None:
            buckets = self._buckets[revision] = [0] * (len(BOUNDS_S) + 1)
        buckets[bisect_left(BOUNDS_S, seconds)] += 1

    def render(self) -> bytes:
        """The text format of Prometheus, 0.0.4."""
        return "".join(f"{line}\n" for line in self._lines()).encode()

    def _lines(self) -> Iterator[str]:
        yield from head("requests_total", "counter")
        for (revision, status), count in sorted(self.answers.items()):
            yield f'modelport_router_requests_total{{revision="{revision}",status="{status}"}} {count}'
        yield from head("upstream_failures_total", "counter")
        for (revision, reason), count in sorted(self.failures.items()):
            yield f'modelport_router_upstream_failures_total{{revision="{revision}",reason="{reason}"}} {count}'
        for name, counted in (
            ("retries", self.retries),
            ("fallbacks", self.fallbacks),
            ("upstream_connections", self.connections),
        ):
            yield from head(f"{name}_total", "counter")
            for revision, count in sorted(counted.items()):
                yield f'modelport_router_{name}_total{{revision="{revision}"}} {count}'
        for name, gauge in self.gauges.items():
            yield from head(name, "gauge")
            yield f"modelport_router_{name} {gauge()}"
        yield from head("request_duration_seconds", "histogram")
        for revision, buckets in sorted(self._buckets.items()):
            yield from self._histogram(revision, buckets)

    def _histogram(self, revision: int, buckets: list[int]) -> Iterator[str]:
        name, total = "modelport_router_request_duration_seconds", 0
        for bound, count in zip((*BOUNDS_S, "+Inf"), buckets, strict=True):
            total += count
            yield f'{name}_bucket{{revision="{revision}",le="{bound}"}} {total}'
        yield f'{name}_sum{{revision="{revision}"}} {self._seconds[revision]:.6f}'
        yield f'{name}_count{{revision="{revision}"}} {total}'


def head(name: str, kind: str) -> Iterator[str]:
    """What stands before the values of a metric."""
    yield f"# HELP modelport_router_{name} {HELP[name]}"
    yield f"# TYPE modelport_router_{name} {kind}"
