"""What an input of a fuzz target is made of."""

from __future__ import annotations

import random
import re

MOST_CUTS = 8
BEGINNING = re.compile(rb"(?=(?:POST|GET|HEAD) /|HTTP/1)|(?<=\r\n\r\n)")
"""Of a message of HTTP, or of its body."""

REPEAT = re.compile(rb"\xff\xfe(.)", re.DOTALL)
MOST_BYTES = 128 * 1024
"""Of what is repeated in one place."""


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """The bytes as they might be read: in a few pieces, some of them empty; now and then where something begins."""
    likely = [found.start() for found in BEGINNING.finditer(data)]
    cuts = sorted(place_in(data, likely, chance) for _ in range(chance.randrange(MOST_CUTS)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def place_in(data: bytes, likely: list[int], chance: random.Random) -> int:
    return chance.choice(likely) if likely and chance.random() < 0.3 else chance.randrange(len(data) + 1)


def expand(data: bytes) -> bytes:
    """What a short input stands for: 0xFFFE and a byte are what is before them, back to the last such place, that many
    times more. So bodies become large, and requests many."""
    *repeated, last = REPEAT.split(data)
    places = zip(repeated[::2], repeated[1::2], strict=True)
    return b"".join([piece * (1 + min(times[0], MOST_BYTES // max(len(piece), 1))) for piece, times in places]) + last
