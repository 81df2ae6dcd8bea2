"""UBJSON, as XGBoost writes it: what is in it, its large arrays of numbers left out.

Source of the format: "Universal Binary JSON Specification", draft 12.
"""

from __future__ import annotations

import struct
from typing import Any

_NUMBERS = {
    "i": ">b",
    "U": ">B",
    "I": ">h",
    "u": ">H",
    "l": ">i",
    "m": ">I",
    "L": ">q",
    "M": ">Q",
    "d": ">f",
    "D": ">d",
}
_CONSTANTS: dict[str, Any] = {"T": True, "F": False, "Z": None}
_DEEPEST = 64


class NoUbjson(Exception):
    """The bytes are no UBJSON."""


def read_ubjson(content: bytes) -> Any:
    """The value; arrays whose elements all have one type of number, as those of trees, become empty lists.

    Raises NoUbjson.
    """
    reader = _Reader(content)
    try:
        return reader.value(reader.marker(), depth=0)
    except (struct.error, IndexError, UnicodeDecodeError, KeyError) as error:
        raise NoUbjson(str(error)) from error


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._position = 0

    def marker(self) -> str:
        marker = chr(self._content[self._position])
        self._position += 1
        return self.marker() if marker == "N" else marker

    def value(self, marker: str, *, depth: int) -> Any:
        if depth > _DEEPEST:
            raise NoUbjson("it is nested too deeply")
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        if marker == "S":
            return self._text()
        if marker == "C":
            return self._take(1).decode("latin-1")
        if marker == "[":
            return self._array(depth=depth)
        if marker == "{":
            return self._object(depth=depth)
        raise NoUbjson(f"it has the marker {marker!r}")

    def _number(self, marker: str) -> Any:
        form = _NUMBERS[marker]
        (number,) = struct.unpack(form, self._take(struct.calcsize(form)))
        return number

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if count < 0 or end > len(self._content):
            raise NoUbjson("it ends too early")
        taken = self._content[self._position : end]
        self._position = end
        return taken

    def _count(self) -> int:
        count = self._number(self.marker())
        if not isinstance(count, int) or count < 0:
            raise NoUbjson("a length is no whole number")
        return count

    def _text(self) -> str:
        return self._take(self._count()).decode("utf-8")

    def _array(self, *, depth: int) -> list[Any]:
        kind, count = self._typed()
        if kind in _NUMBERS and count is not None:
            self._take(count * struct.calcsize(_NUMBERS[kind]))
            return []
        values: list[Any] = []
        while count is None or len(values) < count:
            marker = kind or self.marker()
            if marker == "]" and count is None:
                break
            values.append(self.value(marker, depth=depth + 1))
        return values

    def _object(self, *, depth: int) -> dict[str, Any]:
        kind, count = self._typed()
        members: dict[str, Any] = {}
        read = 0
        while count is None or read < count:
            if count is None and self._content[self._position : self._position + 1] == b"}":
                self._position += 1
                break
            name = self._text()
            members[name] = self.value(kind or self.marker(), depth=depth + 1)
            read += 1
        return members

    def _typed(self) -> tuple[str, int | None]:
        """The one type of all elements, if there is one, and their number, if it is told."""
        kind, count = "", None
        if self._content[self._position : self._position + 1] == b"$":
            self._position += 1
            kind = self.marker()
        if self._content[self._position : self._position + 1] == b"#":
            self._position += 1
            count = self._count()
        return kind, count
