"""What a compiled program or library asks of the system: read from the file, for any architecture of 64 bits.

Source of the format: the System V ABI, "Dynamic Section".
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path

_MAGIC = b"\x7fELF\x02\x01"
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRING_TABLE, _RPATH, _RUNPATH = 1, 5, 15, 29
_GLIBC = re.compile(rb"GLIBC_(\d+)\.(\d+)")


@dataclass(frozen=True)
class Wanted:
    """Names of libraries, folders where they are looked for besides the system's, and the GNU C library's version."""

    libraries: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    glibc: tuple[int, int] = (0, 0)


def wanted_by(file: Path) -> Wanted | None:
    """What the file asks for; None where it is no dynamic program or library of 64 bits."""
    with file.open("rb") as reader:
        if reader.read(len(_MAGIC)) != _MAGIC:
            return None
    content = file.read_bytes()
    segments = _segments(content)
    dynamic = next((offset for kind, offset, _, _ in segments if kind == _DYNAMIC), None)
    if dynamic is None:
        return None
    entries = _dynamic(content, dynamic)
    table = next((value for tag, value in entries if tag == _STRING_TABLE), None)
    if table is None:
        return None
    strings = _in_file(segments, table)
    texts = [(tag, _text(content, strings + value)) for tag, value in entries if tag in (_NEEDED, _RPATH, _RUNPATH)]
    return Wanted(
        libraries=tuple(text for tag, text in texts if tag == _NEEDED),
        folders=tuple(folder for tag, text in texts if tag != _NEEDED for folder in text.split(":")),
        glibc=max(((int(one), int(two)) for one, two in _GLIBC.findall(content)), default=(0, 0)),
    )


def _segments(content: bytes) -> list[tuple[int, int, int, int]]:
    """Kind, place in the file, address and size of each."""
    (start,) = struct.unpack_from("<Q", content, 32)
    size, count = struct.unpack_from("<HH", content, 54)
    found = []
    for number in range(count):
        kind, _, offset, address, _, length = struct.unpack_from("<IIQQQQ", content, start + number * size)
        found.append((kind, offset, address, length))
    return found


def _dynamic(content: bytes, offset: int) -> list[tuple[int, int]]:
    entries: list[tuple[int, int]] = []
    while True:
        tag, value = struct.unpack_from("<qQ", content, offset)
        if tag == 0:
            return entries
        entries.append((tag, value))
        offset += 16


def _in_file(segments: list[tuple[int, int, int, int]], address: int) -> int:
    for kind, offset, start, length in segments:
        if kind == _LOAD and start <= address < start + length:
            return address - start + offset
    return address


def _text(content: bytes, offset: int) -> str:
    return content[offset : content.index(b"\0", offset)].decode()
