"""Where a request ends: the rules by which no two readers of one request can disagree on that (RFC 9112, 6), and its
limits of size."""

from __future__ import annotations

import re

from modelport_scoring.http.request import WHOLE_SERVER, Head
from modelport_scoring.http.response import Response, limit_message, message
from modelport_scoring.settings.service import Limits

VERSIONS = frozenset(("1.1", "1.0"))

HOST = re.compile(rb"[\w.~!$&'()*+;=%:\[\]-]*", re.ASCII)
"""Characters of a host with or without a port (RFC 3986, 3.2.2), without the comma: it would be of two Host headers."""


class Unreadable(Exception):
    """The connection cannot go on after this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def body_length(head: Head, limits: Limits) -> int | None:
    """The length of the body, None where it is chunked. Raises Unreadable."""
    headers = head.headers
    if head.version not in VERSIONS:
        raise Unreadable(message(505, "The versions served here are HTTP/1.1 and HTTP/1.0", close=True))
    if head.method == b"CONNECT":  # to the parser, what follows is a tunnel's, whatever the lengths say
        raise Unreadable(message(501, "No tunnels are made here", close=True))
    if head.path == WHOLE_SERVER and head.method != b"OPTIONS":
        raise Unreadable(message(400, "Only OPTIONS asks for *, the whole server (RFC 9112, 3.2.4)", close=True))
    host = headers.get(b"host")
    if (host is None and head.version == "1.1") or (host is not None and not HOST.fullmatch(host)):
        raise Unreadable(message(400, "An HTTP/1.1 request has exactly one Host header, with a host", close=True))
    length = headers.get(b"content-length")
    if b"transfer-encoding" in headers:
        check_coding(head, has_length=length is not None)
        return None
    if length is None:
        return 0
    if not length.isdigit():
        raise Unreadable(message(400, "Content-Length must be one number", close=True))
    size = int(length.lstrip(b"0") or b"0")  # int() does not take thousands of digits, and the parser no more than 20
    if size > limits.max_body_bytes:
        raise Unreadable(too_large(limits))
    return size


def check_coding(head: Head, *, has_length: bool) -> None:
    """Chunks are the only coding, and it comes alone. Raises Unreadable."""
    if has_length or head.version == "1.0":
        raise Unreadable(message(400, "Transfer-Encoding may not come with Content-Length or HTTP/1.0", close=True))
    if head.headers[b"transfer-encoding"].lower() != b"chunked":
        raise Unreadable(message(501, "The only Transfer-Encoding served here is chunked", close=True))


def check_trailer(name: bytes) -> None:
    """A header behind a chunked body. Raises Unreadable."""
    if name in (b"connection", b"proxy-connection"):  # the parser would listen to it, after we have judged the head
        raise Unreadable(message(400, "A trailer may not say what becomes of the connection", close=True))


def expects_continue(head: Head) -> bool:
    """Whether the client waits for our word before it sends the body. Raises Unreadable for another expectation."""
    expectation = head.headers.get(b"expect")
    if expectation is None or head.version != "1.1":
        return False
    if expectation.lower() != b"100-continue":
        raise Unreadable(message(417, "The only expectation met here is 100-continue", close=True))
    return True


def origin_form(target: bytes) -> tuple[bytes, bytes | None]:
    """The target without scheme and host, and the host that replaces the Host header (RFC 9112, 3.2.2), None where it
    has none. Raises Unreadable."""
    if b"#" in target:
        raise Unreadable(message(400, "The target of a request has no fragment", close=True))
    scheme, found, rest = target.partition(b"://")
    if not found or scheme.lower() not in (b"http", b"https"):
        return target, None
    host = re.split(b"[/?]", rest, maxsplit=1)[0]
    if not host or host.startswith(b":"):
        raise Unreadable(message(400, "A target in absolute form has a host (RFC 9110, 4.2.1)", close=True))
    target = rest[len(host) :]
    return (target if target.startswith(b"/") else b"/" + target), host


def malformed(error: Exception) -> Response:
    return message(400, f"The request is not valid HTTP/1.1: {error}", close=True)


def another_protocol() -> Response:
    return message(400, "The request is not valid HTTP/1.1: its first line names another protocol", close=True)


def no_http_2() -> Response:
    """Who begins with it knows of no other version; a client that asks for it by an upgrade is just answered."""
    text = "HTTP/2 is not served here: have the client use HTTP/1.1 (curl --http1.1), or a proxy in front speak HTTP/2"
    return message(505, text, close=True)


def no_such_method(method: bytes) -> Response:
    """The parser knows all that are registered, and reads no request with another."""
    allowed = b"allow: GET, HEAD, OPTIONS, POST\r\n"
    return message(405, f"The method {method.decode('ascii')} is none of HTTP", lines=allowed, close=True)


def too_large(limits: Limits) -> Response:
    limit = limits.max_body_bytes
    return limit_message(413, "The request's body is too large", limit="max_body_bytes", value=limit, close=True)


def long_head(limits: Limits) -> Response:
    limit, what = limits.max_header_bytes, "The head of the request is too large"
    return limit_message(431, what, limit="max_header_bytes", value=limit, close=True)


def too_many_headers(most: int) -> Response:
    return message(431, f"The request has more than {most} headers: send fewer, or join those of one name", close=True)


def long_framing(limits: Limits) -> Response:
    limit, what = limits.max_header_bytes, "The framing of the request's body is too large"
    return limit_message(431, what, limit="max_header_bytes", value=limit, close=True)
