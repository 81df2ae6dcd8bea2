"""CSV files that several processes append to."""

import fcntl
import os
from typing import Dict, Tuple

LARGEST_BYTES = 256 * 1024 * 1024
"""A file that has grown so large is left alone, and the next one begun."""


class CsvFiles:
    """Files named ``<stem>.csv``, ``<stem>-2.csv`` and so on: a file has one header, and is never too large.

    Whoever appends holds the file's lock, so the lines of several workers do not mix, and the header is there once.
    """

    def __init__(self) -> None:
        self._numbers: Dict[Tuple[str, str, str], int] = {}
        """Which file was last written to, by folder, stem and header."""

    def append(self, folder: str, stem: str, *, header: str, rows: str) -> None:
        """All of the rows, or none. Raises OSError."""
        os.makedirs(folder, exist_ok=True)
        key = (folder, stem, header)
        number = self._numbers.get(key, 1)
        while not _append(_path(folder, stem, number), header.encode("utf-8"), rows.encode("utf-8", "replace")):
            number += 1
        if len(self._numbers) > 1000:
            self._numbers.clear()
        self._numbers[key] = number


def _path(folder: str, stem: str, number: int) -> str:
    return os.path.join(folder, stem + (".csv" if number == 1 else "-{}.csv".format(number)))


def _append(path: str, header: bytes, rows: bytes) -> bool:
    """Whether the file takes them: it has that header, and room."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and (size >= LARGEST_BYTES or os.pread(descriptor, len(header), 0) != header):
            return False
        if size == 0:
            rows = header + rows
        elif os.pread(descriptor, 1, size - 1) != b"\n":  # somebody's computer went off in the middle of a line
            rows = b"\n" + rows
        _write_all(descriptor, rows, size)
        return True
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes, size: int) -> None:
    """A full disk leaves no half of a line."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError:
        os.ftruncate(descriptor, size)
        raise
