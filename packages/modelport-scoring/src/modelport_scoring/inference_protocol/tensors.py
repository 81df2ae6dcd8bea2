"""Tensors: from JSON and from binary data, checked, and back.

Every check that fails raises ProtocolError with a message that names the tensor. Elements lie in row-major order.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any

from modelport_scoring.inference_protocol.datatypes import BOOL, BYTES, DATATYPES, FP64, Datatype, Kind
from modelport_scoring.inference_protocol.protocol import ProtocolError

MOST_DIMENSIONS = 32
LARGEST_DIMENSION = (1 << 63) - 1
MOST_EMPTY_ROWS = 65_536
"""A shape such as [1000000000, 0] has no element, and still asks for that many rows: it is refused."""

LENGTH = struct.Struct("<I")
"""What stands before each element of a binary BYTES tensor."""

JSON_NAMES = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array"}

Element = bool | int | float | bytes


class Tensor:
    """A name, a datatype, a shape, and the elements in one of two forms: a flat list, or little-endian memory.

    An element of a BYTES tensor is ``bytes``.
    """

    __slots__ = ("_packed", "_values", "count", "datatype", "name", "shape")

    def __init__(
        self,
        name: str,
        datatype: Datatype,
        shape: tuple[int, ...],
        *,
        values: Sequence[Element] | None = None,
        packed: memoryview | None = None,
    ) -> None:
        self.name = name
        self.datatype = datatype
        self.shape = shape
        self.count = prod(shape)
        self._values = values
        self._packed = packed

    def values(self, start: int = 0, stop: int | None = None) -> Sequence[Element]:
        """The elements from ``start`` to ``stop``, without those beyond."""
        if self._values is not None:
            return self._values if start == 0 and stop is None else self._values[start:stop]
        assert self._packed is not None
        size = self.datatype.size
        part = self._packed[start * size : None if stop is None else stop * size]
        return struct.unpack(f"<{len(part) // size}{self.datatype.code}", part)

    def pack(self) -> bytes | memoryview:
        """The elements as the binary extension writes them."""
        if self._packed is not None:
            return self._packed
        assert self._values is not None
        if self.datatype is BYTES:
            return b"".join([LENGTH.pack(len(element)) + element for element in self._values])  # type: ignore[arg-type, operator]
        return pack_elements(self.datatype, self._values)

    def reshaped(self, shape: tuple[int, ...]) -> Tensor:
        """The same elements in another shape of as many."""
        return Tensor(self.name, self.datatype, shape, values=self._values, packed=self._packed)

    def describe(self) -> dict[str, Any]:
        """What JSON says of the tensor, without its data."""
        return {"name": self.name, "datatype": self.datatype.name, "shape": list(self.shape)}


def pack_elements(datatype: Datatype, values: Sequence[Element]) -> bytes:
    """The elements, of any datatype but BYTES, in little-endian memory. Raises OverflowError where one is too large."""
    return struct.pack(f"<{len(values)}{datatype.code}", *values)


def find_datatype(name: str, *, tensor: str) -> Datatype:
    """The datatype of that name. Raises ProtocolError."""
    found = DATATYPES.get(name)
    if found is None:
        raise ProtocolError(f'tensor "{tensor}": the datatype "{name}" is not one of {", ".join(DATATYPES)}')
    return found


def check_shape(shape: Sequence[int], *, tensor: str) -> tuple[int, ...]:
    """The shape, if a tensor can have it. Raises ProtocolError."""
    if len(shape) > MOST_DIMENSIONS:
        raise ProtocolError(
            f'tensor "{tensor}": the shape has {len(shape)} dimensions; {MOST_DIMENSIONS} are the most that are taken'
        )
    for size in shape:
        if not 0 <= size <= LARGEST_DIMENSION:
            raise ProtocolError(f'tensor "{tensor}": {size} in the shape {list(shape)} is not the size of a dimension')
    if 0 in shape and prod(shape[: list(shape).index(0)]) > MOST_EMPTY_ROWS:
        raise ProtocolError(
            f'tensor "{tensor}": the shape {list(shape)} has more than {MOST_EMPTY_ROWS} rows without an element'
        )
    return tuple(shape)


def from_binary(name: str, datatype: Datatype, shape: tuple[int, ...], data: memoryview) -> Tensor:
    """The tensor in that memory. Raises ProtocolError."""
    count = prod(shape)
    if datatype is BYTES:
        return Tensor(name, datatype, shape, values=_split_elements(name, data, count=count))
    if len(data) != count * datatype.size:
        raise ProtocolError(
            f'tensor "{name}": {datatype.name} {list(shape)} takes {count * datatype.size} bytes; there are {len(data)}'
        )
    if datatype is BOOL and bytes(data).translate(None, b"\x00\x01"):
        raise ProtocolError(f'tensor "{name}": a byte of BOOL is 0 or 1; there is another one')
    return Tensor(name, datatype, shape, packed=data)


def from_json(name: str, datatype: Datatype, shape: tuple[int, ...], data: Any) -> Tensor:
    """The tensor in ``data``, which is nested as the shape says, or flat. Raises ProtocolError."""
    if type(data) is not list:
        raise ProtocolError(f'tensor "{name}": data is not an array')
    values = _flatten(name, data, shape)
    if not datatype.json_types.issuperset(map(type, values)):
        _refuse_element(name, datatype, values)
    return Tensor(name, datatype, shape, values=in_range(name, datatype, values))


def in_range(name: str, datatype: Datatype, values: list[Any]) -> list[Element]:
    """The elements, which have the datatype's JSON types, as it holds them. Raises ProtocolError for one too large."""
    if (
        datatype.kind is Kind.INTEGER
        and values
        and not datatype.lowest <= min(values) <= max(values) <= datatype.highest
    ):
        raise ProtocolError(
            f'tensor "{name}": {datatype.name} takes integers from {datatype.lowest} to {datatype.highest}; '
            "there is one beyond"
        )
    try:
        if datatype.kind is Kind.FLOAT:
            values = list(map(float, values))
            if datatype is not FP64:
                pack_elements(datatype, values)
        elif datatype.kind is Kind.BYTES:
            values = [element.encode() for element in values]
    except OverflowError as error:
        raise ProtocolError(f'tensor "{name}": there is a number that is too large for {datatype.name}') from error
    except UnicodeEncodeError as error:
        raise ProtocolError(f'tensor "{name}": there is a string that UTF-8 cannot hold') from error
    return values


