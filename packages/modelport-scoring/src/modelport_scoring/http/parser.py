"""Bytes of a connection to requests: httptools, and the rules and limits that it leaves to us."""

from __future__ import annotations

import re
from typing import Protocol

import httptools

from modelport_scoring.http.arriving import ArrivingBody
from modelport_scoring.http.budget import COUNTED_FROM
from modelport_scoring.http.framing import (
    Unreadable,
    body_length,
    check_trailer,
    expects_continue,
    long_framing,
    long_head,
    malformed,
    no_such_method,
    origin_form,
    too_large,
    too_many_headers,
)
from modelport_scoring.http.known_heads import HEAD_END
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.response import Response
from modelport_scoring.http.turns import Turns
from modelport_scoring.settings import Limits

WHITESPACE = b" \t"

MOST_OVERHEAD = 16
"""Bytes of framing for each byte of a chunked body: one byte in a chunk of its own needs five."""

LINE_OVERHEAD = 4
"""Bytes that a header line has beside its name and its value."""

MOST_LINES = 256
"""Headers of a request: what becomes of a short one takes thirty times its bytes, and a client that sends half a head
keeps them all."""

MOST_AT_ONCE = 32
"""Requests that are handed over by one call of ``feed_some``, or a few more. One read may bring thousands."""

PARSED_AT_ONCE = 2048
"""Bytes of heads, in which the parser cannot be stopped."""

CHECKED_BYTES = 8192
"""At each so many of a chunked body, counted from its begin on, its overhead is checked: at the same places however the
body came, so that it is taken or refused whatever the reads were."""

UNKNOWN_METHOD = re.compile(rb"([A-Z][A-Z0-9_-]{2,31}) [!-~]+ HTTP/1\.[01]\r\n")
"""The start of a request that is whole, with a method that HTTP has not registered."""


class RequestSink(Protocol):
    """Who gets the requests."""

    @property
    def limits(self) -> Limits: ...

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        """The head of a request is there. False: its body does not matter and is skipped. Raises Unreadable."""

    def request_received(self, head: Head, body: Body) -> None:
        """The body is there as well. Called without ``head_received`` where the head is known."""

    def body_grew(self, size: int) -> None:
        """There are so many bytes of a large body, which are kept, and it is not whole yet. Raises Unreadable."""

    def body_ended(self) -> None:
        """A large body is whole."""


