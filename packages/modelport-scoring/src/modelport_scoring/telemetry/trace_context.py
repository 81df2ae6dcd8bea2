"""W3C Trace Context (https://www.w3.org/TR/trace-context/): reading it strictly, and writing it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
NO_TRACE = b"0" * 32
NO_SPAN = b"0" * 16
SAMPLED = 1

MOST_MEMBERS = 32
KEY = rb"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
VALUE = rb"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
MEMBER = re.compile(KEY + b"=" + VALUE)


class Parent(NamedTuple):
    """The span that a request came from."""

    trace_id: bytes
    """32 hexadecimal digits."""
    span_id: bytes
    """16 hexadecimal digits."""
    sampled: bool
    state: bytes
    """What other vendors want to be told, or nothing."""


def read_parent(headers: Mapping[bytes, bytes]) -> Parent | None:
    """The parent in the headers (names in lower case), or None where there is none that the rules allow."""
    given = headers.get(b"traceparent")
    found = TRACEPARENT.fullmatch(given) if given else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    # Versions to come may append something; 00 may not, and ff never will be one.
    if version == b"ff" or (version == b"00" and more) or trace_id == NO_TRACE or span_id == NO_SPAN:
        return None
    state = headers.get(b"tracestate", b"")
    if state and not is_state(state):
        state = b""
    return Parent(trace_id, span_id, bool(int(flags, 16) & SAMPLED), state)


def is_state(state: bytes) -> bool:
    """Whether a ``tracestate`` follows the rules; one that does not is dropped as a whole."""
    members = [member for each in state.split(b",") if (member := each.strip(b" \t"))]
    keys = {member.partition(b"=")[0] for member in members}
    return len(keys) == len(members) <= MOST_MEMBERS and all(MEMBER.fullmatch(member) for member in members)


def traceparent(trace_id: bytes, span_id: bytes, *, sampled: bool) -> bytes:
    """The header for whoever is called from that span."""
    return b"00-%b-%b-%02x" % (trace_id, span_id, sampled)
