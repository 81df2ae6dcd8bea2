"""Bytes of a connection to requests: httptools, and the rules and limits that it leaves to us."""

from __future__ import annotations

from typing import Protocol

import httptools

from modelport_scoring.http.request import Request
from modelport_scoring.http.response import Response, limit_message, message
from modelport_scoring.settings import Limits

LINE_OVERHEAD = 4
"""Bytes that a header line has beside its name and its value."""


class Unreadable(Exception):
    """The connection cannot go on after this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


class RequestSink(Protocol):
    """Who gets the requests."""

    @property
    def limits(self) -> Limits: ...

    def head_received(self, request: Request, *, expects_continue: bool, has_body: bool) -> bool:
        """The head of a request is there. False: its body does not matter and is skipped. Raises Unreadable."""

    def request_received(self, request: Request) -> None:
        """The body is there as well."""


class RequestReader:
    """Feeds one connection's bytes to the parser and hands over what comes out. A callback of the parser may not be
    renamed: httptools finds it by name."""

    __slots__ = (
        "_body_bytes",
        "_chunks",
        "_head_bytes",
        "_headers",
        "_in_head",
        "_keeps_body",
        "_parser",
        "_request",
        "_sink",
        "_target",
        "_unfinished_head",
        "in_request",
    )

    def __init__(self, sink: RequestSink) -> None:
        self._sink = sink
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._target = b""
        self._head_bytes = 0
        self._in_head = True
        self._unfinished_head = True
        """All that was fed at last belongs to a head that has not ended."""
        self._request: Request | None = None
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._keeps_body = True
        self.in_request = False
        """A request has begun and is not whole yet."""

    def feed(self, data: bytes) -> None:
        """Parse. Raises Unreadable; then nothing more may be fed."""
        self._unfinished_head = self._in_head
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, Unreadable):
                raise error.__context__ from None
            raise Unreadable(message(400, f"The request is not valid HTTP/1.1: {error}", close=True)) from error
        if self._unfinished_head:
            # httptools keeps what belongs to no whole line, and says nothing of it.
            self._head_bytes += len(data)
            self._check_head(self._head_bytes)

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # No protocol is spoken here but HTTP/1.1: the request is answered as if it had not asked.
                data = data[upgrade.args[0] :]
                if not data:
                    return

    # --- callbacks of the parser --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self.in_request = True
        self._headers = {}
        self._target = b""

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._check_head(len(self._target))

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            return  # a trailer: nothing here reads one
        name = name.lower()
        headers = self._headers
        if name in headers:
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        headers = self._headers
        size = len(self._target) + sum(map(len, headers)) + sum(map(len, headers.values()))
        self._check_head(size + LINE_OVERHEAD * len(headers))
        self._in_head = self._unfinished_head = False
        self._head_bytes = 0
        parser = self._parser
        version = parser.get_http_version()
        request = Request(method=parser.get_method(), target=self._target, version=version, headers=headers)
        request.keep_alive = parser.should_keep_alive()
        self._request = request
        length = headers.get(b"content-length")
        self._check_framing(request, length)
        has_body = b"transfer-encoding" in headers or (length is not None and int(length) > 0)
        expects = has_body and version == "1.1" and self._expects_continue(headers)
        self._body_bytes = 0
        self._keeps_body = self._sink.head_received(request, expects_continue=expects, has_body=has_body)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._sink.limits.max_body_bytes:
            raise Unreadable(self._too_large())
        if self._keeps_body:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        request = self._request
        assert request is not None
        chunks = self._chunks
        if chunks:
            request.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            self._chunks = []
        self._request = None
        self._in_head = True
        self.in_request = False
        self._sink.request_received(request)

    # --- rules --------------------------------------------------------------------------------------------------------

    def _check_head(self, size: int) -> None:
        limit = self._sink.limits.max_header_bytes
        if size > limit:
            what = "The head of the request is too large"
            raise Unreadable(limit_message(431, what, limit="max_header_bytes", value=limit, close=True))

    def _check_framing(self, request: Request, length: bytes | None) -> None:
        """Where two readers of one request could disagree on its end, it is refused (RFC 9112, 6)."""
        coding = request.headers.get(b"transfer-encoding")
        if coding is not None and (length is not None or request.version == "1.0"):
            raise Unreadable(message(400, "Transfer-Encoding may not come with Content-Length or HTTP/1.0", close=True))
        if coding is not None and coding.strip().lower() != b"chunked":
            raise Unreadable(message(501, "The only Transfer-Encoding served here is chunked", close=True))
        if length is not None and not length.isdigit():
            raise Unreadable(message(400, "Content-Length must be one number", close=True))
        if length is not None and int(length) > self._sink.limits.max_body_bytes:
            raise Unreadable(self._too_large())
        host = request.headers.get(b"host")
        if (host is None and request.version == "1.1") or (host is not None and b"," in host):
            raise Unreadable(message(400, "An HTTP/1.1 request has exactly one Host header", close=True))

    def _expects_continue(self, headers: dict[bytes, bytes]) -> bool:
        expectation = headers.get(b"expect")
        if expectation is None:
            return False
        if expectation.lower() != b"100-continue":
            raise Unreadable(message(417, "The only expectation met here is 100-continue", close=True))
        return True

    def _too_large(self) -> Response:
        limit = self._sink.limits.max_body_bytes
        return limit_message(413, "The request's body is too large", limit="max_body_bytes", value=limit, close=True)
