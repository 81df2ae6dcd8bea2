"""A body on its way in, in the memory that it will stay in."""

from __future__ import annotations

import os
from collections.abc import Callable

MOST_AHEAD = 8
"""Once an eighth has come, memory is taken for all of a body: not for what a client only says that it will send, and
not for each piece, by which most of a large body would be copied several times. Not with the first piece either: the
budget has not said yet that there is room for the rest."""


class ArrivingBody:
    """The pieces of one body, one behind another."""

    __slots__ = ("_all", "_length", "_memory_for_all", "_pieces", "_size")

    def __init__(self, length: int | None, *, memory: Callable[[], memoryview | None] = lambda: None) -> None:
        """``length``: in bytes, where it is told; no more will be added then. ``memory`` gives memory for all of it, or
        None where that may be anywhere."""
        self._length = length
        self._memory_for_all = memory
        self._pieces = bytearray()
        self._all: bytearray | memoryview | None = None
        """Memory for all of it, once that is taken; the pieces are there then."""
        self._size = 0

    def __len__(self) -> int:
        """How many bytes have come."""
        return self._size

    def add(self, piece: bytes | bytearray | memoryview) -> None:
        """Copy one more piece behind the others."""
        start = self._size
        self._size += len(piece)
        if self._all is None:
            length = self._length
            if length is None or not start or MOST_AHEAD * self._size < length:
                self._pieces += piece
                return
            self._all = self._memory_for_all() or bytearray(length)
            self._all[:start] = self._pieces
            self._pieces = bytearray()
        self._all[start : self._size] = piece

    def read(self, descriptor: int) -> int:
        """Have the system put what has come at that socket behind the pieces, where there is memory for all of it.
        Returns how many bytes that were: 0 also where the connection has ended, which whoever waits for it will
        find."""
        if self._all is None or self._size == self._length:
            return 0
        try:
            with memoryview(self._all)[self._size :] as room:
                count = os.readv(descriptor, (room,))
        except OSError:
            return 0
        self._size += count
        return count

    @property
    def whole(self) -> bytearray | memoryview:
        """The body, once all of it has come."""
        return self._pieces if self._all is None else self._all
