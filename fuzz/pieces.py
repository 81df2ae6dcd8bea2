"""What an input of a fuzz target is made of."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

MOST_CUTS = 8
BEGINNINGS = (b"POST /", b"GET /", b"HEAD /", b"HTTP/1")
"""Of a message of HTTP."""

HEAD_END = b"\r\n\r\n"

REPEAT = re.compile(rb"\xff\xfe(.)", re.DOTALL)
MOST_BYTES = 128 * 1024
"""Of what is repeated in one place."""


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """The bytes as they might be read: in a few pieces, some of them empty; now and then where something begins."""
    likely = sorted({*beginnings(data)})
    cuts = sorted(place_in(data, likely, chance) for _ in range(chance.randrange(MOST_CUTS)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def beginnings(data: bytes) -> Iterator[int]:
    """Where a message begins, or its body. Looked for by ``find``: streams of 200 KB are cut again and again."""
    for mark in (*BEGINNINGS, HEAD_END):
        place = data.find(mark)
        while place >= 0:
            yield place + (len(mark) if mark is HEAD_END else 0)
            place = data.find(mark, place + 1)


def place_in(data: bytes, likely: list[int], chance: random.Random) -> int:
    return chance.choice(likely) if likely and chance.random() < 0.3 else chance.randrange(len(data) + 1)


def expand(data: bytes) -> bytes:
    """What a short input stands for: 0xFFFE and a byte are what is before them, back to the last such place, that many
    times more. So bodies become large, and requests many."""
    *repeated, last = REPEAT.split(data)
    places = zip(repeated[::2], repeated[1::2], strict=True)
    return b"".join([piece * (1 + min(times[0], MOST_BYTES // max(len(piece), 1))) for piece, times in places]) + last


def memory_at_times(length: int | None) -> memoryview | None:
    """Memory for a body of that length to be collected in, where it is odd: both ways are gone."""
    return memoryview(bytearray(length)) if length and length % 2 else None
