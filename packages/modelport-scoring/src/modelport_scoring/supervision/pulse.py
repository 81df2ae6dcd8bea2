"""Whether the loop of a scoring server still turns: every second it writes down the moment, where the supervisor looks.

One that does not (stopped by a signal, say, or waiting for a file system that is gone) may take connections from the
socket and answers nobody, and no control socket can tell it to end.
"""

from __future__ import annotations

import os
import time

from modelport_scoring.telemetry import layout

PATIENCE_S = 30.0
"""A loop that has not turned for so long hangs."""

START_PATIENCE_S = 600.0
"""One that has not turned yet may be loading its modules, on a machine that has just been started and starts everything
at once: to begin anew would only make that worse."""

LONGEST_LOOK_S = 1.5
"""What counts between two looks: where the next one came later, the supervisor did not turn either; the whole container
was paused, for one."""


class Pulse:
    """That of one server process, in its part of the memory for metrics."""

    def __init__(self, memory: int, *, process: int) -> None:
        self._memory = memory
        self._offset = process * layout.PART_BYTES + layout.PUBLISHED_AT * layout.DOUBLE
        self.begin()

    def begin(self) -> None:
        """A server process has been started."""
        self._seen = self._read()
        self._still_s = 0.0
        self._has_beaten = False
        self._looked_at = time.monotonic()

    def has_stopped(self) -> bool:
        """Whether it is to be taken for hung. To be asked about once a second."""
        now = time.monotonic()
        passed_s, self._looked_at = now - self._looked_at, now
        seen = self._read()
        if seen == self._seen:
            self._still_s += min(passed_s, LONGEST_LOOK_S)
        else:
            self._seen, self._still_s, self._has_beaten = seen, 0.0, True
        return self._still_s > (PATIENCE_S if self._has_beaten else START_PATIENCE_S)

    def _read(self) -> bytes:
        return os.pread(self._memory, layout.DOUBLE, self._offset)
