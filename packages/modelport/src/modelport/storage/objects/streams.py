"""Reading, hashing and copying in fixed memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path

from modelport.domain.errors import ModelportError

PIECE = 256 << 10
"""Bytes that are read at once. Two such buffers are all the memory that a copy needs. (Writing a MiB at once cost up to
a third more time in the system.)"""

FLUSHED_AT_ONCE = 32 << 20
"""Bytes that are written before the disk is asked to take them. (16 to 64 MiB measured alike.)"""

Unreadable = Callable[[Path, OSError], ModelportError]
"""Makes the exception for a file that cannot be read."""


def pieces(path: Path, unreadable: Unreadable) -> Iterator[memoryview]:
    """The content of the file. A piece is valid until the one after the next is asked for: there are two buffers."""
    try:
        with path.open("rb", buffering=0) as file:
            for buffer in cycle((memoryview(bytearray(PIECE)), memoryview(bytearray(PIECE)))):
                size = file.readinto(buffer)
                if not size:
                    return
                yield buffer[:size]
    except OSError as error:
        raise unreadable(path, error) from error


def hashed(content: Iterable[memoryview], consume: Callable[[memoryview], None]) -> str:
    """Pass every piece to ``consume``, and return the SHA-256 of all, hexadecimal.

    A second thread hashes a piece while this one consumes it and reads the next; hashing lets go of the interpreter.
    """
    sha256 = hashlib.sha256()
    with ThreadPoolExecutor(max_workers=1) as hashing:
        pending: Future[None] | None = None
        for piece in content:
            if pending is not None:
                pending.result()
            pending = hashing.submit(sha256.update, piece)
            consume(piece)
    return sha256.hexdigest()


def digest_of(path: Path, unreadable: Unreadable) -> str:
    """The SHA-256 of a file's content, hexadecimal."""
    sha256 = hashlib.sha256()
    for piece in pieces(path, unreadable):
        sha256.update(piece)
    return sha256.hexdigest()


class FlushingWriter:
    """Writes to a file, and has a second thread bring what was written to the disk meanwhile.

    The disk is at work from the first piece on instead of after the last, and a large file does not fill the system's
    memory with pages to be written. After ``finish``, everything is on the disk.
    """

    def __init__(self, descriptor: int, flushing: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._flushing = flushing
        self._flush: Future[None] | None = None
        self._waiting = 0

    def write(self, piece: memoryview) -> None:
        """Raises OSError, also for a piece before this one."""
        write_whole(self._descriptor, piece)
        self._waiting += len(piece)
        if self._waiting >= FLUSHED_AT_ONCE and (self._flush is None or self._flush.done()):
            self._check()
            self._flush = self._flushing.submit(os.fdatasync, self._descriptor)
            self._waiting = 0

    def finish(self) -> None:
        """Raises OSError where anything could not be written."""
        self._check()
        os.fsync(self._descriptor)

    def _check(self) -> None:
        # The system reports a failure to write once: a flush that failed must not be forgotten for a later one.
        if self._flush is not None:
            self._flush.result()


def write_whole(descriptor: int, piece: memoryview) -> None:
    """Write all of the piece: the system may take less at once."""
    while piece:
        piece = piece[os.write(descriptor, piece) :]
