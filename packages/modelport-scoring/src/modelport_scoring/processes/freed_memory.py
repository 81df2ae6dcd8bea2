"""What the C library does with memory that is freed (glibc's mallopt; elsewhere nothing is changed)."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable

TRIM_THRESHOLD = -1
MMAP_THRESHOLD = -3
"""Parameters of mallopt(3)."""

KEPT_BYTES = 16 * 1024 * 1024
MAPPED_FROM_BYTES = 16 * 1024 * 1024

QUIET_LOOKS = 3
"""After so many looks, about a second apart, between which nothing has happened, memory is given back."""

MANY_CLIENTS = 256
"""Connections that ended, whose memory is worth giving back. Probes that connect each second are not many: with them, a
server would never be idle."""


def keep_freed_memory() -> None:
    """Keep up to 16 MiB that were freed at the top of the heap, and take up to as much from it at once.

    Bodies come and go. By default 128 KiB are enough to be given back, so that with bodies of 100 KB every second or
    third request asked the kernel for memory, and touched each of its pages for the first time: with bodies of some MB
    that is half of what they cost.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, MAPPED_FROM_BYTES)


def trim_heap() -> None:
    """Have the C library give back what it can, wherever it lies (malloc_trim(3); elsewhere nothing happens).

    A busy hour leaves holes all over the heap that no trimming of its top reaches; they look like a leak.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class IdleMemory:
    """Gives memory back to the system once nothing that needs it has happened for some seconds."""

    def __init__(self, activity: Callable[[], int], *, give_back: Callable[[], None] = trim_heap) -> None:
        """``activity``: a number that changes with whatever takes memory."""
        self._activity = activity
        self._give_back = give_back
        self._seen = activity()
        self._quiet = QUIET_LOOKS

    def look(self) -> None:
        """To be called about once a second."""
        seen = self._activity()
        if seen != self._seen:
            self._seen, self._quiet = seen, 0
        elif self._quiet < QUIET_LOOKS:
            self._quiet += 1
            if self._quiet == QUIET_LOOKS:
                self._give_back()
