"""Numbers, read once and written once: from a body's JSON straight into an array's memory, and from the memory of a
result to JSON.

A body is taken only where what ``json`` and ``numpy.array`` would make of it is certain to be the same; everything else
(other keys, text, null, NaN, ragged rows, integers beyond 64 bits, errors) takes the ordinary way, in the worker, and
gets its answer or its error there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import prod
from typing import Any

import orjson
import simdjson

from modelport_scoring.workers.arena import SMALLEST_BYTES
from modelport_scoring.workers.contract import ArrayParameter
from modelport_worker.frames import ROW

MOST_BYTES = 4 * 1024 * 1024
"""A longer body would keep the event loop from its other work: 4 MiB take about ten milliseconds."""

LONG_BYTES = 1024
"""From here on a search for brackets is quicker than a look at each byte."""

JSON_ARRAY: type[Any] = simdjson.Array

NOT_CERTAIN = (ValueError, TypeError, KeyError, RuntimeError)
"""What simdjson raises where a text is no JSON, or not as it should be."""


class NumberReader:
    """Reads the bodies for one array parameter."""

    def __init__(self, parameter: ArrayParameter) -> None:
        self._name = parameter.name
        self._row = tuple(parameter.row)
        self._row_bytes = 8 * prod(self._row)
        self._buffer_type = {"<f8": "d", "<i8": "i"}[parameter.type]
        self._arrays_per_row = sum(prod(self._row[:depth]) for depth in range(len(self._row)))
        self._brackets_in_name = parameter.name.count("[")
        self._is_flat = len(self._row) == 1
        """Whether a row is a plain list, as nearly all are."""
        self._row_lengths = set(self._row)
        self._parser = simdjson.Parser()

    def read(self, body: bytes | bytearray | memoryview) -> bytes | memoryview | None:
        """The array's memory, or None where the ordinary way has to be taken. A view is of memory of its own."""
        size = len(body)
        if size > MOST_BYTES:
            return None
        if type(body) is memoryview:
            body = bytes(body)
        arrays = body.count(b"[") if size < LONG_BYTES else size - len(body.replace(b"[", b""))
        try:
            # Nothing of the document may outlive this call: the parser would refuse the next one.
            return self._read(self._parser.parse(body), arrays - self._brackets_in_name)
        except NOT_CERTAIN:
            return None

    def _read(self, document: Any, arrays: int) -> bytes | memoryview | None:
        """``arrays``: how many there are in the body, on whatever level."""
        if len(document) != 1:  # of a key that occurs twice, simdjson takes the first and json the last
            return None
        rows = document[self._name]
        if type(rows) is not JSON_ARRAY:  # objects and texts have a length, too
            return None
        count = len(rows)
        # simdjson flattens whatever it is given. A row of the right length that holds an array shows in their number.
        if not count or arrays != 1 + count * self._arrays_per_row:
            return None
        if self._is_flat:
            # Of one row, the number of all tells whether it has as many as it should.
            if count > 1 and set(map(len, rows)) != self._row_lengths:
                return None
        elif not has_shape(rows, self._row):
            return None
        numbers = memoryview(rows.as_buffer(of_type=self._buffer_type))
        size = len(numbers)
        if size != count * self._row_bytes:
            return None
        return numbers.tobytes() if size < SMALLEST_BYTES else numbers


def write_numbers(payload: bytes | memoryview) -> bytes:
    """The JSON of a result with NUMBERS (``modelport_worker.frames``), as ``json`` would have written it, but for the
    form of its numbers. Raises ValueError or TypeError where it is none."""
    (row,) = ROW.unpack_from(payload)
    numbers = memoryview(payload)[ROW.size :].cast("d").tolist()
    lines = [numbers[start : start + row] for start in range(0, len(numbers), row)] if row else numbers
    text = orjson.dumps(lines)
    return text if b"n" not in text else json.dumps(lines).encode()  # NaN, Infinity


def write_each(numbers: memoryview, counts: Sequence[int]) -> list[bytes]:
    """The JSON of many short lists of numbers, byte for byte as ``json`` would have written each. ``numbers``: the
    doubles of all lists, one behind another; ``counts``: how many each has."""
    values = numbers.cast("d").tolist()
    text = orjson.dumps(values)
    if b"e" in text or b"0.0000" in text or b"n" in text:  # with an exponent in json at least, or none that JSON has
        text = json.dumps(values, separators=(",", ":")).encode()
    texts = text[1:-1].split(b",")
    if len(texts) == len(counts):
        return [b"[%b]" % number for number in texts]
    lists, start = [], 0
    for count in counts:
        lists.append(b"[%b]" % b", ".join(texts[start : start + count]))
        start += count
    return lists


def has_shape(members: Any, shape: tuple[int, ...]) -> bool:
    """Whether each member has as many members as the shape says, and so on. Raises TypeError for one that has none."""
    if not shape:
        return True
    if set(map(len, members)) != {shape[0]}:
        return False
    return len(shape) == 1 or all(has_shape(member, shape[1:]) for member in members)
