"""Every kind of sample that the published ``inference_schema`` takes, and the schemas that a worker makes of them."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema, output_schema

from modelport_scoring.workers.contract import Contract, Parameter
from modelport_worker.samples import unchecked
from modelport_worker.schema import collect_schemas

_numbers = itertools.count(1)


def contract_of(parameters: Mapping[str, Any], *, output: Any = None, optional: tuple[str, ...] = ()) -> Contract:
    """What a worker tells of a ``run`` with those decorators. ``optional`` parameters have a default."""
    function = _function(list(parameters), optional)
    for name, sample in parameters.items():
        function = input_schema(name, sample)(function)
    if output is not None:
        function = output_schema(output)(function)
    left = unchecked(function)
    described = [
        Parameter(name=name, required=name not in optional, unchecked=left.get(name, [])) for name in parameters
    ]
    return Contract(input="json", parameters=described, schemas=collect_schemas(function, []))


def _function(names: list[str], optional: tuple[str, ...]) -> Callable[..., Any]:
    """A function with those parameters; the package files schemas under its name, so each has its own."""
    signature = ", ".join(f"{name}=None" if name in optional else name for name in names)
    found: dict[str, Any] = {"__name__": __name__}
    name = f"run_{next(_numbers)}"
    exec(f"def {name}({signature}): pass", found)
    function: Callable[..., Any] = found[name]
    return function


FRAME = pd.DataFrame(
    {
        "whole": [1, 2],
        "real": [1.5, 2.5],
        "text": ["a", "b"],
        "truth": [True, False],
        "moment": pd.to_datetime(["2020-01-01", "2021-01-01"]),
    }
)

NUMPY_TYPES = [
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
]

NUMPY_SAMPLES: dict[str, Any] = {
    **{f"numpy {name}": np.array([[1, 2, 3], [4, 5, 6]], dtype=name) for name in NUMPY_TYPES},
    "numpy bool": np.array([True, False]),
    "numpy str": np.array(["a", "b"]),
    "numpy bytes": np.array([b"a", b"b"]),
    "numpy datetime": np.array(["2020-01-01T10:00"], dtype="datetime64[s]"),
    "numpy timedelta": np.array([3], dtype="timedelta64[D]"),
    "numpy object": np.array([{"a": 1}], dtype=object),
    "numpy structured": np.array([(1, 2.5)], dtype=[("count", "int32"), ("share", "float64")]),
    "numpy one dimension": np.array([1.0, 2.0]),
    "numpy image": np.zeros((1, 2, 2, 3)),
    "numpy empty": np.zeros((0, 3)),
}

STANDARD_SAMPLES: dict[str, Any] = {
    "int": 1,
    "float": 1.5,
    "bool": True,
    "str": "a",
    "bytes": b"abc",
    "bytearray": bytearray(b"abc"),
    "date": dt.date(2020, 1, 2),
    "datetime": dt.datetime(2020, 1, 2, 3, 4, 5),
    "time": dt.time(3, 4, 5),
    "list": [1, 2],
    "tuple": (1, 2),
    "range": range(3),
    "empty list": [],
    "mixed list": [1, "a"],
    "dict": {"a": 1, "b": {"c": [1.5]}},
    "list of frames": [PandasParameterType(FRAME)],
    "nested": {"frame": PandasParameterType(FRAME), "array": NumpyParameterType(np.array([[1, 2]])), "plain": "a"},
}

ORIENTS = ["records", "values", "split", "index", "columns", "table"]


def _cases() -> dict[str, Contract]:
    made = {name: contract_of({"data": NumpyParameterType(sample)}) for name, sample in NUMPY_SAMPLES.items()}
    for orient in ORIENTS:
        made[f"pandas {orient}"] = contract_of({"data": PandasParameterType(FRAME, orient=orient)})
    made["pandas missing values"] = contract_of({"data": PandasParameterType(pd.DataFrame({"a": [1.5, None]}))})
    for name, sample in STANDARD_SAMPLES.items():
        made[f"standard {name}"] = contract_of({"data": StandardPythonParameterType(sample)})
    made["several parameters"] = contract_of(
        {"first": StandardPythonParameterType(1), "second": NumpyParameterType(np.array([1.5]))},
        output=StandardPythonParameterType({"answer": [1]}),
        optional=("second",),
    )
    made["Power BI"] = contract_of(
        {
            "Inputs": StandardPythonParameterType({"input1": PandasParameterType(FRAME)}),
            "GlobalParameters": StandardPythonParameterType(1.0),
        },
        output=StandardPythonParameterType({"Results": [1.5]}),
        optional=("GlobalParameters",),
    )
    return made


CASES = _cases()
