"""Answers, and the bytes that they are on the wire."""

from __future__ import annotations

import json
from http import HTTPStatus

import msgspec

from modelport_scoring.http.stream import BodyStream

JSON_TYPE = b"content-type: application/json\r\n"
TEXT_TYPE = b"content-type: text/html; charset=utf-8\r\n"

STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}
OK_LINE = STATUS_LINES[200]
WITH_LENGTH = b"%b%bcontent-length: %d\r\n%b%b\r\n%b"
WITHOUT_BODY = frozenset((204, 304))
WITHOUT_CONTENT = WITHOUT_BODY | {205}
"""205 has a length all the same, 0 (RFC 9110, 15.3.6)."""

INTERNAL_ERROR = "An unexpected internal error occurred. Check the logs for more info."

SMALL_BODY_BYTES = 64 * 1024
"""Up to here one copy is cheaper than a second write."""

CHUNKED = b"transfer-encoding: chunked\r\n"
CLOSE = b"connection: close\r\n"
KEEP_ALIVE = b"connection: keep-alive\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Response(msgspec.Struct, eq=False):  # made in half the time of another class, once for each request
    """A status, header lines (each with its line end) without those of the framing, and a body."""

    status: int
    lines: bytes = b""
    body: bytes | memoryview = b""
    """A view is there for the call only in which the answer is given: whoever keeps it calls ``keep``."""
    close: bool = False
    """The connection ends with this answer."""
    stream: BodyStream | None = None
    """The body, where it is sent as it is made."""

    def keep(self) -> None:
        """Have a body of its own."""
        self.body = bytes(self.body)


def message(status: int, text: str, *, lines: bytes = b"", close: bool = False) -> Response:
    """An error in the shape that clients know, byte for byte: ``{"message": "text"}``, as json.dumps writes it."""
    return Response(status, lines=JSON_TYPE + lines, body=json.dumps({"message": text}).encode(), close=close)


def limit_message(
    status: int, what: str, *, limit: str, value: float, lines: bytes = b"", close: bool = False
) -> Response:
    """The error of a limit: what happened, which limit it was, and how to raise it."""
    text = (
        f"{what}: limits.{limit} is {value}. "
        f'To raise it, set "{limit}" under "limits" in the deployment configuration and update the service.'
    )
    return message(status, text, lines=lines, close=close)


def head(response: Response, *, connection: bytes, date: bytes) -> bytes:
    """Everything before a body whose size is known. ``connection`` and ``date`` are header lines."""
    status = response.status
    line = STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status
    if status in WITHOUT_BODY:
        return b"%b%b%b%b\r\n" % (line, response.lines, date, connection)
    return WITH_LENGTH % (line, response.lines, len(response.body), date, connection, b"")


def whole(response: Response, body: bytes, date: bytes) -> bytes:
    """An answer with the status 200 and a small body that may be followed by others, which nearly all are."""
    return WITH_LENGTH % (OK_LINE, response.lines, len(body), date, b"", body)


def stream_head(response: Response, *, framing: bytes, date: bytes) -> bytes:
    """Everything before a body that is still being made. ``framing``: how its end will be told, as header lines."""
    line = STATUS_LINES.get(response.status) or b"HTTP/1.1 %d Unknown\r\n" % response.status
    return b"%b%b%b%b\r\n" % (line, response.lines, date, framing)


def in_chunk(data: bytes) -> tuple[bytes, ...]:
    """The parts of one chunk of the chunked coding (RFC 9112, 7.1)."""
    if len(data) <= SMALL_BODY_BYTES:
        return (b"%x\r\n%b\r\n" % (len(data), data),)
    return (b"%x\r\n" % len(data), data, b"\r\n")
