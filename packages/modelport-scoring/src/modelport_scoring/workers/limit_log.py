"""What a revision's log says of requests that a limit refused or cut short: else only their clients know."""

from __future__ import annotations

import asyncio

from modelport_scoring.logs.journal import Journal
from modelport_scoring.workers.counted_lines import CountedLines
from modelport_scoring.workers.ticket import Refusal

QUIET_S = 10.0
"""An overload lasts: its lines must not push out of the log what the script prints."""

WHY = {
    "max_queue_length": "too many wait for a worker",
    "max_queue_bytes": "the bodies of those that wait take too much memory",
    "queue_wait_ms": "no worker took it in time",
    "max_buffered_bytes": "the bodies that are being received take too much memory",
}


class LimitLog:
    """One line for each limit in ten seconds, with how often it held meanwhile."""

    def __init__(self, journal: Journal, *, loop: asyncio.AbstractEventLoop) -> None:
        self._lines = CountedLines(journal, loop=loop, quiet_s=QUIET_S)

    def refused(self, refusal: Refusal) -> None:
        """A request that waited, or was to wait, has got its 503."""
        self.held(refusal.value)

    def held(self, limit: str) -> None:
        """A request has got its 503 by that limit, or for a reason that is none."""
        why = WHY.get(limit)
        if why is not None:
            self._lines.write(f"modelport: a request was refused: {why} (limits.{limit})")

    def timed_out(self) -> None:
        """A request has got its 504, or what the error mode has for it."""
        self._lines.write("modelport: a request was given up: run() took too long (limits.scoring_timeout_ms)")
