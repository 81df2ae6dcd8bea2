"""A body on its way in, in the memory that it will stay in."""

from __future__ import annotations

MOST_AHEAD = 8
"""From the second piece on, memory is taken for so many times what has come, and not for all that a client says that it
will send. Were it taken for each piece, most of a large body would be copied several times. With the first one the
budget has not said yet that there is room for the rest."""


class ArrivingBody:
    """The pieces of one body, one behind another."""

    __slots__ = ("_length", "_memory", "_size")

    def __init__(self, length: int | None) -> None:
        """``length``: in bytes, where it is told; no more will be added then."""
        self._length = length
        self._memory = bytearray()
        self._size = 0

    def __len__(self) -> int:
        """How many bytes have come."""
        return self._size

    def add(self, piece: bytes | memoryview) -> None:
        """Copy one more piece behind the others."""
        start = self._size
        self._size += len(piece)
        if self._length is None:
            self._memory += piece
            return
        if self._size > len(self._memory):
            self._take_more(min(self._length, MOST_AHEAD * self._size) if start else self._size)
        self._memory[start : self._size] = piece

    def _take_more(self, size: int) -> None:
        larger = bytearray(size)
        larger[: len(self._memory)] = self._memory
        self._memory = larger

    @property
    def whole(self) -> bytearray:
        """The body, once all of it has come."""
        return self._memory
