"""One client's connection: requests in, answers out in the same order, and neither without bound."""

from __future__ import annotations

import asyncio
from collections import deque
from enum import Enum, auto

from modelport_scoring.http.application import Application
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.outgoing import Outgoing
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import FOREVER, Body, Head
from modelport_scoring.http.response import INTERNAL_ERROR, Response, limit_message, message
from modelport_scoring.http.stream import BodyStream
from modelport_scoring.http.watched import WatchedConnection
from modelport_scoring.settings import Limits

MOST_WAITING = 32
"""Requests of one connection that wait for their answers; more are not read."""

MOST_WAITING_BYTES = 16 * 1024 * 1024
"""Of the bodies of those requests, where there is more than one: no more are read until some are answered."""

MOST_AHEAD_BYTES = 8 * 1024 * 1024
"""So much of a body may be made before the answers in front of it are sent."""

MOST_SKIPPED_BYTES = 64 * 1024
"""A body up to here is skipped after a refusal, so that the connection can go on; before a larger one it ends."""


class Wait(Enum):
    """What a connection waits for; its deadline depends on it."""

    REQUEST = auto()
    """The first byte of the next request: limits.idle_timeout_s."""
    REST = auto()
    """The rest of a request: limits.request_timeout_s."""
    ANSWER = auto()
    """Us."""
    READER = auto()
    """That the client reads its answers: limits.idle_timeout_s without any progress."""


# Looking a member up in its class takes five times as long, and these are needed for every request.
REQUEST, REST, ANSWER, READER = Wait.REQUEST, Wait.REST, Wait.ANSWER, Wait.READER


