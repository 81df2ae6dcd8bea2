"""How far what was written to a connection has come: what the transport holds, and what the system tells of its socket.

The transport alone cannot say: what it holds no more, the system may hold still.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import socket
import struct
import termios

from modelport_scoring.http.paced import PacedTransport

TCP_INFO = getattr(socket, "TCP_INFO", 11)
BYTES_ACKED = struct.Struct("=Q")
BYTES_ACKED_AT = 120
"""``tcpi_bytes_acked`` in ``struct tcp_info`` of Linux, since 4.1."""

QUEUED = struct.Struct("=i")


class Delivery:
    """Of one connection, from its begin to its end."""

    __slots__ = ("_before", "_descriptor", "_paced", "_since", "_socket", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._paced = transport if isinstance(transport, PacedTransport) else None
        self._socket: socket.socket | None = transport.get_extra_info("socket")
        self._descriptor = -1 if self._socket is None else self._socket.fileno()
        self._before = 0
        self._since = 0.0

    @property
    def is_whole(self) -> bool:
        """Whether the other end's system has got all that was written."""
        return not self._transport.get_write_buffer_size() and not queued_bytes(self._descriptor)

    @property
    def unread_bytes(self) -> int:
        """What the system has not taken of it."""
        return self._transport.get_write_buffer_size()

    @property
    def held_bytes(self) -> int:
        """The memory that this takes here."""
        return self.unread_bytes if self._paced is None else self._paced.held_bytes

    @property
    def progress(self) -> int:
        """A number that grows with what the other end takes."""
        acked = None if self._socket is None else acked_bytes(self._socket)
        return -self._transport.get_write_buffer_size() if acked is None else acked

    def watch(self, now: float) -> None:
        """Note how far it is, for ``stalled_s``."""
        self._before, self._since = self.progress, now

    def stalled_s(self, now: float) -> float:
        """For how long the other end has taken nothing, as far as was seen by asking now and then."""
        if self.progress > self._before:
            self.watch(now)
        return now - self._since


def acked_bytes(channel: socket.socket) -> int | None:
    """Bytes of ours that the other end's system has acknowledged; None where that cannot be told."""
    try:
        info = channel.getsockopt(socket.IPPROTO_TCP, TCP_INFO, BYTES_ACKED_AT + BYTES_ACKED.size)
        return int(BYTES_ACKED.unpack_from(info, BYTES_ACKED_AT)[0])
    except (OSError, struct.error):
        return None


def queued_bytes(descriptor: int) -> int:
    """Bytes of ours that the other end's system has not acknowledged; 0 where that cannot be told."""
    with contextlib.suppress(OSError, ValueError):
        answer = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(QUEUED.size))
        return int(QUEUED.unpack(answer)[0])
    return 0
