"""The ids that a request carries and its answer repeats (reference, 6.3)."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping

MOST_CHARACTERS = 100
TOO_LONG = "x-request-id must not exceed 100 characters"
TOO_LONG_MS = "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"

ECHO = b"x-ms-request-id: %b\r\nx-request-id: %b\r\n%b"

SAME_PREFIX = 1 << 20
"""So many new ids share their random part."""

ENDINGS = tuple(b"%03x" % number for number in range(1 << 12))


class IdTooLong(ValueError):
    """An id header has more than 100 characters; the message is the client's. ``echo`` are the header lines of the
    answer: the request's own id, where that is not what is too long."""

    def __init__(self, text: str, *, echo: bytes = b"") -> None:
        super().__init__(text)
        self.echo = echo


def make_new_ids() -> Iterator[bytes]:
    """UUIDs (version 4), no two alike. They tell requests apart and keep no secret: so a random part is drawn only now
    and then, and a number, from a random one on, makes the difference between them."""
    source = random.SystemRandom()
    while True:
        digits = f"{source.getrandbits(80):020x}"
        variant = "89ab"[int(digits[15], 16) & 3]
        prefix = f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-{variant}{digits[16:19]}-".encode()
        first = source.getrandbits(35)
        for number in range(first, first + SAME_PREFIX // len(ENDINGS)):
            start = b"%b%09x" % (prefix, number)
            for ending in ENDINGS:
                yield start + ending


new_id = make_new_ids().__next__


class GivenIds:
    """The ids in a head, from which each request with that head gets its own."""

    __slots__ = ("_ms_request_id", "_rest", "own")

    def __init__(self, *, request_id: bytes | None, ms_request_id: bytes | None, rest: bytes) -> None:
        self.own = request_id
        """What the client gave for this request; None where each is to have a new one."""
        self._ms_request_id = ms_request_id
        self._rest = rest
        """The header lines that are only repeated."""

    def settle(self) -> None:
        """Have all requests from now on get the same id: they are one."""
        self.own = self.own or new_id()

    def request_id(self) -> bytes:
        """What the client gave, or a new one for each request."""
        return self.own or new_id()

    def ms_request_id(self, request_id: bytes) -> bytes:
        """The other id of the request with that id."""
        return self._ms_request_id or request_id

    def echo(self, request_id: bytes) -> bytes:
        """The header lines of the answer to the request with that id."""
        return ECHO % (self._ms_request_id or request_id, request_id, self._rest)


def read_ids(headers: Mapping[bytes, bytes]) -> GivenIds:
    """The ids in a request's headers (names in lower case). Raises IdTooLong."""
    given = headers.get(b"x-request-id")
    ms_given = headers.get(b"x-ms-request-id")
    client = headers.get(b"x-ms-client-request-id") or ms_given
    if given and len(given) > MOST_CHARACTERS:
        raise IdTooLong(TOO_LONG)
    if (ms_given and len(ms_given) > MOST_CHARACTERS) or (client and len(client) > MOST_CHARACTERS):
        raise IdTooLong(TOO_LONG_MS, echo=b"x-request-id: %b\r\n" % (given or new_id()))
    rest = b"x-ms-client-request-id: %b\r\n" % client if client else b""
    trace = headers.get(b"traceid")
    if trace is not None:
        rest += b"TraceId: %b\r\n" % trace
    return GivenIds(request_id=given or None, ms_request_id=ms_given or client or None, rest=rest)
