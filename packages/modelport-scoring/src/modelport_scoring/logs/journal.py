"""Log files: lines appended whole, and files kept within a bound while others go on appending to them."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from pathlib import Path

import msgspec

from modelport_scoring.settings.telemetry import LogFormat

APPENDING = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

CHUNK = 256 * 1024

FLOOD = 10
"""A log that has become so many times longer than it may be, since it was looked at, is written without end."""


class Lines:
    """Whole lines, appended: where a full disk has cut one, the next one does not continue it."""

    def __init__(self) -> None:
        self._is_cut = False

    def append(self, descriptor: int, lines: bytes) -> int:
        """Append as many bytes as go, and return how many those were. Raises OSError."""
        start = b"\n" if self._is_cut else b""
        written = max(0, os.write(descriptor, start + lines) - len(start))
        self._is_cut = written > 0 and lines[written - 1 : written] != b"\n"
        return written


class Journal:
    """One log file that several processes append to. A line that cannot be written is lost, never an error:
    a full disk must not stop a service."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = Lines()

    def write(self, text: str) -> None:
        """Append the text, marked with the time."""
        with contextlib.suppress(OSError):
            descriptor = self.open()
            try:
                self._lines.append(descriptor, stamped(text))
            finally:
                os.close(descriptor)

    def open(self) -> int:
        """A descriptor that appends. Raises OSError."""
        try:
            return os.open(self.path, APPENDING, 0o600)
        except FileNotFoundError:  # somebody has cleared the whole folder away
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            return os.open(self.path, APPENDING, 0o600)

    def open_for_process(self) -> int:
        """A descriptor for the output of a process: where there can be no log, the output is lost, and the process is
        started all the same. Raises OSError where there are no descriptors left."""
        try:
            return self.open()
        except OSError as error:
            say(f"{self.path} cannot be written ({error.strerror}): what the next process prints is lost")
            return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def write_as(form: LogFormat) -> None:
    """From now on, this process writes its own messages so. What a user's script prints stays as it is."""
    global _stamp
    _stamp = STAMPS[form]


def stamped(text: str) -> bytes:
    """The text, as a log of this process gets it."""
    return _stamp(text, time.time())


def as_text(text: str, moment: float) -> bytes:
    """The text's lines, each with the time in UTC before it."""
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment))
    prefix = f"{clock},{int(moment % 1 * 1000):03d} [{os.getpid()}] "
    return "".join(f"{prefix}{line}\n" for line in text.splitlines()).encode(errors="replace")


def as_json(text: str, moment: float) -> bytes:
    """One object in one line, however many lines the text has."""
    clock = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment))
    timestamp = f"{clock}.{int(moment % 1 * 1000):03d}Z"
    message = text.rstrip("\n").encode(errors="replace").decode()
    return msgspec.json.encode({"timestamp": timestamp, "pid": os.getpid(), "message": message}) + b"\n"


STAMPS = {LogFormat.TEXT: as_text, LogFormat.JSON: as_json}
_stamp = as_text
_own_lines = Lines()


def say(text: str) -> None:
    """Write to this process's own log, which is its standard error."""
    with contextlib.suppress(OSError):
        _own_lines.append(sys.__stderr__.fileno() if sys.__stderr__ is not None else 2, stamped(text))


def cut_logs(folder: Path, *, limit: int) -> bool:
    """Cut every log of the folder that is longer than ``limit`` bytes down to its last half. Whether one had grown so
    fast that it is to be looked at again soon."""
    is_flooded = False
    for path in folder.glob("*.log"):
        with contextlib.suppress(OSError):
            size = path.stat().st_size
            if size > limit:
                cut(path, keep=limit // 2)
                is_flooded = is_flooded or size > FLOOD * limit
    return is_flooded


def cut(path: Path, *, keep: int) -> None:
    """Keep the last ``keep`` bytes, from the start of a line on. Raises OSError.

    Those who append go on with the same file: the tail is moved to its beginning, chunk by chunk, up to what has been
    written meanwhile, and the rest is cut off. What is written between the last read and the cut is lost; and so is
    what is written faster than it can be moved, which would never end.
    """
    with path.open("r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        source = file.seek(max(0, size - keep))
        source += len(file.readline(CHUNK))
        target = os.pwrite(file.fileno(), stamped("... cut here: limits.log_bytes"), 0)
        target = move(file.fileno(), source=source, target=target, most=2 * keep)
        os.ftruncate(file.fileno(), target)


def move(descriptor: int, *, source: int, target: int, most: int) -> int:
    """Copy what begins at ``source`` to ``target``, which lies before it, until the end of the file, which may grow
    meanwhile, or ``most`` bytes; returns where the copy ends. Raises OSError."""
    end = target + most
    while chunk := os.pread(descriptor, min(CHUNK, end - target), source):
        target += os.pwrite(descriptor, chunk, target)
        source += len(chunk)
    return target
