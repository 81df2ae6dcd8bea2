"""The ids that a request carries and its answer repeats (reference, 6.3)."""

from __future__ import annotations

import random
from collections.abc import Mapping

MOST_CHARACTERS = 100
TOO_LONG = "x-request-id must not exceed 100 characters"
TOO_LONG_MS = "x-ms-request-id and x-ms-client-request-id must not exceed 100 characters"

VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


class IdTooLong(ValueError):
    """An id header has more than 100 characters; the message is the client's."""


def new_id() -> str:
    """A random UUID (version 4). It tells requests apart and keeps no secret, so it need not cost a system call."""
    digits = f"{random.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


class RequestIds:
    """The ids of one request: ``request_id``, and ``echo``, the header lines of its answer."""

    __slots__ = ("echo", "ms_request_id", "request_id")

    def __init__(self, *, request_id: bytes, ms_request_id: bytes, echo: bytes) -> None:
        self.request_id = request_id
        self.ms_request_id = ms_request_id
        self.echo = echo


def read_ids(headers: Mapping[bytes, bytes]) -> RequestIds:
    """The ids of a request with those headers (names in lower case). Raises IdTooLong."""
    given = headers.get(b"x-request-id")
    ms_given = headers.get(b"x-ms-request-id")
    client = headers.get(b"x-ms-client-request-id") or ms_given
    if given and len(given) > MOST_CHARACTERS:
        raise IdTooLong(TOO_LONG)
    if (ms_given and len(ms_given) > MOST_CHARACTERS) or (client and len(client) > MOST_CHARACTERS):
        raise IdTooLong(TOO_LONG_MS)
    request_id = given or new_id().encode()
    ms_request_id = ms_given or client or request_id
    echo = b"x-ms-request-id: %b\r\nx-request-id: %b\r\n" % (ms_request_id, request_id)
    if client:
        echo += b"x-ms-client-request-id: %b\r\n" % client
    trace = headers.get(b"traceid")
    if trace is not None:
        echo += b"TraceId: %b\r\n" % trace
    return RequestIds(request_id=request_id, ms_request_id=ms_request_id, echo=echo)
