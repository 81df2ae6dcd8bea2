"""Writing to a transport's socket at once, instead of when the event loop has seen to everything that had arrived."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence


def descriptor_of(transport: asyncio.Transport) -> int | None:
    """By which the transport's socket can be written to; None where what is written has to be encrypted first."""
    if transport.get_extra_info("sslcontext") is not None:
        return None
    channel = transport.get_extra_info("socket")
    return None if channel is None else int(channel.fileno())


def write_now(transport: asyncio.Transport, descriptor: int | None, data: bytes) -> None:
    """Have the system take what it can of the data, and the transport the rest. ``descriptor``: what ``descriptor_of``
    said. Not for a transport that is closing: its descriptor may be another socket's by now."""
    sent = 0
    if descriptor is not None and not transport.get_write_buffer_size():
        try:
            sent = os.write(descriptor, data)
        except OSError:  # the socket is full; or broken, which the transport will find, too
            sent = 0
    if sent < len(data):
        transport.write(data[sent:])


def write_parts_now(transport: asyncio.Transport, descriptor: int | None, parts: Sequence[bytes | memoryview]) -> None:
    """The same for several parts, views among them: the system takes them from where they lie, and only what does not
    go into the socket now is copied."""
    sent = 0
    if descriptor is not None and not transport.get_write_buffer_size():
        try:
            sent = os.writev(descriptor, parts)
        except OSError:  # the same
            sent = 0
    if sent < sum(map(len, parts)):
        transport.writelines(rest(parts, sent))


def rest(parts: Sequence[bytes | memoryview], sent: int) -> Iterator[bytes]:
    """What follows the first ``sent`` bytes of the parts, as bytes of its own."""
    for part in parts:
        if sent < len(part):
            yield bytes(memoryview(part)[sent:])
        sent = max(sent - len(part), 0)
