"""One client's connection to the router: requests in, one after the other, and their answers out."""

from __future__ import annotations

import asyncio
from collections import deque

from modelport_scoring.http.budget import COUNTED_FROM
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.outgoing import CONTINUE
from modelport_scoring.http.parser import RequestParser
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.response import Response, limit_message
from modelport_scoring.http.turns import Turns
from modelport_scoring.http.watched import WatchedConnection
from modelport_scoring.router.forward import Forward
from modelport_scoring.router.passing import MOST_KEPT_BYTES
from modelport_scoring.router.routing import Routing, overloaded
from modelport_scoring.settings.service import Limits

MOST_WAITING = 8
"""Requests of one connection that wait for the one before; more are not read."""

MOST_ON_ITS_WAY = 2 * MOST_KEPT_BYTES
"""Of one body so much is here at once, or a little more: what is kept, and what the server has not read."""


class StreamingParser(RequestParser):
    """As strict as that of the scoring server, and hands bodies over as they come. It knows no heads: what matters of
    one is another for each request."""

    __slots__ = ("_client", "_pieces")

    def __init__(self, client: ClientConnection, turns: Turns) -> None:
        super().__init__(client, turns)
        self._client = client
        self._pieces: list[bytes] = []

    def _keep(self, piece: bytes) -> None:
        self._pieces.append(piece)

    def pass_on(self) -> None:
        """Hand over what has come of a body, in one piece: each of many chunks by itself takes several times as long to
        send, and the server as long again to read."""
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            self._client.body_received(b"".join(pieces))

    def close(self) -> None:
        super().close()
        del self._client


