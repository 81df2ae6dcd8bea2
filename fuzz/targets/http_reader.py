"""Bytes to requests: cut in any way, with known heads or without, there are the same requests and the same refusal.

An input is a seed for the cuts, one byte, and streams with 0xFFFF between them, each as ``pieces.expand`` takes it. All
of them share one set of known heads, and each is read twice: what one client taught must not change what another one's
bytes mean.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from unittest import mock

from fuzz.pieces import cut, expand, memory_at_times
from modelport_scoring import Limits
from modelport_scoring.http import reader as reading
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.turns import Turns

SEPARATOR = b"\xff\xff"
LARGE_FROM = 32
"""Bytes of a body: with what they are in a server, few inputs would have any that goes the way of large ones."""

UNBOUNDED = Turns(call_soon=lambda _: None, turn_s=math.inf)

Seen = tuple[object, ...]


class Recorder:
    """Lets everything pass, and writes it down."""

    limits = Limits(max_body_bytes=200_000)
    descriptor: int | None = None
    in_request = False

    def __init__(self) -> None:
        self.seen: list[Seen] = []

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        return True

    def request_received(self, head: Head, body: Body) -> None:
        headers = tuple(head.headers.items())
        self.seen.append((head.method, head.path, head.query, head.version, headers, head.keep_alive, bytes(body)))

    def memory_for(self, head: Head) -> memoryview | None:
        return memory_at_times(head.length)

    def body_grew(self, size: int) -> None: ...

    def body_ended(self) -> None: ...


class Forgetful(KnownHeads):
    """Knows no head, so that the parser reads every request."""

    def learn(self, raw: bytes, head: Head) -> None:
        pass


def read(
    pieces: list[bytes], known: KnownHeads, between: Callable[[], None] = lambda: None
) -> tuple[list[Seen], int | None]:
    """The requests, and the status of the refusal that ended them. ``between`` is called behind each piece."""
    recorder = Recorder()
    reader = RequestReader(recorder, UNBOUNDED, known)
    try:
        for piece in pieces:
            reader.feed(piece)
            between()
    except Unreadable as unreadable:
        return recorder.seen, plain_status(unreadable.response.status)
    return recorder.seen, None


def forgets_at_times(known: KnownHeads, chance: random.Random) -> Callable[[], None]:
    """Other settings have all known heads forgotten, in the middle of a request, too."""
    return lambda: known.clear() if chance.random() < 0.1 else None


def plain_status(status: int) -> int:
    """A method that HTTP has not registered is named (405) where its line begins what was read, and malformed (400)
    elsewhere: to a target that cuts, the two are one."""
    return 400 if status == 405 else status


def check_one(data: bytes) -> None:
    chance = random.Random(data[:1])
    streams = [expand(stream) for stream in data[1:].split(SEPARATOR)]
    known = KnownHeads()
    for stream in [*streams, *streams]:
        expected = read([stream], Forgetful())
        with mock.patch.object(reading, "COUNTED_FROM", LARGE_FROM):
            found = read(cut(stream, chance), known, forgets_at_times(known, chance))
        assert found == expected, f"{found} is not {expected}"
