"""The server's end of the socket to a worker: frames out, frames in."""

from __future__ import annotations

import asyncio
import io
from typing import Protocol, cast

from modelport_scoring.written_now import descriptor_of, write_now
from modelport_worker.frames import (
    BATCH,
    CHUNK,
    FAILED,
    HEADER,
    HEADER_SIZE,
    MOST_TOGETHER_BYTES,
    PHASE,
    READY,
    RESULT,
    RESULTS,
    SCORE,
    SCORES,
    lengths,
)

MOST_UNSENT_BYTES = 256 * 1024
"""Above this, the link asks for no more frames until the worker has read some."""

LARGE_BYTES = 64 * 1024
"""From here on a payload is written by itself: one more call costs less than one more copy."""

COLLECTED_BYTES = 512 * 1024
"""From here on a payload is collected where it will stay: it is never there twice."""

MOST_META_BYTES = 16 * 1024 * 1024
MOST_OTHER_BYTES = 64 * 1024 * 1024
"""Of a frame that is no answer. Answers may be as long as a frame can be."""

Payload = bytes | bytearray | memoryview

ANSWERS = frozenset((RESULT, CHUNK))
OTHERS = frozenset((PHASE, READY, FAILED, RESULTS, BATCH))


class LinkObserver(Protocol):
    """Who is told what the worker says. No method may raise."""

    def answer_received(
        self, request_id: int, kind: int, code: int, flags: int, micros: int, meta: bytes, payload: bytes
    ) -> None:
        """One whole RESULT or CHUNK. All by position: this is called for every answer."""

    def frame_received(
        self, request_id: int, kind: int, code: int, flags: int, micros: int, meta: bytes, payload: bytes
    ) -> None:
        """One whole frame of another kind."""

    def frames_handled(self) -> None:
        """All frames that had arrived have been handed over."""

    def link_has_room(self) -> None:
        """The worker has read what was kept here for it."""

    def garbage_received(self, what: str) -> None:
        """The worker does not keep to the protocol; nothing more is read from it."""

    def link_closed(self) -> None:
        """The other end is closed."""


class LargeFrame:
    """A frame of which a part has been received. Its payload is collected in a BytesIO, which gives up its memory as
    bytes, without a copy."""

    __slots__ = ("_payload", "code", "flags", "id", "kind", "meta", "micros", "size")

    def __init__(self, start: bytes) -> None:
        """``start``: the frame's header, its meta, and what there is of its payload."""
        self.size: int
        self.id, self.size, meta_size, self.micros, self.code, self.kind, self.flags = HEADER.unpack_from(start)
        middle = HEADER_SIZE + meta_size
        self.meta = start[HEADER_SIZE:middle]
        self._payload = io.BytesIO()
        self._payload.write(memoryview(start)[middle:])

    def fill(self, data: bytes) -> bytes:
        """Take what belongs to the frame; returns the rest."""
        missing = self.size - self._payload.tell()
        self._payload.write(data if len(data) <= missing else memoryview(data)[:missing])
        return data[missing:]

    @property
    def is_whole(self) -> bool:
        return self._payload.tell() == self.size

    @property
    def payload(self) -> bytes:
        return self._payload.getvalue()


class Link(asyncio.Protocol):
    """Reads always, so that the worker never blocks on its answers while the server waits to send: what the worker
    does not read yet is kept here, at most a few frames of it."""

    __slots__ = (
        "_alike",
        "_alike_bytes",
        "_alike_flags",
        "_chunks",
        "_closed",
        "_descriptor",
        "_first_alike",
        "_garbage",
        "_large",
        "_loop",
        "_most_alike",
        "_needed",
        "_observer",
        "_outgoing",
        "_received",
        "_transport",
        "has_room",
    )

    def __init__(self, observer: LinkObserver, *, loop: asyncio.AbstractEventLoop, most_alike: int = 1) -> None:
        """``most_alike``: so many requests may go to the worker in one frame."""
        self.has_room = True
        self._loop = loop
        self._outgoing: list[bytes | bytearray] = []
        """Sent together when the event loop has seen to everything that had arrived: each write of its own would wake
        the worker for one frame."""
        self._alike: list[Payload] = []
        """The payloads of requests that will go out as one frame, and how long they are together."""
        self._alike_bytes = 0
        self._alike_flags = 0
        self._first_alike = 0
        self._most_alike = most_alike
        self._observer = observer
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._received = 0
        self._needed = HEADER_SIZE
        self._closed = False
        self._descriptor: int | None = None
        self._garbage = False
        self._large: LargeFrame | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=MOST_UNSENT_BYTES)
        self._descriptor = descriptor_of(self._transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        self._observer.link_closed()

    def pause_writing(self) -> None:
        self.has_room = False

    def resume_writing(self) -> None:
        self.has_room = True
        self._observer.link_has_room()

    def send(self, request_id: int, kind: int, payload: Payload = b"", meta: bytes = b"", flags: int = 0) -> None:
        """Send one frame, within this turn of the event loop. Nothing happens on a closed link: whoever sends learns of
        that by ``link_closed``."""
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
        if transport is None or self._closed or transport.is_closing():
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
        if not self._closed and self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(parts)

    def pause(self) -> None:
        """Read nothing for now: whoever gets what the worker makes does not keep up."""
        if not self._closed and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._closed and self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """Drop the link and what was not sent."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._garbage:
            return
        if self._large is not None:
            data = self._fill(self._large, data)
            if self._large is not None:
                return
        elif self._chunks:
            self._chunks.append(data)
            self._received += len(data)
            if self._received < self._needed:
                return
            data = b"".join(self._chunks)
            self._chunks = []
        self._split(data)
        if not self._garbage:
            self._observer.frames_handled()

    def _fill(self, large: LargeFrame, data: bytes) -> bytes:
        rest = large.fill(data)
        if large.is_whole:
            self._large = None
            received = self._observer.answer_received if large.kind in ANSWERS else self._observer.frame_received
            received(large.id, large.kind, large.code, large.flags, large.micros, large.meta, large.payload)
        return rest

    def _split(self, data: bytes) -> None:
        """Hand over the whole frames in ``data`` and keep the rest."""
        position, size = 0, len(data)
        self._needed = HEADER_SIZE
        answered, unpack = self._observer.answer_received, HEADER.unpack_from
        while size - position >= HEADER_SIZE:
            request_id, payload_size, meta_size, micros, code, kind, flags = unpack(data, position)
            if kind in ANSWERS:
                received = answered
            elif kind in OTHERS:
                received = self._observer.frame_received
            else:
                self.reject(f"a frame of the unknown kind {kind}")
                return
            whole = HEADER_SIZE + meta_size + payload_size
            if size - position < whole:
                if meta_size > MOST_META_BYTES or (kind not in ANSWERS and payload_size > MOST_OTHER_BYTES):
                    self.reject(f"a frame of the kind {kind} with {meta_size} and {payload_size} bytes")
                    return
                if payload_size >= COLLECTED_BYTES:
                    whole -= payload_size
                    if size - position >= whole:
                        self._large = LargeFrame(data[position:])
                        return
                self._needed = whole
                break
            start = position + HEADER_SIZE
            middle = start + meta_size
            position += whole
            received(request_id, kind, code, flags, micros, data[start:middle], data[middle:position])
        if position < size:
            self._chunks = [data[position:]]
            self._received = size - position

    def reject(self, what: str) -> None:
        """Read nothing more: the worker does not keep to the protocol."""
        if not self._garbage:
            self._garbage = True
            self._chunks = []
            self._observer.garbage_received(what)
