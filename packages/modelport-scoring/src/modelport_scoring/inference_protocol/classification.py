"""The protocol's classification extension (triton-inference-server/server,
docs/protocol/extension_classification.md): not an output, but the highest values in it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from heapq import nlargest
from math import isnan, prod

from modelport_scoring.inference_protocol.datatypes import BYTES, Datatype, Kind
from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.inference_protocol.tensors import Element, Tensor, pack_elements

NUMBERS = frozenset((Kind.INTEGER, Kind.FLOAT))

DIGITS = {"FP16": range(4, 6), "FP32": range(6, 10)}
"""How many it may take to write a number so that the same one is read."""


def classify(tensor: Tensor, count: int, labels: Sequence[str]) -> Tensor:
    """The ``count`` highest elements of each row, the highest first, as texts "value:index" or "value:index:label".

    A row is what belongs to one element of the first dimension; a tensor of one dimension is one row. The answer has as
    many rows, and no more columns than a row has elements. Raises ProtocolError for what are no numbers.
    """
    if tensor.datatype.kind not in NUMBERS:
        raise ProtocolError(
            f'the output "{tensor.name}" is {tensor.datatype.name}, and classification compares numbers: ask for it '
            "without the parameter classification"
        )
    values = tensor.values()
    size = prod(tensor.shape[1:]) if len(tensor.shape) > 1 else tensor.count
    rows = range(0, tensor.count, size) if size else range(0)
    count = min(count, size)
    texts = [text for start in rows for text in _classes(tensor.datatype, values[start : start + size], count, labels)]
    shape = (count,) if len(tensor.shape) == 1 else (tensor.shape[0], count)
    return Tensor(tensor.name, BYTES, shape, values=texts)


def _classes(datatype: Datatype, row: Sequence[Element], count: int, labels: Sequence[str]) -> list[bytes]:
    """The texts of one row."""
    highest = nlargest(count, range(len(row)), key=lambda index: (not isnan(row[index]), row[index]))  # type: ignore[arg-type]
    return [_text(datatype, row[index], index, labels).encode() for index in highest]


def _text(datatype: Datatype, value: Element, index: int, labels: Sequence[str]) -> str:
    label = f":{labels[index]}" if index < len(labels) else ""
    return f"{_number(datatype, value)}:{index}{label}"


def _number(datatype: Datatype, value: Element) -> str:
    """A short text that is read as that number of the datatype."""
    if datatype.name not in DIGITS:
        return str(value).removesuffix(".0")
    packed = pack_elements(datatype, [value])
    texts = [f"{value:.{digits}g}" for digits in DIGITS[datatype.name]]  # type: ignore[str-bytes-safe]
    return next((text for text in texts if _packs_to(datatype, text, packed)), texts[-1])


def _packs_to(datatype: Datatype, text: str, packed: bytes) -> bool:
    try:
        return pack_elements(datatype, [float(text)]) == packed
    except (OverflowError, struct.error):  # rounded beyond the largest
        return False
