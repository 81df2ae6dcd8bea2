"""The words in which the front ends of the clouds refused requests (reference, 6.4)."""

from __future__ import annotations

from modelport_scoring.http.response import TEXT_TYPE, Response

RETRY_AFTER = b"retry-after: 1\r\n"
"""Seconds: a queue that is full now may be empty then."""

OVERLOADED = "Too many requests for service {name} (overloaded)"
TIMED_OUT_ON_ACI = (
    "Post http://localhost:5001/score: net/http: request canceled (Client.Timeout exceeded while awaiting headers)"
)


def plain(status: int, text: str, *, lines: bytes = b"") -> Response:
    """An error as the front ends of the clouds sent it: the bare text."""
    return Response(status, lines=TEXT_TYPE + lines, body=text.encode())
