"""One line for each request, gathered and written in one piece: no answer waits for a disk."""

from __future__ import annotations

import os
import re
import time
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote_from_bytes

import orjson

from modelport_scoring.logs.journal import Lines
from modelport_scoring.settings.telemetry import LogFormat
from modelport_scoring.telemetry.trace_context import Parent
from modelport_scoring.telemetry.tracer import Trace

MOST_BUFFERED_BYTES = 64 * 1024
QUIET_S = 1.0
STREAMED = -1
"""The length of a body that is made while it is sent."""
PLAIN = re.compile(rb"[!-~]*")
PRINTABLE = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}~"

CONTROL = {number: f"\\x{number:02x}" for number in range(0x80, 0xA0)}
"""C1: some terminals take U+009B for the beginning of a command."""


class Access(NamedTuple):
    """One request that was answered. Times are seconds of ``time.monotonic()``."""

    method: bytes
    """Nothing, as the path: the head of the request could not be read."""
    path: bytes
    """As it came, without the query: that may hold what is nobody's business."""
    status: int
    started: float
    ended: float
    length: int
    """Bytes of the answer's body; STREAMED: nobody knows yet how many."""
    sent: float = 0.0
    """When a worker got it; 0.0: none did."""
    micros: int = 0
    """In ``run()``; 0: it was not called."""
    revision: int | None = None
    request_id: bytes = b""
    client_request_id: bytes = b""
    span: Parent | Trace | None = None
    """Its own, or where this service makes none, the client's."""


class AccessLog:
    """A log file that the requests of this process are appended to.

    What cannot be written, because the disk is full for example, is dropped and counted.
    """

    def __init__(self, path: Path, *, form: LogFormat) -> None:
        self._path = path
        self._render = RENDERERS[form]
        self._pid = os.getpid()
        self._buffer: list[bytes] = []
        self._size = 0
        self._dropped = 0
        self._lines = Lines()
        self._written_at = 0.0

    def add(self, access: Access) -> None:
        """Have the request written: at once after a second without any, else within about a second."""
        line = self._render(access, self._pid)
        self._buffer.append(line)
        self._size += len(line)
        if self._size >= MOST_BUFFERED_BYTES or access.ended - self._written_at >= QUIET_S:
            self._written_at = access.ended
            self.flush()

    def flush(self) -> None:
        """Write what is gathered. Call it about once a second."""
        if not self._buffer:
            return
        lines, self._buffer, self._size = self._buffer, [], 0
        data = b"".join(lines)
        written = self._write(data)
        if written < len(data):
            self._dropped += len(lines) - data.count(b"\n", 0, written)

    def take_dropped(self) -> int:
        """How many lines were dropped since this was asked last."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def _write(self, data: bytes) -> int:
        """Append as much as goes, and return how much that was."""
        try:
            # Opened anew each time, because somebody may have moved the file away.
            log = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
            try:
                return self._lines.append(log, data)
            finally:
                os.close(log)
        except OSError:
            return 0


def as_text(access: Access, pid: int) -> bytes:
    """The line that the Azure scoring server writes: method, path, status, milliseconds, bytes."""
    moment = time.time()
    return b"%b,%03d I [%d] modelport.access - %b %b %d %.3fms %b\n" % (
        text_clock(int(moment)),
        moment % 1 * 1000,
        pid,
        access.method or b"-",
        plain(access.path) or b"-",
        access.status,
        (access.ended - access.started) * 1000,
        b"N/A" if access.length == STREAMED else b"%d" % access.length,
    )


def as_json(access: Access, pid: int) -> bytes:
    """One JSON object. What was not known, or did not happen, is null."""
    moment = time.time()
    return orjson.dumps(
        {
            "timestamp": f"{json_clock(int(moment))}.{int(moment % 1 * 1000):03d}Z",
            "pid": pid,
            "method": text(access.method) or None,
            "path": text(access.path) or None,
            "status": access.status,
            "duration_ms": milliseconds(access.ended - access.started),
            "queue_wait_ms": milliseconds(access.sent - access.started) if access.sent else None,
            "run_ms": access.micros / 1000 if access.micros else None,
            "bytes": None if access.length == STREAMED else access.length,
            "revision": access.revision,
            "request_id": text(access.request_id) or None,
            "client_request_id": text(access.client_request_id) or None,
            "trace_id": access.span.trace_id.decode() if access.span is not None else None,
            "span_id": access.span.span_id.decode() if access.span is not None else None,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def text(value: bytes) -> str:
    """What a client sent, without what would change a terminal that shows it: JSON has no need to escape these."""
    return value.decode() if value.isascii() else value.decode("latin-1").translate(CONTROL)


def milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)


@lru_cache(maxsize=1)
def text_clock(second: int) -> bytes:
    """The time in UTC, as Python's logging writes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second)).encode()


@lru_cache(maxsize=1)
def json_clock(second: int) -> str:
    """The time in UTC, as RFC 3339 writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


@lru_cache(maxsize=64)
def plain(path: bytes) -> bytes:
    """The path without what would break out of the line, or change a terminal that shows it."""
    return path if PLAIN.fullmatch(path) else quote_from_bytes(path, safe=PRINTABLE).encode()


RENDERERS = {LogFormat.TEXT: as_text, LogFormat.JSON: as_json}
