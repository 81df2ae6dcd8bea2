"""Send requests to a service, one after the other, and see how long they take and what it uses meanwhile."""

from __future__ import annotations

import http.client
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelport.domain.errors import WebserviceException
from modelport.domain.profiles import Measurement
from modelport.targets.interface import Usage

_EVERY_S = 0.1
_WINDOW_S = 0.5
_ANSWER_S = 300.0
_BYTES_PER_GB = 2**30
_PERCENTILES = {"50": 0.5, "90": 0.9, "95": 0.95, "99": 0.99, "999": 0.999}
_SHOWN = 1000
"""So many characters of an answer are shown."""


class MemoryExceeded(WebserviceException):
    """The service used more than it may."""


@dataclass
class Watch:
    """What the service used, at moments."""

    usage: Callable[[], Usage]
    most_memory_bytes: float
    """More than that ends the measurement; for a limit that the system enforces, infinite."""
    seen: list[tuple[float, Usage]] = field(default_factory=list)

    def look(self) -> None:
        self.seen.append((time.monotonic(), self.usage()))

    def check(self) -> None:
        """Raises MemoryExceeded."""
        used = max((usage.memory_bytes for _, usage in self.seen[-2:]), default=0)
        if used > self.most_memory_bytes:
            raise MemoryExceeded(
                f"OutOfMemory: the service used {used / _BYTES_PER_GB:.2f} GB of memory, and may use "
                f"{self.most_memory_bytes / _BYTES_PER_GB:g} GB.",
                hint="Profile it with more memory_in_gb, or load less in init().",
            )

    @property
    def max_cpu(self) -> float:
        """Cores over half a second, or over all of it where that took less: what the system counts is coarse."""
        first, last = self.seen[0], self.seen[-1]
        rates = [_rate(first, last)] if last[0] - first[0] < _WINDOW_S else []
        later = 0
        for earlier in self.seen:
            while later < len(self.seen) and self.seen[later][0] - earlier[0] < _WINDOW_S:
                later += 1
            if later < len(self.seen):
                rates.append(_rate(earlier, self.seen[later]))
        return max(rates)

    @property
    def max_memory_gb(self) -> float:
        return max(usage.peak_memory_bytes for _, usage in self.seen) / _BYTES_PER_GB


def _rate(earlier: tuple[float, Usage], later: tuple[float, Usage]) -> float:
    seconds = later[0] - earlier[0]
    return max(later[1].cpu_s - earlier[1].cpu_s, 0.0) / seconds if seconds > 0 else 0.0


@dataclass
class Answers:
    """How the requests went."""

    latencies_s: list[float] = field(default_factory=list)
    successes: int = 0
    first_failure: str | None = None
    """Status and body of the first answer that was no success."""

    def add(self, seconds: float, status: int, body: bytes) -> None:
        self.latencies_s.append(seconds)
        if 200 <= status < 300:
            self.successes += 1
        elif self.first_failure is None:
            self.first_failure = f"{status} {body.decode('utf-8', 'replace')[:_SHOWN]}"


def measure(host: str, port: int, bodies: Sequence[str], watch: Watch, *, within_s: float) -> Measurement:
    """Send each body as one request to ``/score``, as it is; the clock stops after ``within_s`` seconds, and what was
    not sent by then is not counted.

    Raises WebserviceException where no request succeeds, or the service stops answering; MemoryExceeded.
    """
    answers = Answers()
    watch.look()
    started = time.monotonic()
    stop = threading.Event()
    looking = threading.Thread(target=_keep_looking, args=(watch, stop), name="profile", daemon=True)
    looking.start()
    try:
        _send(host, port, bodies, answers, watch, until=started + within_s)
    finally:
        seconds = time.monotonic() - started
        stop.set()
        looking.join()
    watch.look()
    watch.check()
    if answers.successes == 0:
        raise WebserviceException(
            f"None of {len(answers.latencies_s)} requests succeeded. The first answer: {answers.first_failure}",
            hint="Score one row of the data set with service.run(row) on a deployed service.",
        )
    return _measurement(answers, watch, seconds)


def _keep_looking(watch: Watch, stop: threading.Event) -> None:
    while not stop.wait(_EVERY_S):
        watch.look()


def _send(host: str, port: int, bodies: Sequence[str], answers: Answers, watch: Watch, *, until: float) -> None:
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_S)
    try:
        for body in bodies:
            if time.monotonic() > until:
                return
            watch.check()
            answers.add(*_ask(connection, body.encode("utf-8")))
    except (OSError, http.client.HTTPException) as error:
        raise WebserviceException(
            f"The service stopped answering after {len(answers.latencies_s)} requests: {error or type(error).__name__}."
        ) from error
    finally:
        connection.close()


def _ask(connection: http.client.HTTPConnection, body: bytes) -> tuple[float, int, bytes]:
    """Seconds, status and content of the answer. The connection is opened anew where it was closed after an answer."""
    started = time.perf_counter()
    connection.request("POST", "/score", body=body, headers={"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    return time.perf_counter() - started, response.status, content


def _measurement(answers: Answers, watch: Watch, seconds: float) -> Measurement:
    ordered = sorted(answers.latencies_s)
    return Measurement(
        total_queries=len(ordered),
        success_queries=answers.successes,
        average_latency_ms=_ms(sum(ordered) / len(ordered)),
        latency_percentiles_ms={name: _ms(percentile(ordered, part)) for name, part in _PERCENTILES.items()},
        queries_per_second=round(len(ordered) / seconds, 3),
        max_cpu=round(watch.max_cpu, 3),
        max_memory_gb=round(watch.max_memory_gb, 4),
    )


def percentile(ordered: Sequence[float], part: float) -> float:
    """The least value that so large a part of all is not greater than (nearest rank)."""
    return ordered[max(math.ceil(part * len(ordered)), 1) - 1]


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
