"""The fields of a protobuf message, read without its schema; the bytes stay where they are.

Source of the format: protobuf's documentation, "Encoding".
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class NoMessage(Exception):
    """The bytes are no protobuf message."""


class Message:
    """A message: its fields by their numbers, each perhaps several times."""

    def __init__(self, content: memoryview) -> None:
        self._content = content

    def fields(self, number: int) -> Iterator[int | memoryview]:
        """The values of a field: whole numbers, or bytes. Raises NoMessage."""
        for found, value in _fields(self._content):
            if found == number:
                yield value

    def messages(self, number: int) -> Iterator[Message]:
        """Its values as messages."""
        for value in self.fields(number):
            if isinstance(value, memoryview):
                yield Message(value)

    def message(self, number: int) -> Message | None:
        """Its last value as a message, which is the one that counts."""
        return next(reversed([*self.messages(number)]), None)

    def texts(self, number: int) -> list[str]:
        """Its values as text."""
        found = (bytes(value) for value in self.fields(number) if isinstance(value, memoryview))
        return [value.decode("utf-8", "replace") for value in found]

    def text(self, number: int) -> str:
        """Its last value as text; empty where there is none."""
        return next(reversed(self.texts(number)), "")

    def number(self, number: int, default: int = 0) -> int:
        """Its last value as a whole number, with a sign."""
        found = [value for value in self.fields(number) if isinstance(value, int)]
        if not found:
            return default
        return found[-1] - (1 << 64) if found[-1] >= 1 << 63 else found[-1]

    def entries(self, number: int) -> dict[str, Message]:
        """A map from text to messages."""
        return {entry.text(1): entry.message(2) or Message(memoryview(b"")) for entry in self.messages(number)}


def open_message(path: Path) -> Message:
    """The message that a file is, its bytes left in the file. Raises NoMessage where its fields do not fill it."""
    with path.open("rb") as file:
        try:
            # closed with the last of its bytes that somebody holds
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except ValueError:
            raise NoMessage("it is empty") from None
    for _ in _fields(content):
        pass
    return Message(content)


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    position, end = 0, len(content)
    while position < end:
        key, position = _varint(content, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(content, position)
            yield number, value
            continue
        if kind == _LENGTH:
            size, position = _varint(content, position)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise NoMessage(f"it has a field of wire type {kind}")
        if number == 0 or position + size > end:
            raise NoMessage("a field reaches beyond its end")
        yield number, content[position : position + size]
        position += size


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(content) or shift > 63:
            raise NoMessage("a number in it has no end")
        byte = content[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
