"""The framing of a chunked body, and how much of it there may be."""

from __future__ import annotations

from modelport_scoring.http.framing import Unreadable, long_framing
from modelport_scoring.settings.service import Limits

MOST_OVERHEAD = 16
"""Bytes of framing for each byte of the body: one byte in a chunk of its own needs five."""

CHECKED_BYTES = 8192
"""At each so many bytes, counted from the end of the head on, the framing is measured: at the same places however the
body came, so that it is taken or refused whatever the reads were."""


class ChunkFraming:
    """Lengths and extensions of the chunks of one body, and its trailers: the parser reads over as many as there are,
    and nothing here needs them."""

    __slots__ = ("_size",)

    def __init__(self, size: int) -> None:
        """``size``: of what has come behind the head already; some more or less where another request was before it in
        one piece."""
        self._size = size

    @property
    def next_piece(self) -> int:
        """How many bytes it is until it is to be measured."""
        return CHECKED_BYTES - self._size % CHECKED_BYTES

    def fed(self, size: int, *, body_bytes: int, limits: Limits) -> None:
        """So many bytes more were parsed; of the body there are ``body_bytes`` now. Raises Unreadable."""
        self._size += size
        if self._size % CHECKED_BYTES:
            return
        if self._size > limits.max_header_bytes + (1 + MOST_OVERHEAD) * body_bytes:
            raise Unreadable(long_framing(limits))
