"""What goes out by TLS, piece by piece as the client reads it.

TLS encrypts all that it is given at once, into a buffer that keeps the size of the most that ever went through it, and
hands it to the socket's transport, of which it does not tell what that holds. So it is given little at a time: the rest
waits here, once and as it was written, and is counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import chain
from typing import Any

Data = bytes | bytearray | memoryview

PIECE_BYTES = 64 * 1024
"""TLS gets so much at once."""

BELOW_BYTES = 4 * PIECE_BYTES
"""What TLS and the socket's transport hold at most where they take no more: that one takes what it is given as long as
it holds no more than 64 KiB; one piece more is encrypted, in a buffer that grows by a third."""

MOST_AT_ONCE_BYTES = 16 * PIECE_BYTES
"""Of one connection, for whose client the system takes all, in one turn of the event loop: about a millisecond."""


class PacedTransport(asyncio.Transport, asyncio.BaseProtocol):
    """Stands between TLS and a connection: to that it is the transport, to TLS the protocol."""

    __slots__ = (
        "_closing",
        "_connection",
        "_encrypting",
        "_goes_on_soon",
        "_handed_over",
        "_high",
        "_is_full",
        "_loop",
        "_low",
        "_paused",
        "_queue",
        "_queued",
        "data_received",
    )

    def __init__(self, encrypting: asyncio.Transport, connection: asyncio.Protocol) -> None:
        """``encrypting``: the transport of TLS; from now on it talks to this one instead of the connection."""
        self._encrypting = encrypting
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._queue: deque[Data] = deque()
        self._queued = 0
        """Bytes in it."""
        self._is_full = False
        """TLS takes no more for now."""
        self._paused = False
        """So the connection was told."""
        self._goes_on_soon = False
        self._closing = False
        """Once all is written."""
        self._handed_over = 0
        """Bytes that TLS got at once, at the end."""
        self._high = self._low = 0
        self.data_received = connection.data_received
        encrypting.set_protocol(self)
        encrypting.set_write_buffer_limits(high=1)  # what it keeps, it keeps because the one below takes no more

    # --- to the connection, the transport -----------------------------------------------------------------------------

    def write(self, data: Data) -> None:
        if self._queue or self._is_full or len(data) > PIECE_BYTES:
            self.writelines((data,))
        else:  # nearly always
            self._encrypting.write(data)

    def writelines(self, list_of_data: Iterable[Data]) -> None:
        if self.is_closing():
            return
        for data in list_of_data:
            self._queue.append(data)
            self._queued += len(data)
        if not self._goes_on_soon:  # else this turn's part has been given already
            self._go_on()
        if not self._paused and self.get_write_buffer_size() > self._high:
            self._paused = True
            self._connection.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 4 * PIECE_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._queued + self._encrypting.get_write_buffer_size()

    @property
    def held_bytes(self) -> int:
        """The memory that this takes, with what is below."""
        if self._handed_over:
            return 2 * self._handed_over
        return self.get_write_buffer_size() + (BELOW_BYTES if self._is_full else 0)

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if self._queue:
            self._encrypting.resume_reading()  # what still comes is nothing to the connection
        else:
            self._encrypting.close()

    def abort(self) -> None:
        self._closing = True
        self._drop()
        self._encrypting.abort()

    def is_closing(self) -> bool:
        return self._closing or self._encrypting.is_closing()

    def can_write_eof(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return self._encrypting.is_reading()

    def pause_reading(self) -> None:
        self._encrypting.pause_reading()

    def resume_reading(self) -> None:
        self._encrypting.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._encrypting.get_extra_info(name, default)

    # --- to TLS, the protocol -----------------------------------------------------------------------------------------

    def eof_received(self) -> None:
        """The client has ended its side. After this, TLS takes nothing more: what is left it gets now."""
        self._connection.eof_received()
        if self._queue:
            self._handed_over = self._queued
            queue = list(self._queue)
            self._drop()
            self._encrypting.writelines(queue)

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        self._paused = False
        self._drop()
        self._connection.connection_lost(error)

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False
        self._go_on()

    # --- between the two ----------------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        """Give TLS what it takes now; the rest when it takes more, or others have had their turn of the event loop."""
        left = MOST_AT_ONCE_BYTES
        while self._queue and not self._is_full:
            if left <= 0:
                self._go_on_soon()
                break
            piece = self._piece()
            left -= len(piece)
            self._encrypting.write(piece)
        if self._closing and not self._queue:
            self._encrypting.close()
        if self._paused and self.get_write_buffer_size() <= self._low:
            self._paused = False
            self._connection.resume_writing()

    def _go_on_soon(self) -> None:
        if not self._goes_on_soon:
            self._goes_on_soon = True
            self._loop.call_soon(self._go_on_now)

    def _go_on_now(self) -> None:
        self._goes_on_soon = False
        self._go_on()

    def _piece(self) -> Data:
        """Take the next bytes out of the queue: of a large part some, without a copy; of small ones as many as fit,
        since each that TLS gets is a record of its own."""
        first = self._queue.popleft()
        size = len(first)
        if size > PIECE_BYTES:
            view = memoryview(first)
            self._queue.appendleft(view[PIECE_BYTES:])
            self._queued -= PIECE_BYTES
            return view[:PIECE_BYTES]
        others = []
        while self._queue and size + len(self._queue[0]) <= PIECE_BYTES:
            others.append(self._queue.popleft())
            size += len(others[-1])
        self._queued -= size
        return b"".join(chain((first,), others)) if others else first

    def _drop(self) -> None:
        self._queue.clear()
        self._queued = 0
