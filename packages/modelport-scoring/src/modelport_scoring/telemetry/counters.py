"""The numbers of a service's server processes, in memory that they share.

The supervisor makes the memory (``os.memfd_create``), hands its descriptor to each scoring server it starts, and tells
it which part is its own. Counting is a store into that part, so there is nothing to publish; whoever is asked for
metrics reads all parts. A server that dies leaves its numbers behind, and the one that is started in its place goes on
from them: no counter goes backwards while the supervisor lives.

It is memory and no file in the service's folder because a store into a mapped file waits now and then for the disk that
its page is being written to, and ends the process where the disk is full.
"""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Iterable, Iterator

from modelport_scoring.telemetry import layout

MEMORY_NAME = "modelport-metrics"
FRESH_S = 10.0
"""A process that has not written its gauges for so long is taken for gone."""


def share_memory() -> int:
    """A descriptor of new, empty memory for all processes of a service. Whoever starts one passes it on."""
    return os.memfd_create(MEMORY_NAME, os.MFD_CLOEXEC)


class Counters:
    """One process's part of the memory. No two living processes may have the same ``process``."""

    def __init__(self, memory: int, *, process: int = 0) -> None:
        self.memory = memory
        self.process = process
        start = process * layout.PART_BYTES
        # Never shortens, whoever else does the same meanwhile with another part.
        os.posix_fallocate(memory, start + layout.PART_BYTES - 1, 1)
        self._part = memoryview(mmap.mmap(memory, layout.PART_BYTES, offset=start)).cast("d")
        self.head = self._part[: layout.ROWS_START]
        self._keys = self.head[layout.KEYS]
        self._begin()

    def row(self, revision: int) -> tuple[memoryview[float], int | None]:
        """The numbers of that revision from where they stand; and the revision that gave way for it, if one had to."""
        key = revision + 1.0
        given_way = None
        if key not in self._keys:
            number = list(self._keys).index(0.0) if 0.0 in self._keys else self._idlest()
            given_way = int(self._keys[number]) - 1 if self._keys[number] else None
            self._keys[number] = 0.0
            clear(self._row(number))
            self._keys[number] = key
        row = self._row(list(self._keys).index(key))
        row[layout.USED_AT] = time.monotonic()
        return row, given_way

    def _idlest(self) -> int:
        return min(range(layout.ROWS), key=lambda number: self._row(number)[layout.USED_AT])

    def _row(self, number: int) -> memoryview[float]:
        start = layout.ROWS_START + number * layout.ROW_SLOTS
        return self._part[start : start + layout.ROW_SLOTS]

    def _begin(self) -> None:
        # New memory holds nothing but 0.0, and clearing it would only make it real.
        if self.head[layout.DIGEST_SLOT] not in (0.0, layout.DIGEST):
            clear(self._part)
        clear(self.head[layout.GAUGES])
        self.head[layout.PID] = os.getpid()
        self.head[layout.PUBLISHED_AT] = time.monotonic()
        self.head[layout.DIGEST_SLOT] = layout.DIGEST


def heads(memory: int, processes: Iterable[int]) -> list[memoryview[float]]:
    """The first numbers of each process's part, as they are at any moment. A part that is not there yet is made."""
    found = []
    for process in processes:
        start = process * layout.PART_BYTES
        os.posix_fallocate(memory, start + layout.PART_BYTES - 1, 1)
        mapped = mmap.mmap(memory, mmap.PAGESIZE, prot=mmap.PROT_READ, offset=start)
        found.append(memoryview(mapped).cast("d"))
    return found


def clear(slots: memoryview[float]) -> None:
    """Set all of them to 0."""
    slots[:] = memoryview(bytes(slots.nbytes)).cast("d")


class Part:
    """What one process had counted when it was read."""

    def __init__(self, *, process: int, head: memoryview[float], rows: dict[int, memoryview[float]]) -> None:
        self.process = process
        self.head = head
        self.rows = rows

    def read_pid(self) -> int:
        """The process's id."""
        return int(self.head[layout.PID])

    @property
    def is_fresh(self) -> bool:
        """Whether the process lives, and its gauges say how it is."""
        return time.monotonic() - self.head[layout.PUBLISHED_AT] < FRESH_S


def read_parts(memory: int) -> Iterator[Part]:
    """All parts that this release wrote, living processes' or not."""
    for process in range(os.fstat(memory).st_size // layout.PART_BYTES):
        start = process * layout.PART_BYTES
        head = read_doubles(memory, start, layout.ROWS_START)
        if head[layout.DIGEST_SLOT] == layout.DIGEST:
            yield Part(process=process, head=head, rows=read_rows(memory, start, keys=head[layout.KEYS]))


def read_rows(memory: int, start: int, *, keys: memoryview[float]) -> dict[int, memoryview[float]]:
    """Revisions and their numbers, of the part that starts at that byte."""
    offset = start + layout.ROWS_START * layout.DOUBLE
    size = layout.ROW_SLOTS * layout.DOUBLE
    return {
        int(key) - 1: read_doubles(memory, offset + number * size, layout.ROW_SLOTS)
        for number, key in enumerate(keys)
        if key
    }


def read_doubles(memory: int, offset: int, count: int) -> memoryview[float]:
    """So many from that byte on. Unlike a look into a mapping, this makes no page real that nobody has written to."""
    return memoryview(os.pread(memory, count * layout.DOUBLE, offset)).cast("d")
