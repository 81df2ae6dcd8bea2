"""Words that say how delimited files are read."""

from enum import Enum
from typing import Any, List, Optional, Union


class PromoteHeadersBehavior(Enum):
    """Which files have a line of column names at their top."""

    NO_HEADERS = 0
    """None: the columns are called Column1, Column2, …"""
    ONLY_FIRST_FILE_HAS_HEADERS = 1
    COMBINE_ALL_FILES_HEADERS = 2
    """All, each its own: columns of the same name go together."""
    ALL_FILES_HAVE_SAME_HEADERS = 3

    def in_file(self, index: int) -> bool:
        """Whether the first line of a data set's file with that index is one of names."""
        if self is PromoteHeadersBehavior.ONLY_FIRST_FILE_HAS_HEADERS:
            return index == 0
        return self is not PromoteHeadersBehavior.NO_HEADERS


class DataType:
    """What the values of a column are."""

    def __init__(self, kind: str, formats: Optional[List[str]] = None) -> None:
        self.kind = kind
        self.formats = formats

    @staticmethod
    def to_string() -> "DataType":
        return DataType("string")

    @staticmethod
    def to_long() -> "DataType":
        return DataType("long")

    @staticmethod
    def to_float() -> "DataType":
        return DataType("float")

    @staticmethod
    def to_bool() -> "DataType":
        return DataType("bool")

    @staticmethod
    def to_datetime(formats: Union[str, List[str], None] = None) -> "DataType":
        """Dates; with ``formats`` of strptime, the first that fits."""
        return DataType("datetime", [formats] if isinstance(formats, str) else formats)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DataType) and (self.kind, self.formats) == (other.kind, other.formats)

    def __hash__(self) -> int:
        return hash(self.kind)

    def __repr__(self) -> str:
        return "DataType({!r})".format(self.kind)


def headers_of(header: Any) -> PromoteHeadersBehavior:
    """As v1 took it: a behavior, its number, or whether there are headers at all."""
    if isinstance(header, bool):
        chosen = "ALL_FILES_HAVE_SAME_HEADERS" if header else "NO_HEADERS"
        return PromoteHeadersBehavior[chosen]
    return PromoteHeadersBehavior(header)
