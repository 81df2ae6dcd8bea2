"""Numbers that are read once: either exactly what ``json`` and ``numpy.array`` make of a body, or nothing."""

from __future__ import annotations

import json
import math
from array import array
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType

from modelport_scoring.workers.arena import SMALLEST_BYTES
from modelport_scoring.workers.contract import ArrayParameter
from modelport_scoring.workers.numbers import MOST_BYTES, NumberReader, write_each, write_numbers
from modelport_worker.answers import MANY_NUMBERS, MOST_NUMBERS, numbers_of

SHAPES: list[tuple[int, ...]] = [(), (1,), (3,), (2, 3)]
TYPES = ["<f8", "<i8"]
NAME = "data"

READERS = {
    (kind, row): NumberReader(ArrayParameter(name=NAME, type=kind, row=list(row)))  # type: ignore[arg-type]
    for kind in TYPES
    for row in SHAPES
}

number_texts = st.one_of(
    st.integers().map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["0", "-0", "-0.0", "1E5", "1e+5", "2.5e-3", "1e400", "-1e400", "4e-324", "1e-400", "0.1e1"]),
    st.sampled_from(["9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551616"]),
    st.from_regex(r"-?[0-9]{1,25}(\.[0-9]{1,25})?([eE][-+]?[0-9]{1,3})?", fullmatch=True),
)
odd_texts = st.sampled_from(
    [
        *("null", "true", "NaN", "Infinity", "-Infinity", '""', '"1"', '"abc"', '"[["', '"a[b"', "{}", "[]", "", "1,"),
        *("01", "1.", ".5", "+1", "--1", ",1", '{"a":1,"b":2,"c":3}', '{"abc":[1,2,3]}', "[1]", "[1,2,3]", "[[1,2,3]]"),
    ]
)
spaces = st.sampled_from(["", "", "", " ", "\n", "\t\r ", "\x0c", "\u00a0"])
keys = st.sampled_from([NAME, NAME, NAME, NAME, "d\\u0061ta", "Data", "", "d", "da[ta", "\\u005bdata"])
prefixes = st.sampled_from([b"", b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b" "])
suffixes = st.sampled_from([b"", b"", b"", b"", b" ", b"\n", b",", b"}", b"x", b"\x00", b'{"data":[]}'])


@st.composite
def arrays(draw: st.DrawFn, *, shape: tuple[int, ...], texts: st.SearchStrategy[str]) -> str:
    """The text of a nested list of that shape; now and then a level has another length, or is something else."""
    if not shape:
        return draw(texts)
    if draw(st.integers(0, 40)) == 0:
        return draw(odd_texts)
    size = shape[0] if draw(st.integers(0, 20)) else draw(st.integers(0, 4))
    members = [draw(arrays(shape=shape[1:], texts=texts)) for _ in range(size)]
    return "[" + draw(spaces) + f"{draw(spaces)},".join(members) + "]"


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """Request bodies, valid ones and nearly valid ones."""
    texts = draw(st.sampled_from([number_texts, number_texts, st.one_of(number_texts, odd_texts)]))
    row = draw(st.sampled_from(SHAPES))
    pairs = []
    for _ in range(draw(st.sampled_from([1, 1, 1, 1, 1, 0, 2]))):
        value = draw(st.one_of(arrays(shape=(draw(st.integers(0, 4)), *row), texts=texts), odd_texts))
        pairs.append(f'"{draw(keys)}"{draw(spaces)}:{draw(spaces)}{value}')
    text = "{" + draw(spaces) + ",".join(pairs) + "}"
    return draw(prefixes) + text.encode() + draw(suffixes)


def ordinary(body: bytes, *, kind: str, row: tuple[int, ...]) -> Any:
    """The array that the published decorator makes of the body's one key, None where it does not."""
    try:
        document = json.loads(body)
        assert isinstance(document, dict)
        sample = np.zeros((1, *row), dtype=kind)
        with np.errstate(all="ignore"):
            return NumpyParameterType(sample).deserialize_input(document[NAME])
    except Exception:
        return None


def check(body: bytes) -> None:
    for (kind, row), reader in READERS.items():
        read = reader.read(body)
        assert read is None or isinstance(read, bytes | memoryview)
        if read is None:
            continue
        expected = ordinary(body, kind=kind, row=row)
        assert expected is not None, f"{kind} {row}: a body that has no array was read"
        assert expected.shape == (len(read) // (8 * max(1, math.prod(row))), *row)
        assert expected.tobytes() == bytes(read)


@settings(max_examples=500, deadline=None)
@given(bodies())
@example(b'{"data": {"a": [1.0]}}')
@example(b'{"data": "a[b"}')
@example(b'{"data": {"abc": [[1, 2, 3]]}}')
@example(b'{"data": [{"a": 1, "b": 2, "c": [3]}]}')
@example(b'{"data": [[1, [2], 3], 4]}')
@example(b'{"data": [{"abc": [1, 2, 3]}]}')
@example(b'{"data": [{"abc": [1, 2, 3], "d": 4}]}')
@example(b'{"data": ["[", 1, 2]}')
@example(b'{"data": [[1, 2]]}')
@example(b'{"data": [[[1, 2, 3]], [4, 5, 6]]}')
@example(b'{"data": [1], "data": 2}')
@example(b'{"data": [[1, 2], [3, 4, 5, 6]]}')
@example(b'{"data": [[[1, 2], [3, 4, 5, 6]]]}')
@example(b'{"data": [-0]}')
@example(b'{"data": [-0.0]}')
@example(b'{"data": ' + b"[" * 2000 + b"]" * 2000 + b"}")
@example(b"")
@example(b"null")
@example(b'"data"')
def test_what_is_read_is_what_numpy_makes_of_it(body: bytes) -> None:
    check(body)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_left(body: bytes) -> None:
    check(body)
    check(b'{"data":' + body + b"}")


PLAIN = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False))


