"""Heads of requests and answers, as they leave the router: without what is between two neighbours only."""

from __future__ import annotations

from modelport_scoring.http.request import Head
from modelport_scoring.http.response import CHUNKED, CLOSE, KEEP_ALIVE, STATUS_LINES

OF_ONE_HOP = frozenset(
    (
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""RFC 9110, 7.6.1; the framing is made anew, and what is expected is met by the router."""

FRAMING = frozenset((b"content-length", b"host"))
"""What a client cannot have taken off by naming it in ``Connection``."""

MADE = frozenset((b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via"))
VIA = b"1.1 modelport"


def request_head(head: Head, *, client: bytes, scheme: bytes) -> bytes:
    """The head for the upstream server. ``client``: the address that the request came from."""
    headers = head.headers
    dropped = OF_ONE_HOP | named_by(headers.get(b"connection", b"")) | MADE
    target = head.path + b"?" + head.query if head.query else head.path
    lines = [b"%b %b HTTP/1.1\r\n" % (head.method, target)]
    lines += [b"%b: %b\r\n" % item for item in headers.items() if item[0] not in dropped]
    host = headers.get(b"host")
    if host is None:
        lines.append(b"host: modelport\r\n")  # HTTP/1.0 has none
    if head.length is None:
        lines.append(b"transfer-encoding: chunked\r\n")
    before = headers.get(b"x-forwarded-for")
    lines.append(b"x-forwarded-for: %b\r\n" % (client if before is None else before + b", " + client))
    lines.append(b"x-forwarded-proto: %b\r\n" % headers.get(b"x-forwarded-proto", scheme))
    if host is not None:
        lines.append(b"x-forwarded-host: %b\r\n" % headers.get(b"x-forwarded-host", host))
    passed = headers.get(b"via")
    lines.append(b"via: %b\r\n\r\n" % (VIA if passed is None else passed + b", " + VIA))
    return b"".join(lines)


def named_by(connection: bytes) -> frozenset[bytes]:
    """The headers that a Connection header says are of this hop only."""
    if not connection:
        return frozenset()
    return frozenset(name.strip().lower() for name in connection.split(b",")) - FRAMING


class AnswerHead:
    """The head of an upstream server's answer, while it is read, and after that."""

    __slots__ = ("chunked", "connection", "is_readable", "length", "lines", "status")

    def __init__(self) -> None:
        self.status = 0
        self.lines: list[tuple[bytes, bytes]] = []
        self.length: bytes | None = None
        self.chunked = False
        self.is_readable = True
        """Whether chunks are all that the body is coded in: nobody was asked for more, and we pass on none."""
        self.connection = b""

    def add(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"connection":
            self.connection += b"," + value
        elif lower == b"content-length":
            self.length = value
        elif lower == b"transfer-encoding":
            self.is_readable = value.strip().lower() == b"chunked" and not self.chunked
            self.chunked = True
        elif lower not in OF_ONE_HOP:
            self.lines.append((name, value))

    def to_bytes(self, *, chunked: bool, is_last: bool, is_old: bool) -> bytes:
        """For the client. ``chunked``: the body is sent so. ``is_last``: the connection ends with the answer.
        ``is_old``: the client speaks HTTP/1.0."""
        status = self.status
        parts = [STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status]
        dropped = named_by(self.connection)
        parts += [b"%b: %b\r\n" % line for line in self.lines if not dropped or line[0].lower() not in dropped]
        if self.length is not None and status != 204:  # which has none (RFC 9110, 8.6); a 304 may tell that of a 200
            parts.append(b"content-length: %b\r\n" % self.length)
        parts.append(CHUNKED if chunked else b"")
        parts.append(CLOSE if is_last else KEEP_ALIVE if is_old else b"")
        parts.append(b"\r\n")
        return b"".join(parts)
