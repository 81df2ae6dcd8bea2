"""What an input of a fuzz target is made of."""

from __future__ import annotations

import random

MOST_CUTS = 8


def cut(data: bytes, chance: random.Random) -> list[bytes]:
    """The bytes as they might be read: in a few pieces, some of them empty."""
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(chance.randrange(MOST_CUTS)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
