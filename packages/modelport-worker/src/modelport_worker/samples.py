"""The sample behind ``@input_schema``: what can be known of a request's rows without converting them.

The published ``inference_schema`` package keeps a decorator's parameter type in the closure of the wrapper that it puts
around ``run``. It is looked for there; where it is not found, or is of another kind than is understood here, there is
no sample, and every request takes the ordinary way.
"""

import inspect
import re
import sys
from functools import reduce
from operator import mul
from typing import Any, Callable, Dict, List, Optional, Tuple, Union

from modelport_worker.signature import RunSignature

NUMPY_TYPE = ("inference_schema.parameter_types.numpy_parameter_type", "NumpyParameterType")
PANDAS_TYPE = ("inference_schema.parameter_types.pandas_parameter_type", "PandasParameterType")

SHIPPED = {"float64": "<f8", "float32": "<f8", "int64": "<i8"}
"""As which type the numbers of an array cross the link. NumPy makes a float32 of JSON's number by way of a double."""

DATE_NAMES = re.compile(r".*_at|.*_time|timestamp.*|modified|date|datetime", re.IGNORECASE | re.DOTALL)
"""pandas takes a column of such a name for dates if all its values could be some."""

EXPECTED = {"i": (int,), "u": (int,), "f": (int, float), "b": (bool,), "O": (str,)}
"""By the kind of a table's column, the types of its values. pandas looks at a whole column to choose a type for it, so
that a value of another type in one request could change the answer to another one."""

EXACT_BELOW = 2**53
"""Smaller integers are doubles, too. A larger one may reach a column of another float type by way of a double, or
straight, as the other values of the column have it."""


class ArraySample:
    """``run`` takes an array of which the number of rows is free."""

    def __init__(self, name: str, parameter_type: Any, *, optional: bool) -> None:
        """``optional``: the decorator looks whether the argument is true, which it cannot ask an array."""
        sample = parameter_type.sample_input
        self.name = name
        self._dtype = sample.dtype
        self._row = tuple(sample.shape[1:])
        self._shape = (-1, *self._row)
        self.row_bytes = 8 * max(1, reduce(mul, self._row, 1)) if len(sample) else 0
        checks = bool(parameter_type.enforce_column_type and parameter_type.enforce_shape)
        self.can_join = checks and sample.dtype.kind in "iufbSU" and 0 not in sample.shape[1:]
        self.shipped = SHIPPED.get(sample.dtype.name) if self.can_join and len(sample) and not optional else None
        self._as_shipped = self.shipped == sample.dtype.str
        numpy: Any = sys.modules["numpy"]
        self._memory_type = numpy.dtype(self.shipped) if self.shipped else None
        self._frombuffer = numpy.frombuffer
        self.stays = getattr(parameter_type, "sample_data_type", None) is numpy.ndarray
        """Whether the decorator hands on an array as it is."""

    def describe(self) -> Optional[Dict[str, Any]]:
        """The ``array`` of a READY frame."""
        if self.shipped is None:
            return None
        return {"name": self.name, "type": self.shipped, "row": list(self._row)}

    def from_memory(self, memory: Union[bytes, bytearray]) -> Any:
        """The array that the decorator would have made of the same numbers."""
        array = self._frombuffer(memory, self._memory_type).reshape(self._shape)
        return array if self._as_shipped else array.astype(self._dtype)

    def rows_are_alike(self, rows: List[Any]) -> bool:
        """Whether all have the sample's shape, which an old NumPy does not tell from others where rows differ in it.
        The decorator gives every value the sample's type by itself, whatever stands beside it."""
        return has_shape(rows, self._row)


def has_shape(members: List[Any], shape: Tuple[int, ...]) -> bool:
    """Whether each member has so many members as the shape says, and so on."""
    kinds = set(map(type, members))
    if not shape:
        return list not in kinds
    if kinds != {list} or set(map(len, members)) != {shape[0]}:
        return False
    return all(has_shape(member, shape[1:]) for member in members)


