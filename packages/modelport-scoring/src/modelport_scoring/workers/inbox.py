"""Frames from a worker: whole ones, however they are cut on their way."""

from __future__ import annotations

import io
from typing import Protocol

from modelport_worker.frames import BATCH, CHUNK, FAILED, HEADER, HEADER_SIZE, PHASE, READY, RESULT, RESULTS

COLLECTED_BYTES = 512 * 1024
"""From here on a payload is collected where it will stay: it is never there twice."""

MOST_META_BYTES = 16 * 1024 * 1024
MOST_OTHER_BYTES = 64 * 1024 * 1024
"""Of a frame that is no answer. Answers may be as long as a frame can be."""

ANSWERS = frozenset((RESULT, CHUNK))
OTHERS = frozenset((PHASE, READY, FAILED, RESULTS, BATCH))


class FrameObserver(Protocol):
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

    def garbage_received(self, what: str) -> None:
        """The worker does not keep to the protocol; nothing more is read from it."""


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


class Inbox:
    """Collects what arrives until a frame is whole, and hands it over."""

    __slots__ = ("_chunks", "_garbage", "_large", "_needed", "_observer", "_received")

    def __init__(self, observer: FrameObserver) -> None:
        self._observer = observer
        self._chunks: list[bytes] = []
        """The beginning of a frame, and how long that is."""
        self._received = 0
        self._needed = HEADER_SIZE
        """So much of the frame has to be there before it is looked at again."""
        self._large: LargeFrame | None = None
        self._garbage = False

    def receive(self, data: bytes) -> None:
        """Take what has arrived."""
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
