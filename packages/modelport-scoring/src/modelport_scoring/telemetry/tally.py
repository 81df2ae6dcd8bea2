"""Counting answers by the hundred: sorting and zipping them together costs half of what counting each one does."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import sub

from modelport_scoring.telemetry.layout import (
    BUCKETS,
    BY_BATCH_SIZE,
    BY_STATUS,
    DURATION,
    FIRST_STATUS,
    LARGER_BATCHES,
    LARGEST_BATCH,
    QUEUE_WAIT,
    REQUESTS_OF_LARGER,
    RUN,
    SECONDS,
)

MICROSECONDS = tuple(round(bound * 1_000_000) for bound in SECONDS)

Scored = tuple[int, int, float, float, int, int, float]
"""The arguments of ``Telemetry.scored``."""


def tally(row: memoryview[float], answers: Sequence[Scored]) -> None:
    """Add the answers, at least one and all of one revision, to the numbers of the revision."""
    statuses, _, started, sent, micros, batches, ended = zip(*answers, strict=True)
    for status, count in Counter(statuses).items():
        row[BY_STATUS - FIRST_STATUS + status] += count
    observe(row, DURATION, map(sub, ended, started))
    # Where nothing was sent, or run() was not called, there is nothing to observe.
    observe(row, QUEUE_WAIT, map(sub, compress(sent, sent), compress(started, sent)))
    observe(row, RUN, compress(micros, micros), bounds=MICROSECONDS, unit=1e-6)
    for batch, count in Counter(compress(batches, micros)).items():
        if batch <= LARGEST_BATCH:
            row[BY_BATCH_SIZE + batch] += count
        else:
            row[LARGER_BATCHES] += count / batch
            row[REQUESTS_OF_LARGER] += count


def observe(
    row: memoryview[float],
    first: int,
    values: Iterable[float],
    *,
    bounds: Sequence[float] = SECONDS,
    unit: float = 1.0,
) -> None:
    """Add the values to the histogram that begins at that slot. ``unit``: what one of them is in seconds."""
    ordered = sorted(values)
    row[first + BUCKETS] += sum(ordered) * unit
    below = 0
    for bucket, bound in enumerate(bounds, first):
        upto = bisect_right(ordered, bound, below)
        if upto != below:
            row[bucket] += upto - below
            below = upto
        if below == len(ordered):
            return
    row[first + BUCKETS - 1] += len(ordered) - below
