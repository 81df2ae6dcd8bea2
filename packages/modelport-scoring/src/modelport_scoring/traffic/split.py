"""Which revision gets a request: by chance, by the value of a header, or because the client asked for it."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Mapping
from hashlib import blake2b

from modelport_scoring.settings.traffic import Traffic, shares

DIGEST_BYTES = 8
DIGESTS = 1 << (8 * DIGEST_BYTES)
SALT_BYTES = 16

DEFAULT_SALT = b"default revision"
"""Whichever that is: another default revision moves nobody who is on a third one."""


class Split:
    """The choice, by number, for one state of the settings. Header names and values are bytes, names in lower case."""

    def __init__(self, traffic: Traffic, *, default: int, others: Collection[int]) -> None:
        self.default = default
        self._numbers = {str(number).encode(): number for number in (default, *others)}
        self._sticky_header = None if traffic.sticky_header is None else traffic.sticky_header.lower().encode()
        self._version_header = None if traffic.version_header is None else traffic.version_header.lower().encode()
        percents = shares(traffic, default=default, others=others)
        self._shares = [(number, percent) for number, percent in percents.items() if percent > 0]
        self._salts = {number: DEFAULT_SALT if number == default else make_salt(number) for number in percents}
        self._uppers = self._stack({number: percent for number, percent in self._shares if number != default})

    @staticmethod
    def _stack(percents: Mapping[int, float]) -> list[tuple[float, int]]:
        """Where the share of each ends, from 0 to 1."""
        upper = 0.0
        uppers = []
        for number, percent in percents.items():
            upper += percent / 100
            uppers.append((upper, number))
        return uppers

    def asked(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        """What the client wrote where it may ask for a revision; None: nothing."""
        return None if self._version_header is None else headers.get(self._version_header)

    def find(self, asked: bytes) -> int | None:
        """The revision of that number, None where there is none."""
        return self._numbers.get(asked)

    def choose(self, headers: Mapping[bytes, bytes]) -> int:
        """The revision for a request that asks for none."""
        if self._sticky_header is not None and (value := headers.get(self._sticky_header)):
            return self._stick(value)
        point = random.random()  # noqa: S311  (nothing is secret here)
        for upper, number in self._uppers:
            if point < upper:
                return number
        return self.default

    def _stick(self, value: bytes) -> int:
        """Weighted rendezvous hashing (ADR 3): each revision draws a number from the value, and the one whose
        number is the smallest for its weight wins. A weight that grows takes no value away from its revision."""
        return max(self._shares, key=lambda share: share[1] / draw(value, self._salts[share[0]]))[0]


def make_salt(number: int) -> bytes:
    """A revision's own."""
    return number.to_bytes(SALT_BYTES, "big", signed=True)


def draw(value: bytes, salt: bytes) -> float:
    """A number above 0, exponentially distributed over the values, always the same for the same two."""
    return to_exponential(int.from_bytes(blake2b(value, digest_size=DIGEST_BYTES, salt=salt).digest(), "big"))


def to_exponential(digest: int) -> float:
    """The number above 0 that a digest stands for: the larger the digest, the smaller the number."""
    # A float cannot tell the last thousand digests from the end of the interval, whose logarithm is 0.
    return max(-math.log((digest + 0.5) / DIGESTS), 0.5 / DIGESTS)
