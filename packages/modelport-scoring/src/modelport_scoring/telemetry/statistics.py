"""What all server processes have counted of each revision, as a few plain numbers."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Self

from modelport_scoring.telemetry import layout
from modelport_scoring.telemetry.counters import read_parts

SUCCESSES = slice(layout.BY_STATUS + 200 - layout.FIRST_STATUS, layout.BY_STATUS + 300 - layout.FIRST_STATUS)
EVERY_STATUS = slice(layout.BY_STATUS, layout.BY_STATUS + layout.STATUSES)


@dataclass(slots=True)
class Duration:
    """How often something was timed, and how many seconds that was in all."""

    count: int = 0
    seconds: float = 0.0

    def add(self, row: memoryview[float], first: int) -> None:
        """What the histogram that begins at that slot holds."""
        self.count += round(sum(row[first : first + layout.BUCKETS]))
        self.seconds += row[first + layout.BUCKETS]


class RevisionStatistics:
    """Requests of one revision, those to ``/score`` and those of the Open Inference Protocol."""

    def __init__(self) -> None:
        self.succeeded = self.failed = 0
        """By their status, 2xx or another."""
        self.calls = 0
        """Of ``run()``: one for all requests of a batch."""
        self.last_at: float | None = None
        """When the last one was answered, in seconds since 1970, to a second; None before the first."""
        self.whole, self.queue, self.run = Duration(), Duration(), Duration()

    def add(self, row: memoryview[float]) -> Self:
        """What one process has counted."""
        succeeded = round(sum(row[SUCCESSES]))
        answered = round(sum(row[EVERY_STATUS]))
        self.succeeded += succeeded
        self.failed += answered - succeeded
        by_size = enumerate(row[layout.BY_BATCH_SIZE : layout.BY_BATCH_SIZE + layout.LARGEST_BATCH + 1])
        self.calls += sum(round(count / size) for size, count in by_size if size) + round(row[layout.LARGER_BATCHES])
        for duration, first in (
            (self.whole, layout.DURATION),
            (self.queue, layout.QUEUE_WAIT),
            (self.run, layout.RUN),
        ):
            duration.add(row, first)
        if answered:
            last_at = time.time() - time.monotonic() + row[layout.USED_AT]
            self.last_at = max(last_at, self.last_at or last_at)
        return self


def read_statistics(memory: int) -> dict[int, RevisionStatistics]:
    """By the revision's number, of those that have been asked for."""
    found: defaultdict[int, RevisionStatistics] = defaultdict(RevisionStatistics)
    for part in read_parts(memory):
        for revision, row in part.rows.items():
            found[revision].add(row)
    return dict(found)