@settings(max_examples=100, deadline=None)
@given(row=st.sampled_from(SHAPES), count=st.integers(1, 5), data=st.data())
def test_plain_numbers_are_read(row: tuple[int, ...], count: int, data: st.DataObject) -> None:
    """The reader cannot pass the other tests by reading nothing."""
    size = count * math.prod(row)
    numbers = data.draw(st.lists(PLAIN, min_size=size, max_size=size))
    body = json.dumps({NAME: np.array(numbers, dtype=object).reshape((count, *row)).tolist()}).encode()
    read = READERS["<f8", row].read(body)
    assert read == np.array(numbers, dtype="<f8").tobytes()
    integers = [number for number in numbers if isinstance(number, int)]
    if len(integers) == size:
        assert READERS["<i8", row].read(body) == np.array(integers, dtype="<i8").tobytes()


@pytest.mark.parametrize("kind", TYPES)
def test_a_long_body_takes_the_ordinary_way(kind: str) -> None:
    reader = READERS[kind, ()]
    body = b'{"data": [1' + b" " * MOST_BYTES + b"]}"
    assert reader.read(body) is None
    assert reader.read(body.replace(b" " * 100, b"")) is not None


def test_a_name_with_brackets_is_counted_out() -> None:
    reader = NumberReader(ArrayParameter(name="a[0]", type="<f8", row=[2]))
    assert reader.read(b'{"a[0]": [[1, 2]]}') == np.array([[1.0, 2.0]]).tobytes()
    assert reader.read(b'{"a\\u005b0]": [[1, 2]]}') is None


def test_a_large_array_is_not_copied_and_outlives_the_next_body() -> None:
    rows = [[float(number), number / 3] for number in range(SMALLEST_BYTES // 8)]
    read = READERS["<f8", (3,)].read(json.dumps({NAME: [[*row, 0.5] for row in rows]}).encode())
    assert isinstance(read, memoryview)
    assert READERS["<f8", (3,)].read(b'{"data": [[1, 2, 3]]}') is not None
    assert np.frombuffer(read).reshape(-1, 3)[:, :2].tolist() == rows


# --- results ----------------------------------------------------------------------------------------------------------

ANY_FLOAT = st.floats(allow_nan=True, allow_infinity=True)
rows_of_floats = st.integers(1, 5).flatmap(
    lambda width: st.lists(st.lists(ANY_FLOAT, min_size=width, max_size=width), min_size=MANY_NUMBERS, max_size=40)
)


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.lists(ANY_FLOAT, min_size=MANY_NUMBERS, max_size=80), rows_of_floats))
@example([1e16, 1e-7, 5e-324, -0.0, 1.7976931348623157e308, 123456789.0, 0.1, 1 / 3] * 4)
@example([math.nan, math.inf, -math.inf, 1.0] * 8)
def test_a_result_of_floats_is_written_as_json_writes_it(values: list[Any]) -> None:
    payload = numbers_of(values)
    assert payload is not None
    text = write_numbers(payload)
    assert repr(json.loads(text)) == repr(values)
    if any(not math.isfinite(value) for value in np.ravel(values)):
        assert text == json.dumps(values).encode()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.one_of(ANY_FLOAT, st.floats(-1e-3, 1e-3)), min_size=1, max_size=3), min_size=1))
@example([[1e16], [9999999999999998.0], [1e15]])
@example([[1e-5]])
@example([[0.0001], [0.00012345]])
@example([[0.00009999999999999999]])
@example([[-0.0, 1.00001], [0.1]])
@example([[math.nan], [math.inf]])
def test_answers_of_few_floats_are_written_byte_for_byte_as_json_writes_them(parts: list[list[float]]) -> None:
    together = array("d", [number for part in parts for number in part]).tobytes()
    written = write_each(memoryview(together), [len(part) for part in parts])
    assert written == [json.dumps(part).encode() for part in parts]


class Number(float):
    """A subclass, which a script's own encoder might write otherwise."""


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1.0] * (MANY_NUMBERS - 1),
        [1.0] * (MOST_NUMBERS + 1),
        [1] * MANY_NUMBERS,
        [True] * MANY_NUMBERS,
        [1.0] * MANY_NUMBERS + [2],
        [1.0] * MANY_NUMBERS + [None],
        [Number(1)] * MANY_NUMBERS,
        [np.float64(1)] * MANY_NUMBERS,
        [[1.0]] * MANY_NUMBERS + [[1.0, 2.0]],
        [[1.0, 2.0]] * MANY_NUMBERS + [[1.0, 2]],
        [[1.0]] * MANY_NUMBERS + [(1.0,)],
        [[]] * MANY_NUMBERS,
        [[[1.0]]] * MANY_NUMBERS,
        [1.0] * MANY_NUMBERS + [[1.0]],
        [[1.0]] * MANY_NUMBERS + [1.0],
    ],
)
def test_other_results_are_left_to_json(values: list[Any]) -> None:
    assert numbers_of(values) is None
