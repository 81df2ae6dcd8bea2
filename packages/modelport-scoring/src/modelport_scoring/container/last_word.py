"""What a container that ends has to say, where its cluster reads it: the kubelet shows it in the pod's status."""

from __future__ import annotations

import contextlib
import os

import msgspec

from modelport_scoring.failures import Failure

FILE = "/dev/termination-log"
MOST_BYTES = 4000
"""The kubelet reads 4,096."""


def leave_last_word(what: str | Failure, *, file: str = FILE) -> None:
    """Write it down, where there is such a file; of a traceback its end."""
    text = what.encode() if isinstance(what, str) else as_json(what)
    with contextlib.suppress(OSError):
        descriptor = os.open(file, os.O_WRONLY | os.O_TRUNC)  # not made: outside of a cluster nobody reads it
        try:
            os.write(descriptor, text[:MOST_BYTES])
        finally:
            os.close(descriptor)


def as_json(failure: Failure) -> bytes:
    """The failure, with so much of its traceback, from the end, as there is room for."""
    encoded = msgspec.json.encode(failure)
    traceback = failure.traceback
    while len(encoded) > MOST_BYTES and traceback:
        traceback = traceback[max(1, len(encoded) - MOST_BYTES) :]
        encoded = msgspec.json.encode(msgspec.structs.replace(failure, traceback=traceback))
    if len(encoded) > MOST_BYTES:
        short = msgspec.structs.replace(failure, message=failure.message[: MOST_BYTES // 4], traceback="")
        encoded = msgspec.json.encode(short)
    return encoded