class Connection(WatchedConnection):
    """Takes requests from a client and gives it their answers."""

    __slots__ = (
        "_address",
        "_application",
        "_backlog",
        "_continue_due",
        "_current",
        "_flushing",
        "_going_on",
        "_outgoing",
        "_pending",
        "_reader",
        "_screened",
        "_streaming",
        "_unread",
        "_wait",
    )

    def __init__(self, application: Application, listener: Listener) -> None:
        super().__init__(listener)
        self._address: bytes | None = None
        self._application = application
        self._reader: RequestReader  # made in _serve: without a handshake there is none
        self._wait = ANSWER
        self._current: Head | None = None
        self._screened: Response | None = None
        self._pending: deque[Exchange] = deque()
        self._backlog: deque[Exchange] = deque()
        self._continue_due = False
        self._flushing = False
        self._going_on = False
        self._unread = b""
        """What has come, and was too much for one turn of the event loop; nothing is read from the socket then."""
        self._outgoing: Outgoing | None = None
        self._streaming: Exchange | None = None
        """The one whose head has been sent, and whose body is still being made."""

    @property
    def limits(self) -> Limits:
        return self._application.limits

    @property
    def address(self) -> bytes:
        """The client's, as text; nothing where it has gone, and on a socket whose clients have none."""
        if self._address is None:
            peer = None if self._transport is None else self._transport.get_extra_info("peername")
            self._address = str(peer[0]).encode() if peer else b""
        return self._address

    @property
    def is_idle(self) -> bool:
        return not self._pending and not self._reader.in_request and not self._unread

    @property
    def is_receiving(self) -> bool:
        return self._reader.in_request

    def close(self) -> None:
        if self._outgoing is not None:
            self._outgoing.flush()
        super().close()

    # --- transport ----------------------------------------------------------------------------------------------------

    def _serve(self, transport: asyncio.Transport) -> None:
        self._reader = RequestReader(self, self._application.known_heads)
        self._outgoing = Outgoing(transport, self._listener)
        self._wait_for(REQUEST)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        for exchange in self._pending:
            if exchange.work is not None:
                exchange.work.client_gone()
                exchange.work = None
        self._pending.clear()
        self._backlog.clear()
        if self._outgoing is not None:
            self._outgoing.drop()
        self._outgoing = self._streaming = None
        self._unread = b""
        self._reader.close()

    def data_received(self, data: bytes) -> None:
        if self._closing:
            return
        if self._unread:  # it was on its way when reading was paused
            self._unread += data
            return
        try:
            unread = self._reader.feed_some(data)
        except Unreadable as unreadable:
            self._refuse(unreadable.response)
            return
        if unread and not self._closing:
            self._unread = unread
            self._read(False)
            self._go_on_soon()
        if self._reader.in_request and self._wait in (REQUEST, ANSWER):
            self._wait_for(REST)
        if len(self._pending) > 1 and self._holds_enough:
            self._balance()

    def _go_on_soon(self) -> None:
        if not self._going_on:
            self._going_on = True
            self._listener.call_soon(self._go_on)

    def _go_on(self) -> None:
        """Take more of what has come, unless the client is to read first."""
        self._going_on = False
        if self._unread and not self._closing and self._wait is not READER and not self._holds_enough:
            data, self._unread = self._unread, b""
            self.data_received(data)
            self._balance()

    def pause_writing(self) -> None:
        if self.delivery is not None and not self._ending:
            self.delivery.watch(self._listener.now())
            self._wait_for(READER)
            self._balance()
            if self._streaming is not None and self._streaming.work is not None:
                self._streaming.work.pause()

    def resume_writing(self) -> None:
        if self._wait is READER and not self._ending:
            if self._closing:
                self._wait_for(ANSWER)
            else:
                self._wait_for_client()
            self._balance()
        if self._streaming is not None and self._streaming.work is not None:
            self._streaming.work.resume()

    def _late(self) -> None:
        if self._wait is REST and self._continue_due:
            self._wait_for(REST)  # it waits for our word, which has to come behind answers that are owed
        elif self._wait is REST:
            limit, what = self.limits.request_timeout_s, "The request did not arrive in time"
            self._refuse(limit_message(408, what, limit="request_timeout_s", value=limit))
        elif self._wait is READER and self.delivery is not None:
            self._wait_while_it_reads(self.delivery, most_s=self.limits.idle_timeout_s)
        else:
            self.close()

    # --- requests -----------------------------------------------------------------------------------------------------

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        if self._closing:
            return False
        self._current = head
        response = self._screened = self._application.screen(head)
        if response is None:
            self._continue_due = expects_continue
            self._send_continue()
            return True
        if has_body and (expects_continue or is_long(head)):
            raise Unreadable(response)
        return False

    def request_received(self, head: Head, body: Body) -> None:
        if self._closing:
            return
        exchange = Exchange(head, body, self)
        pending = self._pending
        pending.append(exchange)
        if self._wait is not READER:
            self._wait = ANSWER
            self.deadline = FOREVER
        if self._current is not None:  # not a known head
            self._current = None
            self._continue_due = False
            if self._screened is not None:
                screened, self._screened = self._screened, None
                exchange.answer(screened)
                return
        if len(pending) > 1 and len(pending) > self._application.most_pipelined:
            self._backlog.append(exchange)
        else:
            self._begin(exchange)

    def _begin(self, exchange: Exchange) -> None:
        """Have the application answer it. A fault of ours is the end of this request, and not of the others."""
        try:
            self._application.handle(exchange)
        except Exception as error:
            context = {"message": "a request could not be begun with", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            if exchange.response is None:
                exchange.answer(message(500, INTERNAL_ERROR))

    def _refuse(self, response: Response) -> None:
        head = self._reader.head or Head(method=b"", target=b"", version="1.1", headers={})
        if self._screened is None:  # the application knows of it otherwise
            self._application.refused(head, response)
        response.close = True
        self._closing = True
        exchange = Exchange(head, b"", self)
        self._pending.append(exchange)
        if self._wait is not READER:
            self._wait_for(ANSWER)
        exchange.answer(response)

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
            if self._continue_due:
                self._send_continue()
            if self._wait is ANSWER:
                self._wait_for_client()
        if not self._reading:
            self._balance()

    def _begin_waiting(self) -> None:
        """Begin with requests that waited for those before them, as many as may be worked on at once."""
        backlog, pending, most = self._backlog, self._pending, self._application.most_pipelined
        while backlog and not self._ending and (pending[0] is backlog[0] or len(pending) - len(backlog) < most):
            self._begin(backlog.popleft())

    def _send(self, request: Head, response: Response) -> bool:
        """Whether another answer may follow."""
        transport, outgoing = self._transport, self._outgoing
        if transport is None or outgoing is None or transport.is_closing():
            return False
        last = response.close or not request.keep_alive or (self._listener.stopping and not self._pending)
        outgoing.send(request, response, last=last, more_follow=bool(self._pending))
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
            if self._send_stream(exchange, response, stream):
                self._begin_waiting()
                self._flush()
        elif stream.size > MOST_AHEAD_BYTES:
            self._transport.abort()

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
            self._reset()  # only so can a client of HTTP/1.0 tell
        elif last:
            self._end(lingering=False)
        return not last

    def _send_continue(self) -> None:
        if self._continue_due and not self._pending and self._outgoing is not None:
            self._continue_due = False
            self._outgoing.send_continue()
            if self._wait is REST:
                self._wait_for(REST)

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _wait_for_client(self) -> None:
        if self._reader.in_request:
            self._wait_for(REST)
        elif self._pending:
            self._wait_for(ANSWER)
        else:
            self._wait = REQUEST
            self.deadline = self._listener.now() + self._application.limits.idle_timeout_s

    def _wait_for(self, wait: Wait) -> None:
        self._wait = wait
        limits = self._application.limits
        if wait is ANSWER:
            self.deadline = FOREVER
        else:
            seconds = limits.request_timeout_s if wait is REST else limits.idle_timeout_s
            self.deadline = self._listener.now() + seconds

    @property
    def _holds_enough(self) -> bool:
        """Whether so much waits for answers that no more is to be read. One request alone never is: only who reads
        notices that the client goes."""
        pending = self._pending
        if len(pending) < 2:
            return False
        return len(pending) >= MOST_WAITING or sum(len(each.body) for each in pending) > MOST_WAITING_BYTES

    def _balance(self) -> None:
        """Read on, or read no more for now."""
        if self._closing:
            return
        reading = self._wait is not READER and not self._holds_enough
        if reading is not self._reading and self._reader.in_request and self._wait is not READER:
            self._wait_for(REST if reading else ANSWER)  # what we do not read is not late
        if reading and self._unread:
            self._go_on_soon()
        else:
            self._read(reading)


def is_long(head: Head) -> bool:
    """Whether the body is, or may be, too long to be skipped."""
    return head.length is None or head.length > MOST_SKIPPED_BYTES
