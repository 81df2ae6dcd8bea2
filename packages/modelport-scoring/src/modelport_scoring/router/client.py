"""One client's connection to the router: requests in, one after the other, and their answers out."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from modelport_scoring.http.connection import LINGER_S, reset
from modelport_scoring.http.delivery import Delivery
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.outgoing import CONTINUE
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import FOREVER, Body, Head
from modelport_scoring.http.response import Response, limit_message
from modelport_scoring.router.forward import Forward
from modelport_scoring.router.routing import Routing
from modelport_scoring.settings import Limits

MOST_WAITING = 8
"""Requests of one connection that wait for the one before; more are not read."""

MOST_UNREAD_BYTES = 256 * 1024
"""Above this, the server is not read from until the client has read."""


class NoHeads(KnownHeads):
    """Every head is read by the parser: what matters of it is another for each request."""

    def learn(self, raw: bytes, head: Head) -> None:
        """Nothing is remembered."""


class StreamingReader(RequestReader):
    """As strict as that of the scoring server, and hands bodies over as they come."""

    __slots__ = ("_client",)

    def __init__(self, client: ClientConnection) -> None:
        super().__init__(client, NoHeads())
        self._client = client

    def _keep(self, piece: bytes) -> None:
        self._client.body_received(piece)


class ClientConnection(asyncio.Protocol):
    """Its deadline is looked at by the listener."""

    def __init__(self, routing: Routing, listener: Listener, *, scheme: bytes) -> None:
        self.deadline = FOREVER
        self.address = b"unknown"
        self.scheme = scheme
        self.delivery: Delivery | None = None
        self._routing = routing
        self._listener = listener
        self._reader = StreamingReader(self)
        self._transport: asyncio.Transport | None = None
        self._queue: deque[Forward] = deque()
        """The first is being answered; of the last, the body may still come."""
        self._last: Response | None = None
        """What is answered when all before it is, and ends the connection."""
        self._closing = False
        self._reading = True
        self._held_back = False
        """By the server, which does not keep up with the body."""
        self._client_reads = True
        self._began_at = 0.0

    @property
    def limits(self) -> Limits:
        return self._routing.settings.limits

    @property
    def is_idle(self) -> bool:
        return not self._queue and not self._reader.in_request

    @property
    def must_end(self) -> bool:
        return self._listener.stopping and len(self._queue) <= 1

    def close(self) -> None:
        """End it, after what was written."""
        self._closing = True
        if self._transport is not None:
            self._transport.close()

    # --- transport ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=MOST_UNREAD_BYTES)
        self.delivery = Delivery(self._transport)
        peer = transport.get_extra_info("peername")
        if peer:
            self.address = str(peer[0]).encode()
        if self._listener.opened(self):
            self._wait_for_request()
        elif self._listener.overcrowded(self.limits):
            self._transport.abort()
        else:
            self._refuse(self._listener.refusal(self.limits))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._closing = True
        self._listener.closed(self)
        queue, self._queue = self._queue, deque()
        for forward in queue:
            forward.client_gone()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        was_idle = not self._reader.in_request
        try:
            self._reader.feed(data)
        except Unreadable as unreadable:
            self._refuse(unreadable.response)
            return
        if self._reader.in_request and was_idle:
            self._began_at = self._routing.now()
        self._go_on()
        self._balance()
        self._set_deadline()

    def pause_writing(self) -> None:
        self._client_reads = False
        if self.delivery is not None:
            self.delivery.watch()
        if self._queue:
            self._queue[0].client_reads(False)
        self._set_deadline()

    def resume_writing(self) -> None:
        self._client_reads = True
        if self._queue:
            self._queue[0].client_reads(True)
        self._set_deadline()

    # --- requests -----------------------------------------------------------------------------------------------------

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        self._queue.append(Forward(self, head, self._routing))
        if expects_continue and len(self._queue) == 1:
            self.send([CONTINUE])
        return True

    def body_received(self, piece: bytes) -> None:
        if self._queue:
            self._queue[-1].more(piece)

    def request_received(self, head: Head, body: Body) -> None:
        self._began_at = self._routing.now()  # of the next one, if it follows at once
        if self._queue:
            self._queue[-1].body_ended()

    def _go_on(self) -> None:
        """Begin with the request whose turn it is."""
        while self._queue and not self._queue[0].is_started and not self._closing:
            self._queue[0].start()
        if not self._queue and self._last is not None and not self._closing:
            self._end_with(self._last)

    def _refuse(self, response: Response) -> None:
        """Give the last answer of this connection, after those that are owed already."""
        if self._queue and not self._queue[-1].body_is_whole:
            broken = self._queue.pop()  # the rest of it will never come
            if broken.is_over or broken.has_begun:
                self.broken()
                return
            broken.client_gone()
        self._last = response
        self._read(False)
        self._go_on()
        self._set_deadline()

    def _end_with(self, response: Response) -> None:
        self._last = None
        head = Head(method=b"", target=b"", version="1.1", headers={})
        self.send(self._routing.to_bytes(response, head, last=True))
        self._routing.metrics.answered(0, response.status, 0.0)
        self._end(lingering=True)

    # --- what comes of them -------------------------------------------------------------------------------------------

    def send(self, parts: list[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(parts)

    def read_on(self, forward: Forward, reads: bool) -> None:
        if self._queue and self._queue[-1] is forward:
            self._held_back = not reads
            self._balance()
            self._set_deadline()

    def answered(self, forward: Forward, *, last: bool) -> None:
        if not self._queue or self._queue[0] is not forward:
            return
        self._queue.popleft()
        self._held_back = False
        if last:
            self._end(lingering=not forward.body_is_whole)
            return
        if self._queue or self._last is not None:
            # not from within this one: a client could have us call ourselves without end
            self._routing.loop.call_soon(self._go_on)
        self._balance()
        self._set_deadline()

    def broken(self) -> None:
        if self._transport is not None:
            self._closing = True
            reset(self._transport)

    def _end(self, *, lingering: bool) -> None:
        """Close, and before that, where the client may be sending still, read what comes for a while: closing at once
        would reset the connection, and the answer might be lost."""
        self._closing = True
        if self._transport is None or self._transport.is_closing():
            return
        self.deadline = self._routing.now() + LINGER_S
        if self.delivery is not None:
            self.delivery.watch()
        if lingering and self._transport.can_write_eof():
            self._transport.write_eof()
            self._read(True)
        else:
            self._transport.close()

    # --- waiting ------------------------------------------------------------------------------------------------------

    def overdue(self) -> None:
        """What was waited for did not come in time."""
        if self._closing:
            if self._transport is not None and not self._has_read():
                self._transport.abort()
            else:
                self.deadline = self._routing.now() + LINGER_S
        elif not self._client_reads:
            if not self._has_read() and self._transport is not None:
                self._transport.abort()
            self._set_deadline()
        elif self._receives:
            limit, what = self.limits.request_timeout_s, "The request did not arrive in time"
            self._refuse(limit_message(408, what, limit="request_timeout_s", value=limit, close=True))
        elif self._queue:
            self._queue[0].overdue()
        else:
            self.close()

    @property
    def _receives(self) -> bool:
        """Whether the rest of a request is to come. Of one that was refused, nothing more is read."""
        return self._reader.in_request and not self._held_back and self._last is None

    def _has_read(self) -> bool:
        """Whether the client has read anything since this was asked last."""
        return self.delivery is not None and self.delivery.has_progressed()

    def _wait_for_request(self) -> None:
        self.deadline = self._routing.now() + self.limits.idle_timeout_s

    def _set_deadline(self) -> None:
        if self._closing:
            return
        if not self._client_reads:
            self.deadline = self._routing.now() + self.limits.idle_timeout_s
        elif self._receives:
            self.deadline = self._began_at + self.limits.request_timeout_s
        elif self._queue:
            begun = self._queue[0].deadline_from or self._routing.now()
            self.deadline = begun + self._routing.patience_s
        else:
            self._wait_for_request()

    def _balance(self) -> None:
        self._read(not self._held_back and len(self._queue) <= MOST_WAITING and self._last is None)

    def _read(self, reading: bool) -> None:
        transport = self._transport
        if reading is self._reading or transport is None or transport.is_closing():
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()
