"""Memory through which large bodies cross to a worker and back: a copy on each side instead of two through a socket."""

from __future__ import annotations

import mmap
from typing import NamedTuple

SMALLEST_BYTES = 64 * 1024
"""A smaller body is quicker through the socket."""

LARGEST_BYTES = 16 * 1024 * 1024
"""Larger ones go through the socket, so that a few of them do not keep the memory of many."""

KEPT_BYTES = 8 * 1024 * 1024
"""So much stays in use when nothing crosses; what was used beyond is given back."""


class Slot(NamedTuple):
    """A place in the arena: where it begins in the memory, and its size."""

    offset: int
    capacity: int


class Arena:
    """Hands out slots of a few sizes. A slot belongs to one request from when it is sent until its answer has come."""

    def __init__(self, memory: mmap.mmap, *, start: int) -> None:
        """The arena is what of ``memory`` begins at ``start``, a multiple of the page size."""
        self._memory = memory
        self._start = self._end = start
        self._free: dict[int, list[Slot]] = {}
        self._in_use = 0

    def put(self, body: bytes | bytearray | memoryview) -> Slot | None:
        """Copy the body into a slot; None where it is too large, or no slot is free."""
        if len(body) > LARGEST_BYTES:
            return None
        slot = self._take_slot(max(SMALLEST_BYTES, 1 << (len(body) - 1).bit_length()))
        if slot is not None:
            self._memory[slot.offset : slot.offset + len(body)] = body
        return slot

    def view(self, slot: Slot, length: int) -> memoryview:
        """What the worker has put into the slot: to be released before that is freed. Raises ValueError where it cannot
        be."""
        if length > slot.capacity:
            raise ValueError(f"{length} bytes in a place of {slot.capacity}")
        return memoryview(self._memory)[slot.offset : slot.offset + length]

    def free(self, slot: Slot) -> None:
        """The slot can be used again."""
        self._free[slot.capacity].append(slot)
        self._in_use -= 1
        if not self._in_use and self._end - self._start > KEPT_BYTES:
            self._memory.madvise(mmap.MADV_REMOVE, self._start, self._end - self._start)
            self._free.clear()
            self._end = self._start

    def _take_slot(self, capacity: int) -> Slot | None:
        free = self._free.setdefault(capacity, [])
        if free:
            self._in_use += 1
            return free.pop()
        if self._end + capacity > len(self._memory):
            return None
        slot = Slot(self._end, capacity)
        self._end += capacity
        self._in_use += 1
        return slot
