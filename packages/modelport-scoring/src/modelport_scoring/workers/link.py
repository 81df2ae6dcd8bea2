"""The server's end of the socket to a worker."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from modelport_scoring.workers.inbox import FrameObserver, Inbox
from modelport_scoring.workers.outbox import Outbox

MOST_UNSENT_BYTES = 256 * 1024
"""Above this, the link asks for no more frames until the worker has read some."""


class LinkObserver(FrameObserver, Protocol):
    """Who is told what the worker says, and what becomes of the link. No method may raise."""

    def link_has_room(self) -> None:
        """The worker has read what was kept here for it."""

    def link_closed(self) -> None:
        """The other end is closed."""


class Link(asyncio.Protocol):
    """Reads always, so that the worker never blocks on its answers while the server waits to send: what the worker
    does not read yet is kept here, at most a few frames of it."""

    __slots__ = ("_closed", "_observer", "_transport", "has_room", "inbox", "outbox")

    def __init__(self, observer: LinkObserver, *, loop: asyncio.AbstractEventLoop, most_alike: int = 1) -> None:
        """``most_alike``: so many requests may go to the worker in one frame."""
        self.inbox = Inbox(observer)
        self.outbox = Outbox(loop=loop, most_alike=most_alike)
        self.has_room = True
        self._observer = observer
        self._transport: asyncio.Transport | None = None
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=MOST_UNSENT_BYTES)
        self.outbox.open(self._transport)

    def data_received(self, data: bytes) -> None:
        self.inbox.receive(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        self.outbox.close()
        self._observer.link_closed()

    def pause_writing(self) -> None:
        self.has_room = False

    def resume_writing(self) -> None:
        self.has_room = True
        self._observer.link_has_room()

    def pause(self) -> None:
        """Read nothing for now: whoever gets what the worker makes does not keep up."""
        if not self._closed and self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._closed and self._transport is not None:
            self._transport.resume_reading()

    def close(self) -> None:
        """Drop the link and what was not sent; one that was never made ends now."""
        if self._transport is not None:
            self._transport.abort()
        elif not self._closed:
            self.connection_lost(None)
