"""Frames to a worker, in as few writes as may be."""

from __future__ import annotations

import asyncio

from modelport_scoring.http.written_now import descriptor_of, write_now
from modelport_worker.frames import HEADER, MOST_TOGETHER_BYTES, SCORE, SCORES, lengths

LARGE_BYTES = 64 * 1024
"""From here on a payload is written by itself: one more call costs less than one more copy."""

Payload = bytes | bytearray | memoryview


class Outbox:
    """What is given to it goes out within this turn of the event loop. On a link that is closed nothing happens:
    whoever sends learns of that by ``link_closed``."""

    __slots__ = (
        "_alike",
        "_alike_bytes",
        "_alike_flags",
        "_descriptor",
        "_first_alike",
        "_loop",
        "_most_alike",
        "_outgoing",
        "_transport",
    )

    def __init__(self, *, loop: asyncio.AbstractEventLoop, most_alike: int) -> None:
        """``most_alike``: so many requests may go to the worker in one frame."""
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._descriptor: int | None = None
        self._outgoing: list[bytes | bytearray] = []
        """Sent together when the event loop has seen to everything that had arrived: each write of its own would wake
        the worker for one frame."""
        self._alike: list[Payload] = []
        """The payloads of requests that will go out as one frame, and how long they are together."""
        self._alike_bytes = 0
        self._alike_flags = 0
        self._first_alike = 0
        self._most_alike = most_alike

    def open(self, transport: asyncio.Transport) -> None:
        """From now on it goes out by this."""
        self._transport = transport
        self._descriptor = descriptor_of(transport)

    def close(self) -> None:
        """Nothing more goes out."""
        self._transport = None

    def send(self, request_id: int, kind: int, payload: Payload = b"", meta: bytes = b"", flags: int = 0) -> None:
        """Send one frame."""
        outgoing = self._outgoing
        if self._alike:
            self._close_alike()
        elif not outgoing:
            self._loop.call_soon(self._send_outgoing)
        head = HEADER.pack(request_id, len(payload), len(meta), 0, 0, kind, flags)
        if len(payload) < LARGE_BYTES:
            outgoing.append(head + meta + payload)
        else:
            self._send_outgoing()
            self._write(head + meta, payload)

    def send_now(self, request_id: int, payload: Payload, meta: bytes, flags: int) -> None:
        """Send a request with less than LARGE_BYTES at once: the worker has nothing else to do."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._send_outgoing()
        head = HEADER.pack(request_id, len(payload), len(meta), 0, 0, SCORE, flags)
        write_now(transport, self._descriptor, head + meta + payload)

    def score(self, request_id: int, payload: Payload, flags: int) -> None:
        """Send a request with less than LARGE_BYTES and no ``meta``: in one frame with those before it, where they are
        alike. The ids of successive calls of this and ``send`` follow each other."""
        alike, size = self._alike, len(payload)
        if alike:
            if (
                flags != self._alike_flags
                or len(alike) >= self._most_alike
                or self._alike_bytes + size > MOST_TOGETHER_BYTES
            ):
                self._close_alike()
        elif not self._outgoing:
            self._loop.call_soon(self._send_outgoing)
        if not alike:
            self._alike_flags, self._first_alike = flags, request_id
        alike.append(payload)
        self._alike_bytes += size

    def _close_alike(self) -> None:
        alike, count = self._alike, len(self._alike)
        body = b"".join(alike)
        if count > 1:
            body = lengths(count).pack(*map(len, alike)) + body
            head = HEADER.pack(self._first_alike, len(body), 0, 0, count, SCORES, self._alike_flags)
        else:
            head = HEADER.pack(self._first_alike, len(body), 0, 0, 0, SCORE, self._alike_flags)
        self._outgoing.append(head + body)
        alike.clear()
        self._alike_bytes = 0

    def _send_outgoing(self) -> None:
        if self._alike:
            self._close_alike()
        if self._outgoing:
            data = b"".join(self._outgoing)
            self._outgoing.clear()
            self._write(data)

    def _write(self, *parts: Payload) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(parts)
