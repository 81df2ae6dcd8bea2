"""Memory through which large bodies cross to a worker and back: a copy on each side instead of two through a socket."""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from typing import Any, NamedTuple

SMALLEST_BYTES = 64 * 1024
"""A smaller body is quicker through the socket."""

LARGEST_BYTES = 16 * 1024 * 1024
"""Larger ones go through the socket, so that a few of them do not keep the memory of many."""

KEPT_BYTES = 8 * 1024 * 1024
"""So much stays ours when nothing has crossed for a while; what was used beyond is given back."""


class Slot(NamedTuple):
    """A place in the arena: where it begins in the memory, and its size."""

    offset: int
    capacity: int


class Arriving(NamedTuple):
    """What a place in which a body arrives belongs to."""

    arena: Arena
    slot: Slot
    size: int
    """Of the body, in bytes."""


class Place:
    """Mixed into an array of ctypes that lies in an arena: whoever looks at its memory holds it, and with the last one
    who does its slot is free."""

    arriving: Arriving | None = None
    """None until it is a body's: then it goes without a word."""

    def __del__(self) -> None:
        if self.arriving is not None:
            self.arriving.arena.vacate(self.arriving)


@cache
def place_type(capacity: int) -> Any:
    """The type of the places of that size; there are as many as there are sizes of slots."""
    return type("PlaceOf", (Place, ctypes.c_ubyte * capacity), {})


def arriving_in(body: bytes | bytearray | memoryview) -> Arriving | None:
    """Where the body lies whole, if that is in an arena."""
    place: object = body.obj if isinstance(body, memoryview) else None
    arriving = place.arriving if isinstance(place, Place) else None
    return arriving if arriving is not None and arriving.size == len(body) else None


class Arena:
    """Hands out slots of a few sizes. A slot belongs to one request from when it is sent until its answer has come, or
    to a body from when it arrives until nobody holds it any more."""

    def __init__(self, memory: mmap.mmap, *, start: int) -> None:
        """The arena is what of ``memory`` begins at ``start``, a multiple of the page size."""
        self._memory = memory
        self._start = self._end = start
        self._free: dict[int, list[Slot]] = {}
        self._in_use = 0
        self.moves = 0
        """Changes with each slot that is taken or freed."""
        self.arriving = 0
        """Bodies that arrive here, or have and are still held."""
        self._arriving_bytes = 0

    def put(self, body: bytes | bytearray | memoryview) -> Slot | None:
        """Copy the body into a slot; None where it is too large, or no slot is free."""
        slot = self.take(len(body))
        if slot is not None:
            try:
                self._memory[slot.offset : slot.offset + len(body)] = body
            except BaseException:  # nobody else would free it
                self.free(slot)
                raise
        return slot

    def take(self, size: int) -> Slot | None:
        """A slot for so many bytes; None where they are too many, or none is free."""
        return None if size > LARGEST_BYTES else self._take_slot(capacity_for(size))

    def receive(self, size: int) -> memoryview | None:
        """Memory for a body of that size to arrive in; None where it is too large, or there is no room, or the memory
        has gone with its worker, which its pool may not know yet. Slow clients may hold much of it for long: half of
        the arena at most is for them."""
        if self._memory.closed:
            return None
        most = (len(self._memory) - self._start) // 2
        if size > LARGEST_BYTES or self._arriving_bytes + capacity_for(size) > most:
            return None
        slot = self._take_slot(capacity_for(size))
        if slot is None:
            return None
        try:
            place = place_type(slot.capacity).from_buffer(self._memory, slot.offset)
            place.arriving = Arriving(self, slot, size)
        except BaseException:
            self.free(slot)
            raise
        self.arriving += 1
        self._arriving_bytes += slot.capacity
        return memoryview(place).cast("B")[:size]

    def vacate(self, arriving: Arriving) -> None:
        """Nobody holds that body any more."""
        self.arriving -= 1
        self._arriving_bytes -= arriving.slot.capacity
        self.free(arriving.slot)

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
        self.moves += 1

    def give_back(self) -> None:
        """Give the memory back to the system, where no slot is taken. The next bodies have to get each page of it anew,
        which takes longer than to copy them: this is for when none come."""
        if not self._in_use and self._end - self._start > KEPT_BYTES and not self._memory.closed:
            self._memory.madvise(mmap.MADV_REMOVE, self._start, self._end - self._start)
            self._begin_anew()

    def _take_slot(self, capacity: int) -> Slot | None:
        if not self._in_use and not self._free.get(capacity) and not self._has_left(capacity):
            self._begin_anew()  # it is all slots of other sizes
        free = self._free.setdefault(capacity, [])
        if free:
            slot = free.pop()
        elif self._has_left(capacity):
            slot = Slot(self._end, capacity)
            self._end += capacity
        else:
            larger = [each for each, slots in self._free.items() if slots and each > capacity]
            if not larger:
                return None
            slot = self._free[min(larger)].pop()
        self._in_use += 1
        self.moves += 1
        return slot

    def _has_left(self, capacity: int) -> bool:
        """Whether there is so much that no slot has been made of."""
        return self._end + capacity <= len(self._memory)

    def _begin_anew(self) -> None:
        """No slot is taken: forget what sizes there were."""
        self._free.clear()
        self._end = self._start


def capacity_for(size: int) -> int:
    """How large a slot has to be, in bytes."""
    return max(SMALLEST_BYTES, 1 << (size - 1).bit_length())