def _flatten(name: str, data: list[Any], shape: tuple[int, ...]) -> list[Any]:
    values = data
    if len(shape) > 1 and data and type(data[0]) is list:
        _check_length(name, data, shape, size=shape[0])
        for size in shape[1:]:
            if any(type(row) is not list or len(row) != size for row in values):
                raise ProtocolError(f'tensor "{name}": data is nested otherwise than the shape {list(shape)} says')
            values = list(chain.from_iterable(values))
        return values
    _check_length(name, data, shape, size=prod(shape))
    return values


def _check_length(name: str, data: list[Any], shape: tuple[int, ...], *, size: int) -> None:
    if len(data) != size:
        raise ProtocolError(
            f'tensor "{name}": the shape {list(shape)} takes {size} elements of data; there are {len(data)}'
        )


def _split_elements(name: str, data: memoryview, *, count: int) -> list[Element]:
    """The elements of a binary BYTES tensor."""
    elements: list[Element] = []
    at, end = 0, len(data)
    while at + LENGTH.size <= end and len(elements) < count:
        start = at + LENGTH.size
        at = start + LENGTH.unpack_from(data, at)[0]
        if at > end:
            raise ProtocolError(
                f'tensor "{name}": element {len(elements)} is said to have {at - start} bytes; {end - start} are left'
            )
        elements.append(bytes(data[start:at]))
    if len(elements) != count or at != end:
        raise ProtocolError(
            f'tensor "{name}": the shape takes {count} elements; there are {len(elements)} and {end - at} bytes more'
        )
    return elements


def _refuse_element(name: str, datatype: Datatype, values: list[Any]) -> None:
    for index, value in enumerate(values):
        if type(value) not in datatype.json_types:
            what = JSON_NAMES.get(type(value), "null" if value is None else "an object")
            raise ProtocolError(
                f'tensor "{name}": {datatype.name} takes {datatype.kind.value}; element {index} of data is {what}'
            )
