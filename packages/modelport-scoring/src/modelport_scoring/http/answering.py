"""The half of a connection that answers: in the order of the requests, whatever the order in which they are done."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from copy import copy

from modelport_scoring.http.exchange import Exchange, Work
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.outgoing import Outgoing
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response, message
from modelport_scoring.http.stream import BodyStream
from modelport_scoring.http.watched import WatchedConnection
from modelport_scoring.logs.own_faults import report_fault

MOST_WAITING = 32
"""Requests of one connection that wait for their answers; more are not read."""

MOST_WAITING_BYTES = 16 * 1024 * 1024
"""Of the bodies of those requests, where there is more than one: no more are read until some are answered."""

ENDED_WAITING = (
    "The client ended its side of the connection while its request waited for a worker. Keep it open until the answer "
    "has come"
)

MOST_AHEAD_BYTES = 8 * 1024 * 1024
"""So much of a body may be made before the answers in front of it are sent."""


class AnsweringConnection(WatchedConnection):
    """Sends what the exchanges in ``_pending`` are answered, the first one first."""

    __slots__ = ("_backlog", "_flushing", "_outgoing", "_pending", "_streaming")

    def __init__(self, listener: Listener) -> None:
        super().__init__(listener)
        self._pending: deque[Exchange] = deque()
        """Those that are not answered yet, in the order of the requests."""
        self._backlog: deque[Exchange] = deque()
        """Those among them that nothing was begun with."""
        self._flushing = False
        self._outgoing: Outgoing | None = None
        self._streaming: Exchange | None = None
        """The one whose head has been sent, and whose body is still being made."""

    @property
    def ahead_bytes(self) -> int:
        made = (each.response for each in self._pending if each.response is not None)
        return sum(len(each.body) if each.stream is None else each.stream.size for each in made)

    @property
    @abstractmethod
    def most_at_once(self) -> int:
        """How many requests may be worked on at once."""

    @abstractmethod
    def _begin(self, exchange: Exchange) -> None:
        """Have it answered."""

    @abstractmethod
    def _all_answered(self) -> None:
        """No answer is owed to the client."""

    # --- its life -----------------------------------------------------------------------------------------------------

    def _serve(self, transport: asyncio.Transport) -> None:
        self._outgoing = Outgoing(transport, self._listener)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        for exchange in self._pending:
            if exchange.work is not None:
                tell_gone(exchange.work)
                exchange.work = None
        self._pending.clear()
        while self._backlog:
            self._take_up()
        if self._outgoing is not None:
            self._outgoing.drop()
        self._outgoing = self._streaming = None

    @property
    def _answers_who_ended(self) -> bool:
        """Whether a client that has ended its side may get something still: not by TLS, which ends both sides at once.
        Nor in the middle of a stream, which has to stop where the client has gone."""
        transport = self._transport
        is_open = transport is not None and not transport.is_closing() and transport.can_write_eof()
        return is_open and bool(self._pending) and self._streaming is None

    def _see_to_who_ended(self) -> None:
        """The last of what is owed to a client that has ended its side ends the connection.

        Whoever goes away ends his side as well, and nothing tells the two apart before something is sent. So a request
        that waits for a worker is not scored: it would be for nobody, mostly. What has been begun takes no longer for
        being sent; and only who reads the answers has sent several requests, so that the first one counts.
        """
        pending = self._pending
        first, last = pending[0], pending[-1]
        if first.work is None or first.work.client_ended():
            last.head = as_last(last.head)
            return
        tell_gone(first.work)
        refused = pending[0] = Exchange(as_last(first.head), b"", self)
        response = message(503, ENDED_WAITING)
        response.lines += refused.echo()
        refused.answer(response)

    def close(self) -> None:
        if self._outgoing is not None:
            self._outgoing.flush()
        super().close()

    # --- answers ------------------------------------------------------------------------------------------------------

    def answered(self, exchange: Exchange) -> None:
        if not self._flushing and self._pending and self._pending[0] is exchange:
            self._flushing = True
            try:
                self._flush()
            finally:
                self._flushing = False
        elif exchange.response is not None:
            exchange.response.keep()  # its turn has not come

    def _flush(self) -> None:
        """Send the answers whose turn it is, and begin with requests that waited for that."""
        pending = self._pending
        while pending and (response := pending[0].response) is not None:
            if response.stream is not None:
                if not self._begin_stream(pending[0], response, response.stream):
                    return
            elif not self._send(pending.popleft().head, response):
                return
            if self._backlog:
                self._begin_waiting()
        if not pending:
            self._all_answered()
        if not self._reading:
            self._balance()

    @property
    def _holds_enough(self) -> bool:
        """Whether so much waits for answers that no more is to be read. One request alone never is: only who reads
        notices that the client goes."""
        pending = self._pending
        if len(pending) < 2:
            return False
        return len(pending) >= MOST_WAITING or sum(len(each.body) for each in pending) > MOST_WAITING_BYTES

    def _begin_waiting(self) -> None:
        """Begin with requests that waited for those before them, as many as may be worked on at once."""
        backlog, pending, most = self._backlog, self._pending, self.most_at_once
        while backlog and not self._ending and (pending[0] is backlog[0] or len(pending) - len(backlog) < most):
            self._begin(self._take_up())

    def _take_up(self) -> Exchange:
        """The next request that waited."""
        exchange = self._backlog.popleft()
        self._listener.budget.taken_up(len(exchange.body))
        return exchange

    def _send(self, request: Head, response: Response) -> bool:
        """Whether another answer may follow."""
        transport, outgoing = self._transport, self._outgoing
        if transport is None or outgoing is None or transport.is_closing():
            return False
        last = response.close or not request.keep_alive or (self._listener.stopping and not self._pending)
        outgoing.send(request, response, last, bool(self._pending))
        if last:
            self._end(lingering=response.close)
        return not last

    # --- bodies that are sent as they are made ------------------------------------------------------------------------

    def streamed(self, exchange: Exchange) -> None:
        response = exchange.response
        stream = response.stream if response is not None else None
        if response is None or stream is None or self._transport is None:
            return
        if self._streaming is exchange:
            if self._send_stream(exchange, response, stream) and not self._flushing:
                self._go_on_behind_it()
        elif stream.size > MOST_AHEAD_BYTES:
            self.reset()  # so that what is being sent is not taken for whole

    def _go_on_behind_it(self) -> None:
        """The requests behind a stream that has ended have their turn. What is answered at once waits for ``_flush``,
        too: in the middle of this it might be the connection's last answer."""
        self._flushing = True
        try:
            self._begin_waiting()
            self._flush()
        finally:
            self._flushing = False

    def _begin_stream(self, exchange: Exchange, response: Response, stream: BodyStream) -> bool:
        """Send the head and what there is of the body. Whether another answer may follow."""
        transport, outgoing = self._transport, self._outgoing
        if transport is None or outgoing is None or transport.is_closing() or self._streaming is exchange:
            return False
        self._streaming = exchange
        response.close = response.close or (self._listener.stopping and len(self._pending) == 1)
        outgoing.begin_stream(exchange.head, response)
        return self._send_stream(exchange, response, stream)

    def _send_stream(self, exchange: Exchange, response: Response, stream: BodyStream) -> bool:
        """Send what there is of the body. Whether it was the last, and another answer may follow."""
        transport, outgoing, head = self._transport, self._outgoing, exchange.head
        assert transport is not None and outgoing is not None
        outgoing.send_stream(head, stream)
        if not stream.done:
            return False
        self._streaming = None
        self._pending.popleft()
        chunked = head.version == "1.1"
        is_last = response.close or not head.keep_alive or (self._listener.stopping and not self._pending)
        last = stream.broken or not chunked or is_last
        if stream.broken and not chunked:
            self.reset()  # only so can a client of HTTP/1.0 tell
        elif last:
            self._end(lingering=False)
        return not last

    def _pause_stream(self) -> None:
        """The client does not read: have no more of the body made."""
        if self._streaming is not None and self._streaming.work is not None:
            self._streaming.work.pause()

    def _resume_stream(self) -> None:
        if self._streaming is not None and self._streaming.work is not None:
            self._streaming.work.resume()


def as_last(head: Head) -> Head:
    """A head of its own for the last request of a connection: the one that came may be that of many."""
    head = copy(head)
    head.keep_alive = False
    return head


def tell_gone(work: Work) -> None:
    """A fault of ours on that way costs neither the client's other requests nor the account of what bodies take."""
    try:
        work.client_gone()
    except Exception as error:
        report_fault("that a client has gone could not be told", error)
