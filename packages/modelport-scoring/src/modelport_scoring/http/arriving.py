"""A body on its way in, in the memory that it will stay in."""

from __future__ import annotations

MOST_AHEAD = 8
"""Once an eighth has come, memory is taken for all of a body: not for what a client only says that it will send, and
not for each piece, by which most of a large body would be copied several times. Not with the first piece either: the
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
        if len(self._memory) == self._length:
            self._memory[start : self._size] = piece
        elif self._length is None or not start or MOST_AHEAD * self._size < self._length:
            self._memory += piece
        else:
            whole = bytearray(self._length)
            whole[:start] = self._memory
            whole[start : self._size] = piece
            self._memory = whole

    @property
    def whole(self) -> bytearray:
        """The body, once all of it has come."""
        return self._memory
