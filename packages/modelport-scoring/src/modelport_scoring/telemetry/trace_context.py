"""W3C Trace Context (https://www.w3.org/TR/trace-context/): reading it strictly, and writing it.

By its second level (https://www.w3.org/TR/trace-context-2/), which takes all that the first one does: more keys in a
``tracestate``, and the flag of random trace ids, which goes on with the trace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
NO_TRACE = b"0" * 32
NO_SPAN = b"0" * 16
SAMPLED = 1
RANDOM = 2
"""The last 56 bits of the trace id at least are random, says who began the trace."""

MOST_MEMBERS = 32
KEY = rb"[a-z0-9][a-z0-9_*/@-]{0,255}"
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
    random: bool = False
    """Whether whoever began the trace says that its id is a random one."""


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
    bits = int(flags, 16)
    return Parent(trace_id, span_id, bool(bits & SAMPLED), state, bool(bits & RANDOM))


def is_state(state: bytes) -> bool:
    """Whether a ``tracestate`` follows the rules; one that does not is dropped as a whole.

    Not where it has a key twice: nothing here is in it, so that which of them counts is its vendor's to know.
    """
    members = [member for each in state.split(b",") if (member := each.strip(b" \t"))]
    return len(members) <= MOST_MEMBERS and all(MEMBER.fullmatch(member) for member in members)


def traceparent(trace_id: bytes, span_id: bytes, *, sampled: bool, random: bool = False) -> bytes:
    """The header for whoever is called from that span."""
    return b"00-%b-%b-%02x" % (trace_id, span_id, sampled * SAMPLED | random * RANDOM)
