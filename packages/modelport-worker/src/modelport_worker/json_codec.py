"""JSON as the standard library reads and writes it, by orjson where that cannot make a difference.

orjson is used if the user's environment has it. It differs from ``json``: it reads integers of more than 64 bits as
floats, refuses NaN, writes NaN as null, writes letters beyond ASCII unescaped, and writes what ``json`` refuses
(dataclasses, datetimes, UUIDs, enumerations). Wherever that could show, ``json`` does the work.
"""

import json
from typing import Any, Callable, Union

from modelport_worker.orjson_if_present import orjson

DIGITS = bytes.maketrans(b"123456789", b"000000000")
LONG_INTEGER = b"0" * 19
"""Any integer beyond 64 bits has at least so many digits."""

NUMBERS = frozenset((int, float))
FEW = 32
"""Up to here numbers are written in half of the time that ``json`` takes to begin."""

SCALARS = frozenset((str, int, float, bool, type(None)))
TEXT = frozenset((str,))


def plain_loads(text: Union[bytes, bytearray]) -> Any:
    """The value of a JSON text. Raises ValueError or RecursionError where it is none."""
    return json.loads(text)


def quick_loads(text: Union[bytes, bytearray]) -> Any:
    """As ``plain_loads``, the same value for every text."""
    if LONG_INTEGER in text.translate(DIGITS):
        return json.loads(text)
    try:
        return orjson.loads(text)
    except ValueError:
        return json.loads(text)  # NaN, lone surrogates, UTF-16, or an error in the standard library's words


def plain_dumps(value: Any) -> bytes:
    """What ``json.dumps`` writes. Raises what it raises."""
    if type(value) is list and len(value) <= FEW and NUMBERS.issuperset(map(type, value)):
        text = "[" + ", ".join(map(repr, value)) + "]"
        if "n" not in text:  # nan and inf
            return text.encode("ascii")
    text = json.dumps(value)  # the script may have put another one in its place, whose texts are bytes, or not ASCII
    return text.encode("utf-8") if isinstance(text, str) else text


def quick_dumps(value: Any) -> bytes:
    """As ``plain_dumps``: texts that parse to the same value, ASCII too, and the same refusals."""
    try:
        if is_plain(value):
            text: bytes = orjson.dumps(value)
            if b"null" not in text and is_ascii(text):
                return text
    except (TypeError, RecursionError):
        pass  # integers beyond 64 bits, lone surrogates, nesting beyond orjson's limit
    return plain_dumps(value)


def is_plain(value: Any) -> bool:
    """Whether the value is made of the built-in types alone, not of subclasses, with ``str`` as keys of every dict."""
    kind = type(value)
    if kind is list or kind is tuple:
        members = value
    elif kind is dict:
        if not TEXT.issuperset(map(type, value)):
            return False
        members = value.values()
    else:
        return kind in SCALARS
    return SCALARS.issuperset(map(type, members)) or all(map(is_plain, members))


def is_ascii(text: bytes) -> bool:
    try:
        text.decode("ascii")
    except UnicodeDecodeError:
        return False
    return True


loads: Callable[[Union[bytes, bytearray]], Any] = plain_loads if orjson is None else quick_loads
dumps: Callable[[Any], bytes] = plain_dumps if orjson is None else quick_dumps