class RequestParser:
    """Feeds one connection's bytes to httptools and hands over what comes out. A callback of it may not be renamed: it
    is found by its name."""

    __slots__ = (
        "_body",
        "_body_bytes",
        "_chunked_bytes",
        "_fed_bytes",
        "_head_size",
        "_headers",
        "_in_head",
        "_keeps_body",
        "_lines",
        "_parsed_head",
        "_parser",
        "_repeated",
        "_sink",
        "_tail",
        "_target",
        "_turns",
        "_unfinished_head",
        "_upgrading",
        "completed",
        "ended",
        "in_request",
    )

    def __init__(self, sink: RequestSink, turns: Turns) -> None:
        self._sink = sink
        self._turns = turns
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._repeated: dict[bytes, list[bytes]] = {}
        """The values of those that have come more than once, to be joined by one copy."""
        self._target = b""
        self._head_size = 0
        self._lines = 0
        self._fed_bytes = 0
        """Of a head that has not ended."""
        self._in_head = True
        self._unfinished_head = True
        """All that was fed at last belongs to a head that has not ended."""
        self._parsed_head: Head | None = None
        self._body: bytes | ArrivingBody = b""
        self._body_bytes = 0
        self._chunked_bytes = 0
        """Bytes of the chunked body that is being read, its framing included; some more or less where another request
        was before it in one piece."""
        self._tail = b""
        """The last bytes of a head that has not ended: its end may come in pieces."""
        self._keeps_body = True
        self._upgrading = False
        """The head asks for another protocol, and a body follows: the parser believes that it is not ours to read."""
        self.completed = 0
        """Requests that were parsed whole."""
        self.in_request = False
        """A request has begun and is not whole yet."""
        self.ended = False
        """The last request said so: what follows is none, and is not read (RFC 9112, 9.6)."""

    def close(self) -> None:
        """Let go of the sink: the connection is gone, and nothing more may be fed.

        It, this and the parser would keep each other until the garbage collector looks at objects of their age. Of a
        busy server's connections most reach an age at which that is after hours.
        """
        del self._sink, self._parser

    @property
    def head(self) -> Head | None:
        """That of the request that is being read, once it is there."""
        return self._parsed_head

    def feed(self, data: bytes) -> None:
        """Parse all of it. Raises Unreadable; then nothing more may be fed."""
        while data:
            data = self.feed_some(data)

    def feed_some(self, data: bytes) -> bytes:
        """Parse so much of it as one turn of the event loop is for, and return the rest: nothing, nearly always. Raises
        Unreadable; then nothing more may be fed."""
        return b"" if self.ended else self._parse_in_turn(data)

    def _parse_in_turn(self, data: bytes) -> bytes:
        """Parse some of it, if this turn of the event loop has time for that; returns the rest."""
        head, turns = self._parsed_head, self._turns
        if not turns.has_time and (head is None or head.length is None):  # a body of told length takes no parsing
            return data
        began = turns.clock()
        try:
            return self._parse_some(data, until=began + turns.turn_s)
        finally:
            turns.spent(began)

    def _parse_some(self, data: bytes, *, until: float) -> bytes:
        """Have the parser read until it has found some requests, or it is so late; returns the rest."""
        most = self.completed + MOST_AT_ONCE
        while data and self.completed < most:
            head, size = self._parsed_head, PARSED_AT_ONCE
            if head is not None:  # in its body
                if head.length is None:
                    size = CHECKED_BYTES - self._chunked_bytes % CHECKED_BYTES
                else:
                    size = max(head.length - self._body_bytes, 1)
            self._parse_all(data[:size])
            data = b"" if self.ended else data[size:]
            if data and self._turns.clock() >= until:  # many chunks of a byte each
                break
        if len(self._body) > COUNTED_FROM:
            self._sink.body_grew(len(self._body))
        return data

    def drop_body(self) -> None:
        """Let go of what there is of a body: nothing more is fed."""
        self._body = b""

    def _parse_all(self, data: bytes) -> None:
        self._unfinished_head = self._in_head
        before = self._parsed_head
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if self.ended:
                return
            if isinstance(error.__context__, Unreadable):
                raise error.__context__ from None
            if isinstance(error, httptools.HttpParserCallbackError):
                raise  # a fault of ours, which the log has to show
            raise Unreadable(self._refusal(error, data)) from error
        if self._unfinished_head:
            # httptools keeps what belongs to no whole line, and says nothing of it.
            self._fed_bytes += len(data)
            if self._fed_bytes > self._sink.limits.max_header_bytes:
                raise Unreadable(long_head(self._sink.limits))
            self._tail = (self._tail + data)[1 - len(HEAD_END) :]
            return
        head = self._parsed_head
        if head is not None and head.length is None:
            if head is before:
                self._chunked_bytes += len(data)
                if not self._chunked_bytes % CHECKED_BYTES:
                    self._check_overhead()
            else:
                self._chunked_bytes = len(data) - self._head_end(data)
        self._tail = b""

    def _head_end(self, data: bytes) -> int:
        """Where in what was fed the head ends that had begun before."""
        return (self._tail + data).find(HEAD_END) + len(HEAD_END) - len(self._tail)

    def _refusal(self, error: httptools.HttpParserError, data: bytes) -> Response:
        is_first = self._unfinished_head and not self._fed_bytes  # no other head in what was fed
        if is_first and isinstance(error, httptools.HttpParserInvalidMethodError):
            unknown = UNKNOWN_METHOD.match(data)
            if unknown is not None:
                return no_such_method(unknown[1])
        return malformed(error)

    def _parse(self, data: bytes) -> None:
        while True:
            try:
                self._parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                # No protocol is spoken here but HTTP/1.1: the request is answered as if it had not asked.
                data = data[upgrade.args[0] :]
                if self._upgrading:
                    self._read_its_body()
                if not data:
                    return

    def _read_its_body(self) -> None:
        """Have a new parser read the body behind a head that asked for another protocol."""
        self._upgrading = False
        head = self._parsed_head
        assert head is not None
        framing = b"Transfer-Encoding: chunked" if head.length is None else b"Content-Length: %d" % head.length
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)

    # --- callbacks of the parser --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.ended:  # the parser that reads the body of an upgrade does not know that
            raise EOFError("the last request of this connection has been read")
        self.in_request = True
        self._headers = {}
        self._target = b""
        self._head_size = self._lines = 0

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._head_size += len(url)
        if self._head_size > self._sink.limits.max_header_bytes:
            raise Unreadable(long_head(self._sink.limits))

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if not self._in_head:
            check_trailer(name)
            return
        value = value.rstrip(WHITESPACE)  # the parser takes off what is in front of it only
        headers = self._headers
        self._head_size += len(name) + len(value) + LINE_OVERHEAD
        self._lines += 1
        if self._head_size > self._sink.limits.max_header_bytes:  # now: one read may bring thousands of lines more
            raise Unreadable(long_head(self._sink.limits))
        if self._lines > MOST_LINES:
            raise Unreadable(too_many_headers(MOST_LINES))
        if name in headers:
            self._repeated.setdefault(name, [headers[name]]).append(value)
        else:
            headers[name] = value

    def on_headers_complete(self) -> None:
        if self._parsed_head is not None:
            return  # the one that ``_read_its_body`` made
        headers, parser = self._headers, self._parser
        if self._repeated:
            headers.update((name, b", ".join(values)) for name, values in self._repeated.items())
            self._repeated = {}
        target, host = origin_form(self._target)
        if host is not None:
            headers[b"host"] = host
        self._in_head = self._unfinished_head = False
        self._fed_bytes = self._body_bytes = self._chunked_bytes = 0
        version = parser.get_http_version()
        head = Head(method=parser.get_method(), target=target, version=version, headers=headers)
        head.keep_alive = parser.should_keep_alive()
        self._parsed_head = head
        head.length = body_length(head, self._sink.limits)
        has_body = head.length != 0
        self._upgrading = has_body and parser.should_upgrade()
        expects = has_body and expects_continue(head)
        self._keeps_body = self._sink.head_received(head, expects_continue=expects, has_body=has_body)
        self._judged(head)

    def _judged(self, head: Head) -> None:
        """The sink has said whether it wants the body of the request with that head: ``_keeps_body``."""

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._sink.limits.max_body_bytes:
            raise Unreadable(too_large(self._sink.limits))
        if self._keeps_body:
            self._keep(body)

    def _keep(self, piece: bytes) -> None:
        if not self._body:
            self._body = piece
            return
        if isinstance(self._body, bytes):  # no list of pieces: one object for every few bytes takes many times as much
            first, head = self._body, self._parsed_head
            self._body = ArrivingBody(None if head is None else head.length)
            self._body.add(first)
        self._body.add(piece)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        head = self._parsed_head
        assert head is not None
        arrived, self._body = self._body, b""
        if len(arrived) > COUNTED_FROM:
            self._sink.body_ended()
        self._parsed_head = None
        self._in_head = True
        self.in_request = False
        self.completed += 1
        self.ended = not head.keep_alive
        self._sink.request_received(head, arrived.whole if isinstance(arrived, ArrivingBody) else arrived)

    def _check_overhead(self) -> None:
        """The extensions of chunks, and trailers: the parser keeps them, and nothing here needs them."""
        limits = self._sink.limits
        if self._chunked_bytes > limits.max_header_bytes + (1 + MOST_OVERHEAD) * self._body_bytes:
            raise Unreadable(long_framing(limits))
