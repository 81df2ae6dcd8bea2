"""orjson and json give the same, whatever comes: the promise of ``json_codec``."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import enum
import json
import math
import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelport_worker.batching import encode_numbers
from modelport_worker.json_codec import dumps, plain_dumps, plain_loads, quick_dumps, quick_loads
from modelport_worker.orjson_if_present import orjson


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Text(str):
    """A subclass, as libraries return them."""


@dataclasses.dataclass
class Point:
    x: int = 1


Pair = collections.namedtuple("Pair", "first second")

keys = st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.just(Text("t")), st.just((1,)))
unusual: st.SearchStrategy[Any] = st.sampled_from(
    [
        Colour.RED, Level.HIGH, Text("t"), Point(), Pair(1, 2), uuid.UUID(int=1), datetime.datetime(2020, 1, 1),
        datetime.date(2020, 1, 1), datetime.time(1), np.float64(1.5), np.float32(1.5), np.int64(3), np.bool_(True),
        np.array([1.0]), b"x", {1}, collections.OrderedDict(a=1), collections.defaultdict(list), 2**64, -(2**63) - 1,
        "\ud800", "null", "ü", object(), 1e16, 5e-324, -0.0,
    ]
)  # fmt: skip
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), unusual)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(st.text(), inner), st.dictionaries(keys, inner)
    ),
    max_leaves=12,
)


def outcome(function: Any, argument: Any) -> Any:
    try:
        return function(argument)
    except (ValueError, TypeError, RecursionError) as error:
        return type(error)


def same(left: Any, right: Any) -> bool:
    """Equal in type too, and NaN to itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    return bool(left == right)


def test_orjson_is_here() -> None:
    assert orjson is not None


@given(st.lists(st.one_of(st.integers(), st.floats(), st.booleans(), unusual), max_size=40))
@example([float("nan"), 1.0])
@example([float("-inf")])
@example([True, 1])
@example([Level.HIGH])
@example([np.float64(1.5)])
def test_numbers_are_written_as_json_writes_them(members: list[Any]) -> None:
    def by_json(value: Any) -> bytes:
        return json.dumps(value).encode("ascii")

    assert outcome(plain_dumps, members) == outcome(by_json, members)


@given(values)
@example([float("nan")])
@example({"a": [Colour.RED]})
@example([[[uuid.UUID(int=0)]]])
def test_dumps(value: Any) -> None:
    quick, plain = outcome(quick_dumps, value), outcome(plain_dumps, value)
    if isinstance(plain, bytes):
        assert isinstance(quick, bytes)
        assert quick.isascii()
        assert same(json.loads(quick), json.loads(plain))
    else:
        assert quick == plain


texts = st.one_of(
    values.map(lambda value: outcome(plain_dumps, value)).filter(lambda text: isinstance(text, bytes)),
    st.binary(),
    st.from_regex(r"[\[{]?\s*-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?\s*[\]}]?", fullmatch=True).map(
        str.encode
    ),
    st.text(alphabet='[]{}",:0123456789.eE+-ntfNaIi\\u \t\n').map(str.encode),
    st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]).map(lambda coding: '{"a": [1]}'.encode(coding)),
)


@given(texts)
@example(b"18446744073709551616")
@example(b"-9223372036854775809")
@example(b"-9999999999999999999")
@example(b'{"a": 1, "b": 2, "a": NaN}')
@example(b'"\\ud800"')
@example(b"[" * 300 + b"]" * 300)
@example(b"-0")
@example(b"1e999")
def test_loads(text: bytes) -> None:
    quick, plain = outcome(quick_loads, text), outcome(plain_loads, text)
    assert same(quick, plain)


@pytest.mark.parametrize("nesting", [100, 260, 100_000])
def test_deep_values(nesting: int) -> None:
    value: Any = 1
    for _ in range(nesting):
        value = [value]
    assert outcome(quick_dumps, value) == outcome(plain_dumps, value)


def test_circular_value() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ValueError, match="Circular"):
        quick_dumps(value)


numbers = st.one_of(st.floats(), st.integers(), st.integers(-(2**70), 2**70), st.booleans())


@given(st.lists(st.lists(numbers, min_size=1, max_size=4), min_size=1, max_size=6))
def test_numbers_encoded_together_are_the_same_bytes(parts: list[list[float]]) -> None:
    together = [number for part in parts for number in part]
    encoded = encode_numbers(together, [len(part) for part in parts])
    if encoded is not None:
        assert encoded == [dumps(part) for part in parts]
    elif all(type(number) is float and abs(number) < 2**60 for number in together):
        raise AssertionError("plain numbers were not taken")
