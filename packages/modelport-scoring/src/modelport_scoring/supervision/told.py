"""What a scoring server was told by its supervisor: it is written down before the signal is sent that says so.

A signal does not say whose it is. One that comes from anybody else (a script's ``os.kill(os.getppid(), …)``, somebody
who ends the process that takes most memory) is meant for the process that gets it, and not for the whole service.
"""

from __future__ import annotations

import os
import signal
import struct

from modelport_scoring.telemetry import layout

LEAVE = signal.SIGUSR1
"""To a server, and to the supervisor itself: another supervisor has the socket now."""

SLOT = struct.Struct("@d")


class Told:
    """The place of one server process for it, in its part of the memory for metrics."""

    def __init__(self, memory: int, *, process: int) -> None:
        self._memory = memory
        self._offset = process * layout.PART_BYTES + layout.TOLD * layout.DOUBLE

    def write(self, number: signal.Signals) -> None:
        """By the supervisor: the signal that it is about to send."""
        os.pwrite(self._memory, SLOT.pack(number), self._offset)

    def read(self) -> int:
        """By the server: the last one, or 0."""
        written = os.pread(self._memory, SLOT.size, self._offset)
        return int(SLOT.unpack(written)[0]) if written else 0
