"""What the C library does with memory that is freed (glibc's mallopt; elsewhere nothing is changed)."""

from __future__ import annotations

import contextlib
import ctypes

TRIM_THRESHOLD = -1
MMAP_THRESHOLD = -3
"""Parameters of mallopt(3)."""

KEPT_BYTES = 16 * 1024 * 1024
MAPPED_FROM_BYTES = 4 * 1024 * 1024


def keep_freed_memory() -> None:
    """Keep up to 16 MiB that were freed at the top of the heap, instead of giving them back at once.

    Bodies come and go. By default 128 KiB are enough to be given back, so that with bodies of 100 KB every second or
    third request asked the kernel for memory, and touched each of its pages for the first time.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(MMAP_THRESHOLD, MAPPED_FROM_BYTES)
