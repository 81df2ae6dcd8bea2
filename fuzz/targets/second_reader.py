"""Requests as ours and as another's reader, h11, take them: what both read is the same, and where one of them reads on
alone, the other has refused what follows, for a reason that is named here.

An input is a stream, as ``pieces.expand`` takes it, read whole.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from fuzz.pieces import expand, memory_at_times
from fuzz.second_reader import Request, read_requests
from fuzz.targets.http_reader import UNBOUNDED, Forgetful
from modelport_scoring import Limits
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import Body, Head

REFUSED_BY_H11 = re.compile(rb"[A-Z-]+ +[^ \r\n]+ +HTTP/1\.[01]\r\n")
"""What ours takes all the same: more than one space between the parts of a request's first line."""


class Recorder:
    """Lets everything pass, and writes it down as h11 would."""

    limits = Limits(max_body_bytes=200_000)
    descriptor: int | None = None
    in_request = False

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        return True

    def request_received(self, head: Head, body: Body) -> None:
        target = head.path + b"?" + head.query if head.query else head.path
        self.requests.append(Request(head.method, target, head.version, head.headers, bytes(body), head.keep_alive))

    def memory_for(self, head: Head) -> memoryview | None:
        return memory_at_times(head.length)

    def body_grew(self, size: int) -> None: ...

    def body_ended(self) -> None: ...


def as_ours(request: Request) -> Request:
    """With the target as it is where the server is asked itself (RFC 9112, 3.2.1), and the host that this one names."""
    target, headers = request.target, dict(request.headers)
    if target.lower().startswith((b"http://", b"https://")):
        parts = urlsplit(target.decode("latin-1"))
        headers[b"host"] = parts.netloc.encode("latin-1")
        target = target[target.index(b"://") + 3 + len(parts.netloc) :]
        target = target if target.startswith(b"/") else b"/" + target
    path, _, query = target.partition(b"?")
    target = path + b"?" + query if query else path
    return Request(request.method, target, request.version, headers, request.body, request.keep_alive)


def check_one(data: bytes) -> None:
    stream = expand(data)
    recorder, refused = Recorder(), False
    try:
        RequestReader(recorder, UNBOUNDED, Forgetful()).feed(stream)
    except Unreadable:
        refused = True
    ours, reading = recorder.requests, read_requests(stream)
    theirs = [as_ours(request) for request in reading.requests]
    both = min(len(ours), len(theirs))
    assert ours[:both] == theirs[:both], f"{ours} is not {theirs}"
    if len(theirs) > both:
        assert refused, f"{theirs[both]} was not read"
    if len(ours) > both:
        assert REFUSED_BY_H11.match(reading.refused), f"h11 does not take {reading.refused!r}"