class TableSample:
    """``run`` takes a table, which requests bring as a list of records."""

    def __init__(self, name: str, parameter_type: Any) -> None:
        sample = parameter_type.sample_input
        self.name = name
        self._type = parameter_type
        self._kinds = {str(column): dtype.kind for column, dtype in sample.dtypes.items()}
        self._other_floats = [
            str(column) for column, dtype in sample.dtypes.items() if dtype.kind == "f" and dtype.name != "float64"
        ]

    @property
    def can_join(self) -> bool:
        return (
            getattr(self._type, "orient", "records") == "records"
            and bool(self._type.enforce_column_type)
            and all(kind in EXPECTED and not DATE_NAMES.fullmatch(column) for column, kind in self._kinds.items())
            and keeps_text(type(self._type))
        )

    def describe(self) -> None:
        return None

    def rows_are_alike(self, rows: List[Any]) -> bool:
        """Whether all have the sample's columns, in one order, and every value has a type that its column keeps."""
        columns = tuple(rows[0]) if isinstance(rows[0], dict) else ()
        if set(columns) != set(self._kinds):
            return False
        allowed = [EXPECTED[self._kinds[column]] for column in columns]
        alike = all(
            isinstance(row, dict)
            and tuple(row) == columns
            and all(type(value) in types for value, types in zip(row.values(), allowed))
            for row in rows
        )
        return alike and all(
            type(row[column]) is float or abs(row[column]) <= EXACT_BELOW
            for column in self._other_floats
            for row in rows
        )


def keeps_text(pandas_type: Any) -> bool:
    """Whether that class leaves text alone. In some of its versions it has pandas guess the type of a column from all
    its values: a column of texts that are numbers becomes one of numbers."""
    pandas: Any = sys.modules["pandas"]
    table = pandas_type(pandas.DataFrame({"text": ["a"]})).deserialize_input([{"text": "1"}])
    return bool(table["text"][0] == "1")


Sample = Union[ArraySample, TableSample]


def find_sample(run: Callable[..., Any], signature: RunSignature) -> Optional[Sample]:
    """The sample of the one parameter that ``run`` needs, if its decorator is the first to see it.

    That is the only parameter without a default; where all have one, the first that says that it takes arrays.
    """
    needed = [name for name in signature.names if name not in signature.defaults]
    if len(needed) > 1 or signature.wants_headers:
        return None
    for found in parameter_types(run):
        if found["param_name"] in needed or (not needed and takes_arrays(found["param_type"])):
            return make_sample(found)
    return None


def takes_arrays(parameter_type: Any) -> bool:
    """Whether a parameter type of the script's own says that an array of its sample's type may come for the JSON of
    it, to be joined with others like one for a NumpyParameterType."""
    return getattr(parameter_type, "takes_arrays", False) is True


def parameter_types(run: Any) -> List[Dict[str, Any]]:
    """What each ``@input_schema`` around ``run`` was given, by its names for it, up to a decorator of another kind:
    that one may look at the argument before it is converted, or change it."""
    found = []
    while is_decorated(run):
        given = inspect.getclosurevars(run._self_wrapper).nonlocals
        if "param_type" in given and given.get("convert_to_provided_type"):
            found.append(dict(given))
        run = run.__wrapped__
    return found


def is_decorated(run: Any) -> bool:
    """Whether the outermost decorator around ``run`` is one of the package's."""
    return getattr(getattr(run, "_self_wrapper", None), "__module__", "") == "inference_schema.schema_decorators"


def below_decorators(run: Any, sample: Sample) -> Callable[..., Any]:
    """What to call with an array that came as one. The package's decorators hand it on as it is, and take as long for
    that as a small model for its answer: so what they call is called, unless one of them is for something else."""
    if not isinstance(sample, ArraySample) or not sample.stays or len(parameter_types(run)) != 1:
        return run  # type: ignore[no-any-return]
    while is_decorated(run):
        run = run.__wrapped__
    return run  # type: ignore[no-any-return]


def unchecked(run: Any) -> Dict[str, List[str]]:
    """What the decorators leave unchecked of the parameters that they convert: ``shape``, ``types``."""
    checks = (("shape", "enforce_shape"), ("types", "enforce_column_type"))
    return {
        found["param_name"]: [what for what, flag in checks if not getattr(found["param_type"], flag, True)]
        for found in parameter_types(run)
    }


def make_sample(given: Dict[str, Any]) -> Optional[Sample]:
    """Only for the package's own classes, and those that say so: others may convert as they like."""
    name, parameter_type = given["param_name"], given["param_type"]
    kind = (type(parameter_type).__module__, type(parameter_type).__name__)
    if (kind == NUMPY_TYPE or takes_arrays(parameter_type)) and parameter_type.sample_input.ndim > 0:
        return ArraySample(name, parameter_type, optional=bool(given.get("optional")))
    return TableSample(name, parameter_type) if kind == PANDAS_TYPE else None
