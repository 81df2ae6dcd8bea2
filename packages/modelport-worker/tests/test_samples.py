"""Rows that count as alike: converted together, each becomes exactly what it becomes when converted alone."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

from modelport_worker.entry_script import EntryScript
from modelport_worker.samples import ArraySample, TableSample, below_decorators, keeps_text, unchecked
from modelport_worker.service import make_service, warm_up
from modelport_worker.signature import describe_parameters, read_signature

ARRAYS = {
    f"{kind} {shape}": np.ones((2, *shape)).astype(kind)
    for kind in ("f8", "f4", "f2", "i8", "i4", "u1", "u8", "?", "U3", "S2")
    for shape in ((), (2,), (2, 2))
}
TABLES = {
    "plain": pd.DataFrame({"whole": [1], "real": [1.5], "flag": [True], "text": ["a"]}),
    "narrow": pd.DataFrame({"whole": [1], "real": [1.5], "flag": [True], "text": ["a"]}).astype(
        {"whole": "int8", "real": "float32"}
    ),
    "unsigned": pd.DataFrame({"whole": [1], "real": [1.5], "flag": [True], "text": ["a"]}).astype(
        {"whole": "uint64", "real": "longdouble", "text": "object"}
    ),
    "nullable": pd.DataFrame({"whole": [1], "real": [1.5], "flag": [True], "text": ["a"]}).astype(
        {"whole": "Int64", "real": "Float32", "flag": "boolean", "text": "category"}
    ),
}

INTEGERS = st.one_of(
    st.integers(-300, 300),
    st.integers(-(2**66), 2**66),
    st.sampled_from([2**53 + 1, 2**60 + 2**36 + 1, 2**63, 2**64 - 1, -(2**63), 2**24 + 1]),
)
REALS = st.one_of(st.floats(), st.sampled_from([-0.0, 1e300, 1e-300, 65520.0, 0.1]))
TEXTS = st.one_of(st.text(max_size=4), st.sampled_from(["1", "007", "1.5", "nan", "2020-01-01", "true", "", "\ud800"]))
ANY = st.one_of(INTEGERS, REALS, TEXTS, st.booleans(), st.none(), st.just([]), st.just([1]), st.just({"a": 1}))


def values_for(kind: str) -> st.SearchStrategy[Any]:
    """Mostly what a column of the kind expects."""
    usual = {"i": INTEGERS, "u": INTEGERS, "f": st.one_of(INTEGERS, REALS), "b": st.booleans(), "O": TEXTS}
    return usual.get(kind, TEXTS)


@contextmanager
def quietly() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def convert(parameter_type: Any, rows: Any) -> Any:
    """The decorator's result for what a request's JSON would hold, None where it raises."""
    try:
        with quietly():
            return parameter_type.deserialize_input(json.loads(json.dumps(rows)))
    except Exception:
        return None


def nested(values: st.SearchStrategy[Any], shape: tuple[int, ...]) -> st.SearchStrategy[Any]:
    if not shape:
        return values
    usual = st.lists(nested(values, shape[1:]), min_size=shape[0], max_size=shape[0])
    return st.one_of(usual, usual, usual, usual, usual, usual, st.lists(nested(values, shape[1:]), max_size=3), ANY)


def exact(array: Any) -> list[str]:
    """What distinguishes the rows, to the bit."""
    return [repr((array.dtype, row.shape, row.tobytes())) for row in map(np.asarray, array)]


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(ARRAYS)), data=st.data())
def test_arrays(name: str, data: st.DataObject) -> None:
    array = ARRAYS[name]
    parameter_type = NumpyParameterType(array)
    sample = ArraySample("data", parameter_type, optional=False)
    assert sample.can_join
    values = data.draw(st.sampled_from([values_for(array.dtype.kind), values_for(array.dtype.kind), ANY]))
    rows = st.lists(nested(values, array.shape[1:]), min_size=1, max_size=2)
    requests = data.draw(st.lists(rows, min_size=2, max_size=3))
    alone = [convert(parameter_type, request) for request in requests]
    joined = list(chain.from_iterable(requests))
    if not sample.rows_are_alike(joined):
        assert any(result is None for result in alone), "requests that are valid alone can be joined"
        return
    together = convert(parameter_type, joined)
    if together is not None:
        assert all(result is not None for result in alone)
        assert exact(together) == [row for result in alone for row in exact(result)]


def cells(table: Any) -> list[Any]:
    """The rows of a table with the types of the columns, to the bit."""
    columns = [[repr(value) for value in table[column].array] for column in table.columns]
    return [(tuple(table.columns), *map(str, table.dtypes), *row) for row in zip(*columns, strict=True)]


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(TABLES)), data=st.data())
@example(name="narrow", data=[[(2**60 + 2**36 + 1)], [0.5]])
def test_tables(name: str, data: Any) -> None:
    table = TABLES[name]
    parameter_type = PandasParameterType(table)
    sample = TableSample("data", parameter_type)
    assert sample.can_join
    requests = draw_requests(table, data)
    alone = [convert(parameter_type, request) for request in requests]
    joined = list(chain.from_iterable(requests))
    if not sample.rows_are_alike(joined):
        return
    together = convert(parameter_type, joined)
    if together is not None:
        assert all(result is not None for result in alone)
        assert cells(together) == [row for result in alone for row in cells(result)]


def draw_requests(table: Any, data: Any) -> list[list[Any]]:
    """Requests drawn at random, or with the numbers given in the column ``real``."""
    if isinstance(data, list):
        record = {"whole": 1, "flag": True, "text": "a"}
        return [[{**record, "real": number} for number in numbers] for numbers in data]
    records = st.fixed_dictionaries(
        {column: st.one_of([values_for(dtype.kind)] * 9 + [ANY]) for column, dtype in table.dtypes.items()}
    )
    drawn: list[list[Any]] = data.draw(st.lists(st.lists(records, min_size=1, max_size=2), min_size=2, max_size=3))
    return drawn


@pytest.mark.parametrize("name", ["created_at", "Start_Time", "timestamp_x", "modified", "DATE", "datetime", "a\n_at"])
def test_columns_that_pandas_takes_for_dates(name: str) -> None:
    assert not TableSample("data", PandasParameterType(pd.DataFrame({name: ["a"]}))).can_join
    assert TableSample("data", PandasParameterType(pd.DataFrame({"x" + name + "x": ["a"], "atimestamp": [1]}))).can_join


@pytest.mark.parametrize(
    "table",
    [
        PandasParameterType(pd.DataFrame({"x": [1.5]}), enforce_column_type=False),
        PandasParameterType(pd.DataFrame({"x": [1.5]}), orient="split"),
        PandasParameterType(pd.DataFrame({"x": pd.to_datetime(["2020-01-01"])})),
    ],
)
def test_tables_whose_values_depend_on_one_another(table: PandasParameterType) -> None:
    assert not TableSample("data", table).can_join


@pytest.mark.parametrize(
    "array",
    [
        NumpyParameterType(np.ones((1, 2)), enforce_column_type=False),
        NumpyParameterType(np.ones((1, 2)), enforce_shape=False),
        NumpyParameterType(np.ones((1, 2), dtype=object)),
        NumpyParameterType(np.array([1, "a", None], dtype=object)),
        NumpyParameterType(np.array([(1, 2.0)], dtype=[("a", "i8"), ("b", "f8")])),
        NumpyParameterType(np.array(["2020-01-01"], dtype="M8[D]")),
        NumpyParameterType(np.ones((1, 0))),
    ],
)
def test_arrays_whose_values_depend_on_one_another(array: NumpyParameterType) -> None:
    sample = ArraySample("data", array, optional=False)
    assert not sample.can_join
    assert sample.describe() is None


@pytest.mark.parametrize(
    ("kind", "rows"),
    [
        ("?", [True, [True]]),
        ("U3", ["a", ["b"]]),
        ("?2", [[True, False], [True]]),
        ("?2", [[True, False], [True, [True]]]),
        ("?2", [[True, False], True]),
        ("?2", [[True, False], {"a": True, "b": False}]),
    ],
)
def test_rows_of_another_shape_are_never_joined(kind: str, rows: list[Any]) -> None:
    """Not even where NumPy, as the old ones do, would make one array of them: of a list the one value true."""
    shape = (1, 2) if kind == "?2" else (1,)
    sample = ArraySample("data", NumpyParameterType(np.ones(shape).astype(kind[:2].rstrip("2"))), optional=False)
    assert not sample.rows_are_alike(rows)


def test_an_optional_array_never_comes_as_an_array() -> None:
    """The decorator asks whether an optional argument is true, which an array of several numbers refuses to say."""
    assert ArraySample("data", NumpyParameterType(np.ones((1, 2))), optional=True).describe() is None


def test_an_array_passes_by_the_decorators_that_would_hand_it_on() -> None:
    array = NumpyParameterType(np.ones((1, 2)))
    sample = ArraySample("data", array, optional=False)

    def run(data: Any, other: int = 0) -> Any:
        return data.sum()

    def run_with_output(data: Any) -> Any:
        return data.sum()

    def traced(function: Callable[..., Any]) -> Callable[..., Any]:
        return functools.wraps(function)(lambda **arguments: function(**arguments) + 1)

    assert below_decorators(input_schema("data", array)(run), sample) is run
    with_output = output_schema(StandardPythonParameterType(1))(run_with_output)
    assert below_decorators(input_schema("data", array)(with_output), sample) is run_with_output
    inner = traced(with_output)
    assert below_decorators(input_schema("data", array)(inner), sample) is inner, (
        "a decorator of the script's is called"
    )
    outer = traced(input_schema("data", array)(run))
    assert below_decorators(outer, sample) is outer
    both = input_schema("other", StandardPythonParameterType(1))(input_schema("data", array)(traced(run)))
    assert below_decorators(both, sample) is both, "another argument is converted still"
    own = input_schema("data", Shifted(np.ones((1, 2))))(run)
    assert below_decorators(own, ArraySample("data", Shifted(np.ones((1, 2))), optional=False)) is own


class Shifted(NumpyParameterType):  # type: ignore[misc]
    """Converts arrays, too."""

    takes_arrays = True

    def __init__(self, sample: Any) -> None:
        super().__init__(sample)
        self.sample_data_type = str


class Guessing(PandasParameterType):  # type: ignore[misc]
    """As some versions of the package convert."""

    def deserialize_input(self, input_data: Any) -> Any:
        return pd.DataFrame(input_data).apply(pd.to_numeric)


def test_a_package_that_guesses_types() -> None:
    assert keeps_text(PandasParameterType)
    assert not keeps_text(Guessing)


def test_what_decorators_leave_unchecked_is_told() -> None:
    def run(both: Any, shape: Any, none: Any, plain: Any) -> None:
        pass

    decorated: Any = run
    for name, parameter_type in (
        ("both", NumpyParameterType(np.ones((1, 2)), enforce_shape=False, enforce_column_type=False)),
        ("shape", PandasParameterType(pd.DataFrame({"x": [1]}), enforce_shape=False)),
        ("none", NumpyParameterType(np.ones((1, 2)))),
        ("plain", StandardPythonParameterType(1)),
    ):
        decorated = input_schema(name, parameter_type)(decorated)
    found = unchecked(decorated)
    assert found == {"both": ["shape", "types"], "shape": ["shape"], "none": [], "plain": []}
    described = describe_parameters(read_signature(decorated), found)
    assert described[0] == {"name": "both", "required": True, "unchecked": ["shape", "types"]}
    assert described[2] == {"name": "none", "required": True}
    assert unchecked(None) == {}


SEEN: list[Any] = []


@pytest.mark.parametrize("unit", ["us", "s", "h", "D", "Y"])
def test_a_warm_up_reads_moments_that_the_package_writes_as_numpy_does_not(unit: str) -> None:
    sample = np.array(["2020-01-02T03:04:05", "1969-12-31T23:59:59"], dtype=f"datetime64[{unit}]")

    def run(data: Any) -> None:
        SEEN.append(data)  # not a list of the test's own: the package takes what a function encloses for decorators

    decorated: Any = input_schema("data", NumpyParameterType(sample))(run)
    warm_up(make_service(EntryScript(init=print, run=decorated)))
    (seen,) = SEEN[-1:]
    assert seen.dtype == sample.dtype
    assert np.array_equal(seen, sample)
