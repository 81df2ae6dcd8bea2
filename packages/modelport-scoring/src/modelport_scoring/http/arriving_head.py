"""A head on its way in: what httptools tells of it, and the bounds that it leaves to us."""

from __future__ import annotations

from modelport_scoring.http.framing import Unreadable, another_protocol, long_head, origin_form, too_many_headers
from modelport_scoring.http.known_heads import HEAD_END
from modelport_scoring.http.request import Head
from modelport_scoring.settings.service import Limits

WHITESPACE = b" \t"

LINE_OVERHEAD = 4
"""Bytes that a header line has beside its name and its value."""

MOST_LINES = 256
"""Headers of a request: what becomes of a short one takes thirty times its bytes, and a client that sends half a head
keeps them all."""

BETWEEN = {b"cookie": b"; "}
"""What joins the values of a repeated header, where that is no comma: HTTP/2 may send each cookie in a line of its own,
and what makes HTTP/1.1 of it does not always join them (RFC 9113, 8.2.3)."""


RTSP, ICE = OTHER_PROTOCOLS = (b"RTSP/1.", b"ICE/1.")
"""That the parser takes for HTTP, with some methods, and says nothing of."""

LINE_END_BYTES = 16
"""Of the first line, in which the protocol is named last."""


class ArrivingHead:
    """What has come of one head. Its bounds are judged with each piece: one read may bring thousands of lines more."""

    __slots__ = ("_headers", "_line_end", "_lines", "_repeated", "_size", "_tail", "_target", "fed_bytes", "in_line")

    def __init__(self) -> None:
        self.fed_bytes = 0
        """That the parser was given of it, and of empty lines before it, without coming to its end."""
        self.in_line = True
        """The first line is not whole, of what was given to the parser."""
        self._line_end = b""
        """The last that has come of that line."""
        self._tail = b""
        """The last of those: its end may come in pieces."""
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._repeated: dict[bytes, list[bytes]] = {}
        """The values of those that have come more than once, to be joined by one copy."""
        self._size = 0
        self._lines = 0

    def add_target(self, piece: bytes, limits: Limits) -> None:
        """More of its target. Raises Unreadable."""
        self._target += piece
        self._size += len(piece)
        if self._size > limits.max_header_bytes:
            raise Unreadable(long_head(limits))

    def add_header(self, name: bytes, value: bytes, limits: Limits) -> None:
        """One more line. Raises Unreadable."""
        name = name.lower()
        value = value.rstrip(WHITESPACE)  # the parser takes off what is in front of it only
        headers = self._headers
        self._size += len(name) + len(value) + LINE_OVERHEAD
        self._lines += 1
        if self._size > limits.max_header_bytes:
            raise Unreadable(long_head(limits))
        if self._lines > MOST_LINES:
            raise Unreadable(too_many_headers(MOST_LINES))
        if name in headers:
            self._repeated.setdefault(name, [headers[name]]).append(value)
        else:
            headers[name] = value

    def fed(self, data: bytes, limits: Limits) -> None:
        """The parser was given that, and has not come to the end. It keeps what belongs to no whole line, and says
        nothing of it. Raises Unreadable."""
        self.fed_bytes += len(data)
        if self.fed_bytes > limits.max_header_bytes:
            raise Unreadable(long_head(limits))
        self._tail = (self._tail + data)[1 - len(HEAD_END) :]
        if self.in_line:
            self._line_fed(data)

    def _line_fed(self, data: bytes) -> None:
        """More of the first line, or of empty ones before it. Raises Unreadable where it names another protocol."""
        line = self._line_end + data if self._line_end else data.lstrip(b"\r\n")
        end = line.find(b"\n")
        if end < 0:
            self._line_end = line[-LINE_END_BYTES:]
            return
        self.in_line = False
        protocol = line[max(0, end - LINE_END_BYTES) : end].rpartition(b" ")[2]
        if protocol.startswith(OTHER_PROTOCOLS):
            raise Unreadable(another_protocol())

    def end_in(self, data: bytes) -> int:
        """Where it ends in the bytes that brought its end."""
        return (self._tail + data).find(HEAD_END) + len(HEAD_END) - len(self._tail)

    def whole(self, *, method: bytes, version: str) -> Head:
        """The head, once all of it is there. Raises Unreadable."""
        headers = self._headers
        if self._repeated:
            headers.update((name, BETWEEN.get(name, b", ").join(values)) for name, values in self._repeated.items())
        target, host = origin_form(self._target)
        if host is not None:
            headers[b"host"] = host
        return Head(method=method, target=target, version=version, headers=headers)
