"""Whether two answers say the same."""

from __future__ import annotations

import math
from typing import Any

import orjson

MOST_READ_BYTES = 64 * 1024
"""Longer bodies are compared byte by byte only: reading them would hold up the requests of others."""


def same_body(one: bytes, other: bytes, *, tolerance: float = 0.0) -> bool:
    """Whether two bodies are equal, byte for byte or as JSON.

    In JSON, the order of an object's keys means nothing, ``1`` and ``1.0`` are the same number, and numbers may differ
    by ``tolerance`` times the larger one.
    """
    if one == other:
        return True
    if max(len(one), len(other)) > MOST_READ_BYTES:
        return False
    try:
        return same_values(orjson.loads(one), orjson.loads(other), tolerance=tolerance)
    except orjson.JSONDecodeError:
        return False


def same_values(one: Any, other: Any, *, tolerance: float) -> bool:
    """The same for values that were read from JSON. Walks with a list of its own: they may be nested deeply."""
    pairs = [(one, other)]
    while pairs:
        left, right = pairs.pop()
        if isinstance(left, dict) and isinstance(right, dict):
            if left.keys() != right.keys():
                return False
            pairs.extend((member, right[name]) for name, member in left.items())
        elif isinstance(left, list) and isinstance(right, list):
            if len(left) != len(right):
                return False
            pairs.extend(zip(left, right, strict=True))
        elif not same_scalar(left, right, tolerance=tolerance):
            return False
    return True


def same_scalar(one: Any, other: Any, *, tolerance: float) -> bool:
    """Whether two values without members are equal. ``true`` is no number."""
    if is_number(one) and is_number(other):
        return one == other or (tolerance > 0 and math.isclose(one, other, rel_tol=tolerance))
    return type(one) is type(other) and bool(one == other)


def is_number(value: Any) -> bool:
    """Whether JSON has it as a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
