"""Origins whose pages may read the answers, as settings have them (reference, 5.7)."""

from __future__ import annotations

import re
from collections.abc import Iterable

ANY = "*"
PATTERN_CHARACTERS = frozenset("*\\]?$^[]()")
"""An origin with one of them is a regular expression, as for the library that v1's server asked (flask-cors)."""

LEADING_FLAGS = re.compile(rb"\A\(\?[a-zA-Z]+\)")
"""Of an expression; they may stand nowhere else."""


class OriginInvalid(ValueError):
    """One of the origins is no text, or looks like a regular expression and is none; the message names it."""


def is_pattern(origin: str) -> bool:
    """Whether it is a regular expression, and not ``*`` alone."""
    return origin != ANY and not PATTERN_CHARACTERS.isdisjoint(origin)


def compiled(origin: str) -> re.Pattern[bytes]:
    """What matches all of an origin that the expression allows, with any port behind it. Raises OriginInvalid."""
    expression = origin.encode()
    rest = LEADING_FLAGS.sub(b"", expression)
    flags = expression.removesuffix(rest)
    try:
        re.compile(expression)  # by itself: what is put around it could close what it leaves open
        return re.compile(b"%b(?:%b)(?::\\d+)?" % (flags, rest), re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:  # of too high a number, or of thousands of brackets
        text = f"the origin {origin!r} looks like a regular expression, and is none: {error}; commas separate origins"
        raise OriginInvalid(text) from error


def check_origins(origins: Iterable[str]) -> None:
    """Raises OriginInvalid."""
    for origin in origins:
        try:
            origin.encode()
        except UnicodeEncodeError as error:  # of an environment variable, whose bytes are no UTF-8
            raise OriginInvalid(f"the origin {origin!r} is no text") from error
        if is_pattern(origin):
            compiled(origin)


def parse_origins(text: str) -> list[str]:
    """Origins as AML_CORS_ORIGINS has them: separated by commas. Raises OriginInvalid."""
    origins = [origin.strip() for origin in text.split(",") if origin.strip()]
    check_origins(origins)
    return origins
