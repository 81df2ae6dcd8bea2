"""What the C library does with memory that is freed (glibc's mallopt; elsewhere nothing is changed)."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable

TRIM_THRESHOLD = -1
MMAP_THRESHOLD = -3
"""Parameters of mallopt(3)."""

KEPT_BYTES = 16 * 1024 * 1024
MAPPED_FROM_BYTES = 4 * 1024 * 1024

QUIET_LOOKS = 3
"""After so many looks, about a second apart, between which nothing has happened, memory is given back."""


def keep_freed_memory() -> None:
    """Keep up to 16 MiB that were freed at the top of the heap, instead of giving them back at once.

    Bodies come and go. By default 128 KiB are enough to be given back, so that with bodies of 100 KB every second or
    third request asked the kernel for memory, and touched each of its pages for the first time.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, MAPPED_FROM_BYTES)


class IdleMemory:
    """Gives what was freed, wherever it lies, back to the system once nothing has happened for some seconds.

    A busy hour leaves holes all over the heap that no trimming of its top reaches; they look like a leak.
    """

    def __init__(self, activity: Callable[[], int]) -> None:
        """``activity``: a number that changes with whatever takes memory."""
        self._activity = activity
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
                give_back()


def give_back() -> None:
    """Have the C library give back what it can (malloc_trim(3); elsewhere nothing happens)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
