"""What passes through: a request's body, as long as it may have to be sent once more, and its answer."""

from __future__ import annotations

from modelport_scoring.http.request import Head
from modelport_scoring.http.response import LAST_CHUNK, in_chunk
from modelport_scoring.router.heads import AnswerHead

MOST_KEPT_BYTES = 256 * 1024
"""So much of a request is kept until the answer begins, to be sent once more where it has not reached anybody."""


class KeptBody:
    """What has come of a request's body, as it goes out: until the answer begins, or there is more than is kept."""

    __slots__ = ("is_too_long", "parts", "size")

    def __init__(self) -> None:
        self.parts: list[bytes] | None = []
        """None once it is kept no more."""
        self.size = 0
        self.is_too_long = False

    def add(self, parts: list[bytes], size: int) -> None:
        """More of it, of so many bytes."""
        if self.parts is not None:
            self.parts += parts
            self.size += size
            self.is_too_long = self.size > MOST_KEPT_BYTES

    def drop(self) -> None:
        """It is sent no more."""
        self.parts = None


class PassedAnswer:
    """A server's answer as its client can read it: one of unknown length in chunks, or up to the end of the connection
    where the client speaks HTTP/1.0."""

    __slots__ = ("_in_chunks", "_out", "has_begun", "is_last")

    def __init__(self) -> None:
        self.has_begun = False
        self.is_last = False
        """The client's connection ends with it."""
        self._in_chunks = False
        self._out: list[bytes] = []

    def begin(self, head: AnswerHead, request: Head, *, has_body: bool, is_last: bool) -> None:
        """Its head has come, as the answer to that request. ``is_last``: the connection ends with it, however it is
        framed."""
        is_old = request.version == "1.0"
        tells_its_end = not has_body or head.length is not None
        self.has_begun = True
        self.is_last = is_last or (is_old and not tells_its_end)
        self._in_chunks = not is_old and not tells_its_end
        self._out.append(head.to_bytes(chunked=self._in_chunks, is_last=self.is_last, is_old=is_old))

    def add(self, piece: bytes) -> None:
        """More of its body."""
        if self._in_chunks:
            self._out += in_chunk(piece)
        else:
            self._out.append(piece)

    def end(self) -> None:
        """It is whole."""
        if self._in_chunks:
            self._out.append(LAST_CHUNK)

    def take(self) -> list[bytes]:
        """What is to be sent now."""
        out, self._out = self._out, []
        return out
