"""What the protocol says on the wire besides tensors: errors, replies, and the JSON of an inference request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import orjson

JSON_LINE = b"content-type: application/json\r\n"
BINARY_LINE = b"content-type: application/octet-stream\r\n"
HEADER_LENGTH = b"inference-header-content-length"
"""The header that tells where the JSON ends and the binary tensors begin."""

UNKNOWN_CODING = 415
CODINGS_LINE = b"accept-encoding: gzip, deflate\r\n"
"""Which codings of a body there are, in an answer with that status (RFC 9110, 15.5.16)."""

EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "statistics"]

Body = bytes | bytearray | memoryview
"""What a request's body comes in."""

Parameters = dict[str, str | int | float | bool | None]


class ProtocolError(Exception):
    """What was asked cannot be done; the message is the client's."""

    def __init__(self, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Reply:
    """A status, header lines (each with its line end) without those of the framing, and a body."""

    status: int
    lines: bytes
    body: bytes


class InputObject(msgspec.Struct, frozen=True):
    """One of ``inputs``."""

    name: str
    datatype: str
    shape: list[int]
    parameters: Parameters | None = None
    data: Any = msgspec.UNSET


class OutputObject(msgspec.Struct, frozen=True):
    """One of the requested ``outputs``."""

    name: str
    parameters: Parameters | None = None


class RequestObject(msgspec.Struct, frozen=True):
    """The JSON of an inference request. Keys that the protocol does not have are skipped."""

    inputs: list[InputObject]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[OutputObject] | None = None


class IndexObject(msgspec.Struct, frozen=True):
    """What is asked of the repository's index."""

    ready: bool = False
    """Only those that take requests."""


def json_reply(value: object, *, status: int = 200, lines: bytes = b"") -> Reply:
    """The value as a JSON answer."""
    return Reply(status, JSON_LINE + lines, orjson.dumps(value))


def error_reply(status: int, text: str, *, lines: bytes = b"") -> Reply:
    """An error in the protocol's shape."""
    if status == UNKNOWN_CODING:
        lines += CODINGS_LINE
    return json_reply({"error": text.encode("utf-8", "replace").decode()}, status=status, lines=lines)


def error_reply_from(status: int, body: bytes) -> Reply:
    """An error of the ordinary scoring path, which is a text or ``{"message": text}``, in the protocol's shape."""
    try:
        found = orjson.loads(body)
        text = found["message"] if isinstance(found, dict) else found
    except (ValueError, KeyError):
        text = None
    return error_reply(status, text if isinstance(text, str) else body.decode("utf-8", "replace"))
