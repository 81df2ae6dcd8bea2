"""What becomes of a script's result on the wire (reference, 5.8 and 5.9)."""

from __future__ import annotations

import re
from functools import lru_cache

import orjson

from modelport_scoring.http.response import INTERNAL_ERROR, JSON_TYPE, TEXT_TYPE, WITHOUT_CONTENT, Response, message
from modelport_scoring.settings.service import ErrorMode
from modelport_scoring.version import SERVER_LINE
from modelport_worker.frames import RAISED, RETURNED, RUN_FAILED, UNSERIALIZABLE

NOT_FAILED = b"x-ms-run-function-failed: False\r\n"
RUN_OK = NOT_FAILED + SERVER_LINE
RUN_BAD = b"x-ms-run-function-failed: True\r\n" + SERVER_LINE
RUN_TIME = b"x-ms-run-fn-exec-ms: %.3f\r\n"
JSON_RETURNED = JSON_TYPE + RUN_OK.replace(b"%", b"%%") + RUN_TIME

SCRIPT_ERROR = "An unexpected error occurred in scoring script. Check the logs for more info."
INTERNAL_ERROR_TEXT = b"An unexpected internal error occurred. Encountered Exception: "

OURS = frozenset(
    (
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "modelport-revision",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "traceid",
        "upgrade",
        "x-ms-client-request-id",
        "x-ms-request-id",
        "x-ms-run-fn-exec-ms",
        "x-ms-run-function-failed",
        "x-ms-server-version",
        "x-request-id",
    )
)
"""Headers that belong to the server; a script that sets one is not listened to."""

NOT_MODIFIED = 304

OF_CONTENT = frozenset(
    (
        b"allow",
        b"content-encoding",
        b"content-language",
        b"content-md5",
        b"content-range",
        b"content-type",
        b"last-modified",
    )
)
"""What a response of Flask's leaves out of a 304, as RFC 9110, 15.4.5 wants it."""

KNOWN_BYTES = 1024
"""Longer headers are not remembered."""

TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@lru_cache(maxsize=16)
def json_returned(micros: int) -> bytes:
    """The header lines of nearly all answers. Those of requests that were scored together have them in common."""
    return JSON_RETURNED % (micros / 1000)


@lru_cache(maxsize=64)
def run_lines(status: int, flags: int, micros: int) -> bytes:
    """The header lines that tell how ``run`` went."""
    run = RUN_BAD if flags & RUN_FAILED or (status >= 500 and not flags & UNSERIALIZABLE) else RUN_OK
    if flags & RETURNED and not flags & UNSERIALIZABLE:
        return run + RUN_TIME % (micros / 1000)
    return run


def failed(flags: int, payload: bytes, *, mode: ErrorMode) -> Response:
    """The answer where ``run`` raised, or returned what JSON cannot hold (reference, 5.9)."""
    raised = bool(flags & RAISED)
    if mode is ErrorMode.JSON:
        return message(500, SCRIPT_ERROR if raised else INTERNAL_ERROR)
    if mode is ErrorMode.CLOUD:
        return Response(502, lines=TEXT_TYPE, body=payload if raised else INTERNAL_ERROR_TEXT + payload)
    return Response(500, lines=TEXT_TYPE, body=payload if raised else INTERNAL_ERROR_TEXT + _traceback_first(payload))


def _traceback_first(payload: bytes) -> bytes:
    """As the container of 2021 had it; the sentence on what is wrong comes behind it then."""
    sentence, start, trace = payload.partition(b"Traceback (most recent call last)")
    return start + trace + sentence


def returned(code: int, meta: bytes, payload: bytes | memoryview) -> Response:
    """The answer with the script's own status and headers."""
    if not meta and code == 200:
        return Response(200, lines=JSON_TYPE, body=payload)
    try:
        lines = known_lines(meta) if meta else JSON_TYPE
        if code == NOT_MODIFIED:
            lines = without_content(lines)
        if not 200 <= code <= 599:
            raise ValueError(f"the status {code}")
    except (ValueError, TypeError) as error:
        return message(500, f"The scoring script answered with what HTTP cannot carry: {error}")
    return Response(code, lines=lines, body=b"" if code in WITHOUT_CONTENT else payload)


def without_content(lines: bytes) -> bytes:
    """The header lines, without those that tell of a body that the client has already."""
    return b"".join(line for line in lines.splitlines(True) if line.partition(b":")[0].lower() not in OF_CONTENT)


def known_lines(meta: bytes) -> bytes:
    """The header lines of a RESULT's ``meta``. Most answers of a script have the same: they are made once."""
    return lines_of(meta) if len(meta) <= KNOWN_BYTES else lines_of.__wrapped__(meta)


@lru_cache(maxsize=256)
def lines_of(meta: bytes) -> bytes:
    return script_lines(orjson.loads(meta))


def script_lines(headers: list[tuple[str, str]]) -> bytes:
    """Header lines; without a content type where the script has taken it out of its response. Raises ValueError for a
    name or a value that would break out of its line."""
    lines: list[bytes] = []
    for name, value in headers:
        if not isinstance(name, str) or not TOKEN.match(name):
            raise ValueError(f"the header name {name!r}")
        if FORBIDDEN_IN_VALUE.search(value):
            raise ValueError(f"the value {value!r} of the header {name}")
        if name.lower() not in OURS:
            lines.append(f"{name}: {value}\r\n".encode("latin-1"))
    return b"".join(lines)
