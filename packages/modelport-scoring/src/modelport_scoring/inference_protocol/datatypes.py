"""The protocol's tensor datatypes: their sizes, their ranges, and what JSON may hold for them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What an element is; the value completes "takes …" in a message."""

    BOOL = "true or false"
    INTEGER = "integers"
    FLOAT = "numbers"
    BYTES = "strings"


@dataclass(frozen=True, slots=True)
class Datatype:
    name: str
    kind: Kind
    code: str = ""
    """Of the ``struct`` module; none for BYTES, whose elements differ in length."""
    size: int = 0
    """Bytes of an element; 0 for BYTES."""
    lowest: int = 0
    highest: int = 0
    exact_bits: int = 0
    """Of a FLOAT: integers of so many bits are exact."""

    @property
    def json_types(self) -> frozenset[type]:
        """The types that elements have after their JSON was parsed."""
        return JSON_TYPES[self.kind]


JSON_TYPES: dict[Kind, frozenset[type]] = {
    Kind.BOOL: frozenset((bool,)),
    Kind.INTEGER: frozenset((int,)),
    Kind.FLOAT: frozenset((int, float)),
    Kind.BYTES: frozenset((str,)),
}


def _integer(name: str, code: str, *, bits: int, signed: bool) -> Datatype:
    lowest, highest = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return Datatype(name, Kind.INTEGER, code, bits // 8, lowest, highest)


DATATYPES = {
    datatype.name: datatype
    for datatype in (
        Datatype("BOOL", Kind.BOOL, "?", 1),
        _integer("UINT8", "B", bits=8, signed=False),
        _integer("UINT16", "H", bits=16, signed=False),
        _integer("UINT32", "I", bits=32, signed=False),
        _integer("UINT64", "Q", bits=64, signed=False),
        _integer("INT8", "b", bits=8, signed=True),
        _integer("INT16", "h", bits=16, signed=True),
        _integer("INT32", "i", bits=32, signed=True),
        _integer("INT64", "q", bits=64, signed=True),
        Datatype("FP16", Kind.FLOAT, "e", 2, exact_bits=11),
        Datatype("FP32", Kind.FLOAT, "f", 4, exact_bits=24),
        Datatype("FP64", Kind.FLOAT, "d", 8, exact_bits=53),
        Datatype("BYTES", Kind.BYTES),
    )
}

BOOL, BYTES = DATATYPES["BOOL"], DATATYPES["BYTES"]
INT64, UINT64 = DATATYPES["INT64"], DATATYPES["UINT64"]
FP32, FP64 = DATATYPES["FP32"], DATATYPES["FP64"]


def holds_every(wide: Datatype, narrow: Datatype) -> bool:
    """Whether each value of ``narrow`` is, exactly, a value of ``wide``."""
    if wide is narrow:
        return True
    if narrow.kind is Kind.INTEGER and wide.kind is Kind.INTEGER:
        return wide.lowest <= narrow.lowest and narrow.highest <= wide.highest
    if narrow.kind is Kind.INTEGER and wide.kind is Kind.FLOAT:
        return narrow.highest <= 1 << wide.exact_bits
    return narrow.kind is Kind.FLOAT and wide.kind is Kind.FLOAT and narrow.size < wide.size
