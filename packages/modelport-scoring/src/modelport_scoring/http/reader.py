"""Bytes of a connection to requests: known heads, and the parser for everything else."""

from __future__ import annotations

from functools import partial
from typing import Protocol

from modelport_scoring.http.arriving import ArrivingBody
from modelport_scoring.http.budget import COUNTED_FROM
from modelport_scoring.http.known_heads import HEAD_END, KnownHeads
from modelport_scoring.http.parser import MOST_AT_ONCE, RequestParser, RequestSink
from modelport_scoring.http.request import Head
from modelport_scoring.http.turns import Turns

LARGE_BYTES = 64 * 1024
"""From here on a body is not cut out of what was read, but looked at there."""

MORE_AFTER = 128 * 1024
"""Where one read has brought so much, there is more, most likely."""


class SocketSink(RequestSink, Protocol):
    """Who gets the requests, from a socket."""

    @property
    def descriptor(self) -> int | None:
        """Of the socket, if what has come there may be read at once; None: not now, or not as it is."""

    def memory_for(self, head: Head) -> memoryview | None:
        """Where the body of a request with that head is to be collected, which has a length; None: anywhere."""


NOTHING = ArrivingBody(0)
"""That of a request that is not there."""


class RequestReader:
    """Requests whose heads are known pass the parser by: between two requests it keeps no state."""

    __slots__ = ("_collected", "_collected_head", "_known", "_last", "_parser", "_raw_head", "_sink", "_stopped_at")

    def __init__(self, sink: SocketSink, turns: Turns, known: KnownHeads) -> None:
        self._sink = sink
        self._parser = RequestParser(sink, turns, judge=self._judge, new_body=self._new_body)
        self._known = known
        self._last: Head | None = None
        """The known head that came last: the next one is the same, nearly always."""
        self._collected = NOTHING
        self._collected_head: Head | None = None
        """The known head whose body is being collected in ``_collected``."""
        self._stopped_at = 0
        """Where in what was fed there are more requests; 0: nowhere."""
        self._raw_head = b""
        """The bytes of the head that the parser reads, where they are a known head's candidate."""

    @property
    def head(self) -> Head | None:
        """That of the request that is being read, once it is there."""
        return self._collected_head or self._parser.head

    def feed(self, data: bytes) -> None:
        """Read all of it. Raises Unreadable; then nothing more may be fed."""
        while data:
            data = self.feed_some(data)

    def feed_some(self, data: bytes) -> bytes:
        """Read so much of it as one turn of the event loop is for, and return the rest: nothing, nearly always. Raises
        Unreadable; then nothing more may be fed."""
        self._stopped_at = 0
        rest = data
        parser = self._parser
        if parser.is_fresh and not self._sink.in_request:
            if (last := self._last) is not None and (raw := last.known_as) and data.startswith(raw):
                end = len(raw)
                if len(data) - end == last.length and len(data) < LARGE_BYTES:  # nearly always
                    self._sink.request_received(last, data[end:])
                    return b""
            rest = self._read_known(data, 0)
        elif self._collected_head is not None:
            rest = self._collect(self._collected_head, data)
        if rest:
            try:
                rest = parser.feed_some(rest)
            finally:
                self._raw_head = b""
            if parser.head is not None:
                self._take_from_parser(parser.head)
            return rest
        return data[self._stopped_at :] if self._stopped_at else b""

    def _read_known(self, data: bytes, position: int) -> bytes:
        """Hand over the requests with known heads at the front, and return the rest, which is the parser's."""
        size = len(data)
        head: Head | None = self._last
        left = MOST_AT_ONCE
        while position < size:
            if not left:
                self._stopped_at = position
                return b""
            left -= 1
            if head is not None and (raw := head.known_as) and data.startswith(raw, position):
                end = position + len(raw)
            else:
                end = data.find(HEAD_END, position) + len(HEAD_END)
                raw = data[position:end] if end >= len(HEAD_END) else b""
                head = self._known.get(raw)
                if head is None:
                    self._raw_head = raw
                    return data[position:] if position else data
                self._last = head
            length = head.length
            assert length is not None
            position = end + length
            if position > size:
                self._sink.in_request = True
                self._collected_head = head
                self._collected = self._new_body(head)
                self._collected.add(memoryview(data)[end:])
                self._collect_more(head, size - end)
                return b""
            if length >= LARGE_BYTES and 2 * length > size:  # or a small part would keep the whole
                self._sink.request_received(head, memoryview(data)[end:position])
            else:
                self._sink.request_received(head, data[end:position])
        return b""

    def _collect(self, head: Head, data: bytes) -> bytes:
        """Add to the body of a request with a known head; returns what is left behind its end for the parser."""
        collected = self._collected
        length = head.length
        assert length is not None
        missing = length - len(collected)
        if len(data) < missing:
            collected.add(data)
            self._collect_more(head, len(data))
            return b""
        collected.add(memoryview(data)[:missing])
        self._hand_over(head)
        return b"" if self._parser.ended else self._read_known(data, missing)

    def _new_body(self, head: Head) -> ArrivingBody:
        """For the pieces of the body of a request with that head: of a large one in memory that the sink gives."""
        if head.length is None or head.length <= COUNTED_FROM:
            return ArrivingBody(head.length)
        return ArrivingBody(head.length, memory=partial(self._sink.memory_for, head))

    def _take_from_parser(self, head: Head) -> None:
        """Collect the rest of a large body of told length: the parser would copy it once more, and find nothing."""
        if self._parser.keeps_body and head.length is not None and head.length > COUNTED_FROM:
            self._collected_head = head
            begun = self._parser.give_up_request()
            if isinstance(begun, ArrivingBody):
                self._collected = begun
            else:
                self._collected = self._new_body(head)
                self._collected.add(begun)

    def _collect_more(self, head: Head, read: int) -> None:
        """Tell of a body that is large; and where the last read has brought so many bytes that there are more, have the
        system put them where they will stay: else they would be copied there, 256 KiB at a time."""
        collected, sink = self._collected, self._sink
        if len(collected) <= COUNTED_FROM:
            return
        sink.body_grew(len(collected))
        descriptor = sink.descriptor if read >= MORE_AFTER else None
        if descriptor is None or not collected.read(descriptor):
            return
        if len(collected) == head.length:
            self._hand_over(head)
        else:
            sink.body_grew(len(collected))

    def _hand_over(self, head: Head) -> None:
        collected = self._collected
        if len(collected) > COUNTED_FROM:
            self._sink.body_ended()
        self._collected_head = None
        self._collected = NOTHING
        self._parser.request_ended(head)
        self._sink.request_received(head, collected.whole)

    def drop_body(self) -> None:
        """Let go of what there is of a body: nothing more is fed."""
        self._parser.drop_body()
        self._collected = NOTHING

    def close(self) -> None:
        """Let go of the sink: the connection is gone, and nothing more may be fed."""
        self.drop_body()  # which knows the sink, too
        self._parser.close()
        del self._sink

    def _judge(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        """Have the sink judge a head that was not known; from now on it is, where the sink has let it pass."""
        raw, self._raw_head = self._raw_head, b""
        passes = self._sink.head_received(head, expects_continue=expects_continue, has_body=has_body)
        if raw and passes:
            self._known.learn(raw, head)
        return passes
