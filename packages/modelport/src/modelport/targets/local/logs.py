"""Reading the end of a service's logs."""

from __future__ import annotations

import os
from pathlib import Path

_BLOCK = 64 * 1024


def last_lines_of(path: Path, *, count: int) -> str:
    """The last ``count`` lines of the file, read from its end; an empty text where there is none."""
    try:
        with path.open("rb") as file:
            return _tail(file.fileno(), count).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def _tail(descriptor: int, count: int) -> bytes:
    position = os.fstat(descriptor).st_size
    content = b""
    while position > 0 and content.count(b"\n") <= count:
        step = min(_BLOCK, position)
        position -= step
        content = os.pread(descriptor, step, position) + content
    return b"".join(content.splitlines(keepends=True)[-count:]) if count > 0 else b""
