"""From the tensors of a request to what ``run`` gets: the JSON body of an ordinary request, or an array's memory."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import orjson

from modelport_scoring.inference_protocol.datatypes import FP64, INT64, holds_every
from modelport_scoring.inference_protocol.json_text import (
    ELEMENTS_AT_ONCE,
    LARGEST_TEXT,
    json_values,
    nest,
    write_json,
    write_nested,
)
from modelport_scoring.inference_protocol.mapping import TensorMapping
from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.inference_protocol.schemas import ArrayPart, Leaf, ObjectPart, Part, ScalarPart, TablePart
from modelport_scoring.inference_protocol.tensors import Tensor, pack_elements

ARRAY_TYPES = {"<f8": FP64, "<i8": INT64}
"""How numbers cross to a worker, by numpy's names."""


class ScoreInput:
    """What ``run`` gets for an inference request: the inputs, checked against the model's."""

    def __init__(self, mapping: TensorMapping, inputs: Mapping[str, Tensor]) -> None:
        self._mapping = mapping
        known = mapping.inputs_by_name
        for name in inputs:
            if name not in known:
                names = ", ".join(f'"{name}"' for name in known)
                raise ProtocolError(f'the model has no input "{name}"; its inputs are: {names}')
        self._given = {name: fit(tensor, known[name]) for name, tensor in inputs.items()}

    def array(self, *, parameter: str, type: str, row: Sequence[int]) -> bytes | memoryview | None:
        """The memory of the one array that the request consists of, as elements of ``type``, a key of ARRAY_TYPES.

        None where the request is not that array, or its rows have not that shape: take ``body``.
        """
        part = self._mapping.inputs.members.get(parameter)
        others = self._mapping.inputs.members.keys() - self._mapping.inputs.optional - {parameter}
        if not isinstance(part, ArrayPart) or others or len(self._given) != 1:
            return None
        tensor = self._given.get(self._mapping.input_names[part.leaf.path])
        wanted = ARRAY_TYPES.get(type)
        if tensor is None or wanted is None or wanted.kind is not part.leaf.datatype.kind:
            return None
        if tensor.shape[1:] != tuple(row) or not prod(row):
            return None
        return tensor.pack() if tensor.datatype is wanted else pack_elements(wanted, tensor.values())

    def body(self) -> bytes:
        """The JSON object with the parameters of ``run``. Raises ProtocolError where an input is missing, or is no
        text."""
        return self._write_members(self._mapping.inputs)

    def _write_members(self, part: ObjectPart) -> bytes:
        members = [
            orjson.dumps(name) + b":" + self._write(member)
            for name, member in part.members.items()
            if name not in part.optional or self._is_given(member)
        ]
        return b"{" + b",".join(members) + b"}"

    def _write(self, part: Part) -> bytes:
        if isinstance(part, ArrayPart):
            return write_nested(self._find(part.leaf))
        if isinstance(part, ScalarPart):
            return write_scalar(self._find(part.leaf), is_base64=part.is_base64)
        if isinstance(part, TablePart):
            return write_table({name: self._find(leaf) for name, leaf in part.columns.items()})
        return self._write_members(part)

    def _is_given(self, part: Part) -> bool:
        return any(self._mapping.input_names[leaf.path] in self._given for leaf in part.leaves())

    def _find(self, leaf: Leaf) -> Tensor:
        name = self._mapping.input_names[leaf.path]
        if name not in self._given:
            raise ProtocolError(f'the input "{name}" is missing')
        return self._given[name]


def fit(tensor: Tensor, leaf: Leaf) -> Tensor:
    """The tensor, in a shape that the leaf declares. Raises ProtocolError unless the leaf could hold all that the
    tensor's datatype can."""
    if not holds_every(leaf.datatype, tensor.datatype):
        raise ProtocolError(
            f'the input "{tensor.name}" is of the datatype {tensor.datatype.name}; the model takes {leaf.datatype.name}'
        )
    shape = tensor.shape
    if len(leaf.shape) == 1 and shape[1:] == (1,):
        shape = shape[:1]  # so MLServer's client sends whatever has one dimension
    elif leaf.takes_scalar:
        shape = shape or (1,)
    fits = [wanted in (-1, size) for size, wanted in zip(shape, leaf.shape, strict=False)]
    if len(shape) != len(leaf.shape) or not all(fits):
        raise ProtocolError(
            f'the input "{tensor.name}" has the shape {list(tensor.shape)}; the model takes {list(leaf.shape)}'
        )
    return tensor if shape == tensor.shape else tensor.reshaped(shape)


def write_scalar(tensor: Tensor, *, is_base64: bool) -> bytes:
    """The one element, without an array around it."""
    if is_base64:
        (element,) = tensor.values()
        assert isinstance(element, bytes)
        return orjson.dumps(b64encode(element).decode())
    return write_json(json_values(tensor)[0])


def write_table(columns: Mapping[str, Tensor]) -> bytes:
    """An array of objects, one a row. Raises ProtocolError where columns differ in length."""
    first = next(iter(columns.values()))
    rows = first.shape[0]
    for tensor in columns.values():
        if tensor.shape[0] != rows:
            raise ProtocolError(
                f'the input "{tensor.name}" has {tensor.shape[0]} rows, and the input "{first.name}" has {rows}: '
                "they are columns of one table"
            )
    together = max(1, ELEMENTS_AT_ONCE * rows // max(1, sum(tensor.count for tensor in columns.values())))
    pieces: list[bytes] = []
    written = 0
    for start in range(0, rows, together):
        pieces.append(_write_records(columns, start, min(start + together, rows)))
        written += len(pieces[-1])
        if written > LARGEST_TEXT:
            raise ProtocolError(f"the table makes more than {LARGEST_TEXT} bytes of JSON", status=413)
    return b"[" + b",".join(pieces) + b"]"


def _write_records(columns: Mapping[str, Tensor], start: int, stop: int) -> bytes:
    parts = [_cells(tensor, start, stop) for tensor in columns.values()]
    return write_json([dict(zip(columns, row, strict=True)) for row in zip(*parts, strict=True)])[1:-1]


def _cells(tensor: Tensor, start: int, stop: int) -> Sequence[Any]:
    """What the rows from ``start`` to ``stop`` of a column hold."""
    row = tensor.count // tensor.shape[0]
    values = json_values(tensor, start * row, stop * row)
    return nest(values, (stop - start, *tensor.shape[1:])) if len(tensor.shape) > 1 else values