class ClientConnection(WatchedConnection):
    """Takes requests from a client, one after the other, and gives it their answers."""

    def __init__(self, routing: Routing, listener: Listener, *, scheme: bytes) -> None:
        super().__init__(listener)
        self.scheme = scheme
        self._routing = routing
        self._reader: StreamingParser  # made in _serve: without a handshake there is none
        self._queue: deque[Forward] = deque()
        """The first is being answered; of the last, the body may still come."""
        self._last: Response | None = None
        """What is answered when all before it is, and ends the connection."""
        self._held_back = False
        """By the server, which does not keep up with the body."""
        self._has_room = True
        """By the budget, for more of the body that is being read."""
        self._received = 0
        """Bytes of that body."""
        self._client_reads = True
        self._continue_due = False
        self._began_at = 0.0

    @property
    def limits(self) -> Limits:
        return self._routing.settings.limits

    @property
    def is_idle(self) -> bool:
        return not self._queue and not self.in_request and not self._unread

    @property
    def must_end(self) -> bool:
        return self._listener.stopping and len(self._queue) <= 1

    # --- transport ----------------------------------------------------------------------------------------------------

    def _serve(self, transport: asyncio.Transport) -> None:
        self._reader = StreamingParser(self, self._listener.turns)
        self._set_deadline()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        queue, self._queue = self._queue, deque()
        for forward in queue:
            forward.client_gone()
        self._reader.close()
        self.body_ended()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._unread:  # it was on its way when reading was paused
            self._unread += data
            return
        was_idle = not self.in_request
        try:
            self._unread = self._reader.feed_some(data)
            self._reader.pass_on()
        except Unreadable as unreadable:
            self._refuse(unreadable.response)
            return
        if self.in_request and was_idle:
            self._began_at = self._routing.now()
        self._go_on()
        self._balance()

    def pause_writing(self) -> None:
        self._client_reads = False
        if self.delivery is not None:
            self.delivery.watch(self._routing.now())
        if self._queue:
            self._queue[0].client_reads(False)
        self._balance()

    def resume_writing(self) -> None:
        self._client_reads = True
        if self._queue:
            self._queue[0].client_reads(True)
        self._go_on()
        self._balance()

    # --- requests -----------------------------------------------------------------------------------------------------

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        self._queue.append(Forward(self, head, self._routing))
        self._received = 0
        self._continue_due = expects_continue
        self._send_continue()
        return True

    def body_received(self, piece: bytes) -> None:
        self._continue_due = False
        self._received += len(piece)
        if self._received > COUNTED_FROM:
            self.body_grew(self._received)
        if self._queue:
            self._queue[-1].more(piece)

    def request_received(self, head: Head, body: Body) -> None:
        self._reader.pass_on()
        self._continue_due = False
        self._began_at = self._routing.now()  # of the next one, if it follows at once
        if self._received > COUNTED_FROM:
            self.body_ended()
        if self._queue:
            self._queue[-1].body_ended()

    def _send_continue(self) -> None:
        """Once its turn has come, the client may send the body."""
        if self._continue_due and len(self._queue) == 1:
            self._continue_due = False
            self._began_at = self._routing.now()
            self.send([CONTINUE])

    def _go_on(self) -> None:
        """Begin with the request whose turn it is: not before the client has read what was answered."""
        while self._queue and not self._queue[0].is_started and not self._closing and self._client_reads:
            self._queue[0].start()
        if not self._queue and self._last is not None and not self._closing:
            self._end_with(self._last)

    def _refuse(self, response: Response) -> None:
        if self._queue and not self._queue[-1].body_is_whole:
            broken = self._queue.pop()  # the rest of it will never come
            is_answered = broken.is_over or broken.has_begun
            broken.client_gone()
            if is_answered:
                self.reset()
                return
        self.body_ended()
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

    # --- room for their bodies ----------------------------------------------------------------------------------------

    def body_grew(self, size: int) -> None:
        head = self._reader.head
        length = None if head is None else head.length
        if size == length:
            return
        here = MOST_ON_ITS_WAY if length is None else min(length, MOST_ON_ITS_WAY)
        if not self._listener.budget.grew(self, size=size, length=here):
            raise Unreadable(self._no_room())

    def hold_back(self, held_back: bool) -> None:
        """Read no more of the body for now, or read on."""
        self._has_room = not held_back
        self._balance()

    def _no_room(self) -> Response:
        return overloaded(self._routing.settings, "max_buffered_bytes")

    # --- what comes of them -------------------------------------------------------------------------------------------

    def send(self, parts: list[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(parts)

    def read_on(self, forward: Forward, reads: bool) -> None:
        if self._queue and self._queue[-1] is forward:
            self._held_back = not reads
            self._balance()

    def answered(self, forward: Forward, *, last: bool) -> None:
        if not self._queue or self._queue[0] is not forward:
            return
        self._queue.popleft()
        self._held_back = False
        if last:
            self._end(lingering=not forward.body_is_whole)
            return
        self._send_continue()
        if self._queue or self._last is not None:
            # not from within this one: a client could have us call ourselves without end
            self._routing.loop.call_soon(self._go_on)
        self._balance()

    def broken(self) -> None:
        self.reset()

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _late(self) -> None:
        if not self._client_reads and self.delivery is not None:
            self._wait_while_it_reads(self.delivery, most_s=self.limits.idle_timeout_s)
        elif not (self._receives or self._queue):
            self.close()
        else:
            self._set_deadline()  # something may have come since it was set
            if self.deadline > self._routing.now():
                return
            if self._receives:
                limit, what = self.limits.request_timeout_s, "The request did not arrive in time"
                self._refuse(limit_message(408, what, limit="request_timeout_s", value=limit, close=True))
            else:
                self._queue[0].overdue()

    @property
    def _receives(self) -> bool:
        """Whether the rest of a request is to come: what is not read, or waits for our word, is not late."""
        return self.in_request and self._reading and not self._continue_due and self._last is None

    def _set_deadline(self) -> None:
        if self._closing:
            return
        now, limits = self._routing.now(), self.limits
        if not self._client_reads:
            self.deadline = now + limits.idle_timeout_s
        elif self._receives:
            self.deadline = self._began_at + limits.request_timeout_s
        elif self._queue:
            self.deadline = (self._queue[0].deadline_from or now) + self._routing.patience_s
        else:
            self.deadline = now + limits.idle_timeout_s

    @property
    def _wants_more(self) -> bool:
        has_room = len(self._queue) <= MOST_WAITING and self._last is None
        return has_room and self._has_room and self._client_reads and not self._held_back

    def _balance(self) -> None:
        if self._closing:
            return
        was_reading = self._reading
        self._read_on(self._wants_more)
        if self._reading and not was_reading:
            self._began_at = self._routing.now()
        self._set_deadline()
