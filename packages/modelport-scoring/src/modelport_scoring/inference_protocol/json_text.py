"""JSON in both directions, with the NaN and infinities that the format lacks and that tensors have.

They are written as ``NaN`` and ``Infinity``, as ``/score`` does (reference, 5.8), and read from that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import prod
from typing import Any

import orjson

from modelport_scoring.inference_protocol.datatypes import BYTES
from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.inference_protocol.tensors import Tensor

ELEMENTS_AT_ONCE = 65_536
"""So many become Python objects at a time: a large tensor becomes text without existing as objects as a whole."""

LARGEST_TEXT = 1 << 30
"""Bytes of JSON that may be made of one tensor. Only small datatypes in huge bodies get so long."""


def parse_json(text: bytes | memoryview) -> Any:
    """The value of a JSON text. Raises ValueError."""
    try:
        return orjson.loads(text)
    except ValueError:
        return _parse_with_nan(bytes(text))


def _parse_with_nan(text: bytes) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def write_json(value: Any) -> bytes:
    """The text of numbers, strings, lists and dicts of them; there is no null among them."""
    text = orjson.dumps(value)
    return json.dumps(value).encode() if b"null" in text else text  # orjson writes NaN as null


def write_flat(tensor: Tensor) -> bytes:
    """The elements as one array."""
    return _write_rows(tensor, (tensor.count,), offset=0)


def write_nested(tensor: Tensor) -> bytes:
    """The elements as arrays in arrays, as the shape says. Raises ProtocolError where that is too long, or no text."""
    if not tensor.shape:
        return write_json(json_values(tensor)[0])
    return _write_rows(tensor, tensor.shape, offset=0)


def json_values(tensor: Tensor, start: int = 0, stop: int | None = None) -> Sequence[Any]:
    """The elements as JSON takes them. Raises ProtocolError for BYTES that are no text."""
    values = tensor.values(start, stop)
    if tensor.datatype is not BYTES:
        return values
    try:
        return [element.decode() for element in values]  # type: ignore[union-attr]
    except UnicodeDecodeError as error:
        raise ProtocolError(
            f'tensor "{tensor.name}": JSON takes text, and an element of it is not UTF-8: {error.reason}'
        ) from error


def _write_rows(tensor: Tensor, shape: tuple[int, ...], *, offset: int) -> bytes:
    """The rows of a part of the tensor that begins at the element ``offset``."""
    row = prod(shape[1:])
    together = ELEMENTS_AT_ONCE // row if row else shape[0]
    pieces: list[bytes] = []
    written = 0
    for first in range(0, shape[0], max(1, together)):
        rows = min(max(1, together), shape[0] - first)
        start = offset + first * row
        if together:
            values = json_values(tensor, start, start + rows * row)
            piece = write_json(nest(values, (rows, *shape[1:])))[1:-1]
        else:
            piece = _write_rows(tensor, shape[1:], offset=start)
        pieces.append(piece)
        written += len(piece)
        if written > LARGEST_TEXT:
            raise ProtocolError(f'tensor "{tensor.name}" makes more than {LARGEST_TEXT} bytes of JSON', status=413)
    return b"[" + b",".join(pieces) + b"]"


def nest(values: Sequence[Any], shape: tuple[int, ...]) -> Sequence[Any]:
    """The values, which are flat, as arrays in arrays. There is at least one dimension."""
    if not values:
        return _empty(shape)
    for size in reversed(shape[1:]):
        values = [values[start : start + size] for start in range(0, len(values), size)]
    return values


def _empty(shape: tuple[int, ...]) -> list[Any]:
    """What a shape without elements looks like; the rows are one and the same object."""
    return [_empty(shape[1:])] * shape[0] if shape[0] else []
