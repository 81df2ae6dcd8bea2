"""Bytes of a connection to requests: httptools, and the rules and limits that it leaves to us."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

import httptools

from modelport_scoring.http.arriving import ArrivingBody
from modelport_scoring.http.arriving_head import ICE, RTSP, ArrivingHead
from modelport_scoring.http.budget import COUNTED_FROM
from modelport_scoring.http.chunk_framing import ChunkFraming
from modelport_scoring.http.framing import (
    Unreadable,
    body_length,
    check_trailer,
    expects_continue,
    malformed,
    no_http_2,
    no_such_method,
    too_large,
)
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.response import Response
from modelport_scoring.http.turns import Turns
from modelport_scoring.settings.service import Limits

MOST_AT_ONCE = 32
"""Requests that are handed over by one call of ``feed_some``, or a few more. One read may bring thousands."""

PARSED_AT_ONCE = 2048
"""Bytes of heads, in which the parser cannot be stopped."""

PREFACE = "Pause on PRI/Upgrade"
"""What the parser says of the preface of HTTP/2, once it is whole."""

UNKNOWN_METHOD = re.compile(rb"([A-Z][A-Z0-9_-]{2,31}) [!-~]+ HTTP/1\.[01]\r\n")
"""The start of a request that is whole, with a method that HTTP has not registered."""


class RequestSink(Protocol):
    """Who gets the requests."""

    in_request: bool
    """Whether a request has begun and is not whole yet: kept up to date by who reads them."""

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


class Judge(Protocol):
    """Who says whether a request is wanted."""

    def __call__(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        """What ``RequestSink.head_received`` does."""


class RequestParser:
    """Feeds one connection's bytes to httptools and hands over what comes out. A callback of it may not be renamed: it
    is found by its name."""

    __slots__ = (
        "_arriving",
        "_body",
        "_body_bytes",
        "_framing",
        "_judge",
        "_new_body",
        "_parser",
        "_sink",
        "_turns",
        "_upgrading",
        "completed",
        "ended",
        "head",
        "is_fresh",
        "keeps_body",
    )

    def __init__(
        self,
        sink: RequestSink,
        turns: Turns,
        *,
        judge: Judge | None = None,
        new_body: Callable[[Head], ArrivingBody] | None = None,
    ) -> None:
        """``judge`` is called in the place of the sink's ``head_received``; ``new_body`` says where the pieces of a
        body go, anywhere if it is not given."""
        sink.in_request = False
        self._sink = sink
        self._judge = judge or sink.head_received
        self._new_body = new_body or anywhere
        self._turns = turns
        self._parser = httptools.HttpRequestParser(self)
        self._arriving = ArrivingHead()
        """The head that is being read, or comes next."""
        self.head: Head | None = None
        """That of the request whose body is being read."""
        self.is_fresh = True
        """Nothing of another request has come yet, nor what is before it, and one may."""
        self._body: bytes | ArrivingBody = b""
        self._body_bytes = 0
        self._framing: ChunkFraming | None = None
        """Of that body, where it comes in chunks."""
        self.keeps_body = True
        """The sink wants it."""
        self._upgrading = False
        """The head asks for another protocol, and a body follows: the parser believes that it is not ours to read."""
        self.completed = 0
        """Requests that were parsed whole."""
        self.ended = False
        """The last request said so: what follows is none, and is not read (RFC 9112, 9.6)."""

    def close(self) -> None:
        """Let go of the sink: the connection is gone, and nothing more may be fed.

        It, this and the parser would keep each other until the garbage collector looks at objects of their age. Of a
        busy server's connections most reach an age at which that is after hours.
        """
        self.drop_body()  # which knows the sink, too
        del self._sink, self._judge, self._new_body, self._parser

    # --- feeding ------------------------------------------------------------------------------------------------------

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
        head, turns = self.head, self._turns
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
            size = self._next_piece
            if self.head is None:
                arriving = self._arriving
                is_cut = arriving.in_line and arriving.fed_bytes
                if is_cut or data.find(RTSP, 0, size) >= 0 or data.find(ICE, 0, size) >= 0:
                    size = data.find(b"\n", 0, size) + 1 or size  # the first line may name another protocol
            self._parse_piece(data[:size])
            data = b"" if self.ended else data[size:]
            if data and self._turns.clock() >= until:  # many chunks of a byte each
                break
        if len(self._body) > COUNTED_FROM:
            self._sink.body_grew(len(self._body))
        return data

    @property
    def _next_piece(self) -> int:
        """How many bytes the parser is given at once."""
        head = self.head
        if head is None:
            return PARSED_AT_ONCE
        if self._framing is not None:
            return self._framing.next_piece
        assert head.length is not None
        return max(head.length - self._body_bytes, 1)

    def _parse_piece(self, data: bytes) -> None:
        """Have the parser read it, and measure what the parser says nothing of."""
        arriving, is_before_head = self._arriving, self.head is None
        try:
            self._parse(data)
        except httptools.HttpParserError as error:
            if self.ended:
                return
            if isinstance(error.__context__, Unreadable):
                raise error.__context__ from None
            if isinstance(error, httptools.HttpParserCallbackError):
                raise  # a fault of ours, which the log has to show
            is_begin = is_before_head and arriving is self._arriving and not arriving.fed_bytes
            raise Unreadable(refusal(error, data if is_begin else b"")) from error
        if self._framing is not None:
            self._framing.fed(len(data), body_bytes=self._body_bytes, limits=self._sink.limits)
        elif self.head is not None and self.head.length is None:
            self._framing = ChunkFraming(len(data) - arriving.end_in(data))
        elif is_before_head and arriving is self._arriving:
            self.is_fresh = False
            arriving.fed(data, self._sink.limits)

    def drop_body(self) -> None:
        """Let go of what there is of a body: nothing more is fed."""
        self._body = b""

    def give_up_request(self) -> bytes | ArrivingBody:
        """Leave the request that is being read, whose body has a told length and no end yet, to who reads the rest of
        it; returns what there is of that body. What comes behind it is another parser's."""
        begun, self._body = self._body, b""
        self.head = None
        self._parser = httptools.HttpRequestParser(self)
        return begun

    def request_ended(self, head: Head) -> None:
        """A request with that head is whole."""
        self._sink.in_request = False
        self.ended = not head.keep_alive
        self.is_fresh = head.keep_alive

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
        head = self.head
        assert head is not None
        framing = b"Transfer-Encoding: chunked" if head.length is None else b"Content-Length: %d" % head.length
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)

    # --- callbacks of the parser --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self.ended:  # the parser that reads the body of an upgrade does not know that
            raise EOFError("the last request of this connection has been read")
        self._sink.in_request = True

    def on_url(self, url: bytes) -> None:
        if self.head is None:  # else it is of the head that ``_read_its_body`` made, as some of what follows
            self._arriving.add_target(url, self._sink.limits)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.head is None:
            self._arriving.add_header(name, value, self._sink.limits)
        else:
            check_trailer(name.lower())

    def on_headers_complete(self) -> None:
        if self.head is not None:
            return
        parser, limits = self._parser, self._sink.limits
        arriving, self._arriving = self._arriving, ArrivingHead()
        head = arriving.whole(method=parser.get_method(), version=parser.get_http_version())
        head.keep_alive = parser.should_keep_alive()
        self.head = head
        self._body_bytes = 0
        head.length = body_length(head, limits)
        has_body = head.length != 0
        self._upgrading = has_body and parser.should_upgrade()
        expects = has_body and expects_continue(head)
        self.keeps_body = self._judge(head, expects_continue=expects, has_body=has_body)

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._sink.limits.max_body_bytes:
            raise Unreadable(too_large(self._sink.limits))
        if self.keeps_body:
            self._keep(body)

    def _keep(self, piece: bytes) -> None:
        if not self._body:
            self._body = piece
            return
        if isinstance(self._body, bytes):  # no list of pieces: one object for every few bytes takes many times as much
            head = self.head
            assert head is not None
            first, self._body = self._body, self._new_body(head)
            self._body.add(first)
        self._body.add(piece)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        head = self.head
        assert head is not None
        arrived, self._body = self._body, b""
        if len(arrived) > COUNTED_FROM:
            self._sink.body_ended()
        self.head = self._framing = None
        self.completed += 1
        self.request_ended(head)
        self._sink.request_received(head, arrived.whole if isinstance(arrived, ArrivingBody) else arrived)


def anywhere(head: Head) -> ArrivingBody:
    """Room for the pieces of the body of a request with that head."""
    return ArrivingBody(head.length)


def refusal(error: httptools.HttpParserError, begin: bytes) -> Response:
    """What a client is told whose request cannot be read. ``begin``: its first bytes, where the error is in them."""
    if str(error) == PREFACE:
        return no_http_2()
    unknown = UNKNOWN_METHOD.match(begin) if isinstance(error, httptools.HttpParserInvalidMethodError) else None
    return malformed(error) if unknown is None else no_such_method(unknown[1])
