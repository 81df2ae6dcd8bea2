"""Bytes of a connection to requests: known heads, and the parser for everything else."""

from __future__ import annotations

from modelport_scoring.http.arriving import ArrivingBody
from modelport_scoring.http.budget import COUNTED_FROM
from modelport_scoring.http.known_heads import HEAD_END, KnownHeads
from modelport_scoring.http.parser import MOST_AT_ONCE, RequestParser, RequestSink
from modelport_scoring.http.request import Head
from modelport_scoring.http.turns import Turns

LARGE_BYTES = 64 * 1024
"""From here on a body is not cut out of what was read, but looked at there."""


NOTHING = ArrivingBody(0)
"""That of a request that is not there."""


class RequestReader(RequestParser):
    """Requests whose heads are known pass the parser by: between two requests it keeps no state."""

    __slots__ = ("_collected", "_collected_head", "_known", "_last", "_raw_head", "_stopped_at")

    def __init__(self, sink: RequestSink, turns: Turns, known: KnownHeads) -> None:
        super().__init__(sink, turns)
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
        return self._collected_head or self._parsed_head

    def feed_some(self, data: bytes) -> bytes:
        if self.ended:
            return b""
        self._stopped_at = 0
        rest = data
        if not self.in_request and not self._arriving.fed_bytes:
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
                return self._parse_in_turn(rest)
            finally:
                self._raw_head = b""
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
                self.in_request = True
                self._collected_head = head
                self._collected = ArrivingBody(length)
                self._collected.add(memoryview(data)[end:])
                if size - end > COUNTED_FROM:
                    self._sink.body_grew(size - end)
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
            if len(collected) > COUNTED_FROM:
                self._sink.body_grew(len(collected))
            return b""
        collected.add(memoryview(data)[:missing])
        if length > COUNTED_FROM:
            self._sink.body_ended()
        self._collected_head = None
        self._collected = NOTHING
        self.in_request = False
        self._sink.request_received(head, collected.whole)
        return self._read_known(data, missing)

    def drop_body(self) -> None:
        super().drop_body()
        self._collected = NOTHING

    def _judged(self, head: Head) -> None:
        if self._raw_head and self._keeps_body:
            self._known.learn(self._raw_head, head)
        self._raw_head = b""
