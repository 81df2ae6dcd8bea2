"""Reading the end of a service's logs."""

from __future__ import annotations

import os
import re
from pathlib import Path

_BLOCK = 64 * 1024

_STAMP = re.compile(
    r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d),(\d{3}) \[\d+\] "
    r'|\{"timestamp":"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.(\d{3})Z"'
)
"""What the scoring server and its supervisor put before a message, in either form (``modelport_scoring.logs``)."""

_LAST = "9999"  # later than any moment


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


def with_supervisor(log: str, supervisor: str) -> str:
    """The lines of a revision's log, and between them, by the time, what the supervisor has said since they begin.

    It says of a scoring server that died, or that cannot be started, what no log of a revision can.
    """
    merged: list[str] = []
    waiting = _said(supervisor)
    begun = False
    for line in log.splitlines(keepends=True):
        moment = _moment(line)
        while moment and waiting and waiting[0][0] <= moment:
            said = waiting.pop(0)[1]
            if begun:
                merged += said
        begun = begun or bool(moment)
        merged.append(line)
    if begun or not log:
        merged += (line for _, lines in waiting for line in lines)
    return "".join(merged)


def _said(supervisor: str) -> list[tuple[str, list[str]]]:
    """The messages with their moments. Lines without one, a traceback, belong to the message after them."""
    messages: list[tuple[str, list[str]]] = []
    lines: list[str] = []
    for line in supervisor.splitlines(keepends=True):
        lines.append(line)
        moment = _moment(line)
        if moment:
            messages.append((moment, lines))
            lines = []
    return [*messages, (_LAST, lines)] if lines else messages


def _moment(line: str) -> str:
    """When the line was written, as text that can be compared; nothing where it does not say so."""
    found = _STAMP.match(line)
    return " ".join(part for part in found.groups() if part) if found else ""
