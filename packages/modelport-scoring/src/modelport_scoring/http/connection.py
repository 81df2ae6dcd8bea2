"""One client's connection: requests come in, and neither they nor their answers without bound."""

from __future__ import annotations

import asyncio
from enum import Enum, auto

from modelport_scoring.http.answering import AnsweringConnection
from modelport_scoring.http.application import Application
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import FOREVER, Body, Head
from modelport_scoring.http.response import INTERNAL_ERROR, Response, limit_message, message
from modelport_scoring.logs.own_faults import report_fault
from modelport_scoring.settings.service import Limits

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


class Connection(AnsweringConnection):
    """Takes requests from a client, and has the application answer them."""

    __slots__ = (
        "_application",
        "_continue_due",
        "_current",
        "_held_back",
        "_idle_timeout_s",
        "_left_s",
        "_reader",
        "_screened",
        "_wait",
    )

    def __init__(self, application: Application, listener: Listener) -> None:
        super().__init__(listener)
        self._application = application
        self._reader: RequestReader  # made in _serve: without a handshake there is none
        self._wait = ANSWER
        self._current: Head | None = None
        self._screened: Response | None = None
        self._continue_due = False
        self._idle_timeout_s: float
        """Of the limits that held when a head was judged last: where the limits change, all heads are judged anew."""
        self._held_back = False
        """By the budget: there is no room for more of the body that is being read."""
        self._left_s = 0.0
        """That it has for its rest, once there is."""

    @property
    def limits(self) -> Limits:
        return self._application.limits

    @property
    def most_at_once(self) -> int:
        return self._application.most_pipelined

    @property
    def is_idle(self) -> bool:
        return not self._pending and not self.in_request and not self._unread

    # --- transport ----------------------------------------------------------------------------------------------------

    def _serve(self, transport: asyncio.Transport) -> None:
        super()._serve(transport)
        self._reader = RequestReader(self, self._listener.turns, self._application.known_heads)
        self._idle_timeout_s = self._application.limits.idle_timeout_s
        self._wait_for(REQUEST)

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._reader.close()
        self.body_ended()

    def eof_received(self) -> bool:
        if self._ending or self._unread or not self._answers_who_ended:
            return super().eof_received()
        self._closing = True
        self.in_request = False  # what there is of a request will never be whole
        self._reader.drop_body()
        self.body_ended()
        if self._wait is not READER:
            self._wait_for(ANSWER)
        self._see_to_who_ended()
        return True

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
            self._read_on(True)
        if self.in_request and self._wait in (REQUEST, ANSWER) and not self._held_back:
            self._wait_for(REST)
        if len(self._pending) > 1 and self._holds_enough:
            self._balance()

    def pause_writing(self) -> None:
        if self.delivery is not None and not self._ending:
            self.delivery.watch(self._listener.now())
            self._wait_for(READER)
            self._balance()
            self._pause_stream()

    def resume_writing(self) -> None:
        if self._wait is READER and not self._ending:
            receives = self.in_request and not self._closing and not self._held_back
            self._wait_for(REST if receives else ANSWER if self._pending or self._closing else REQUEST)
            self._balance()
        self._resume_stream()

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
        limits = self._application.limits
        self._idle_timeout_s = limits.idle_timeout_s
        response = self._screened = self._application.screen(head)
        if response is None:
            if has_body and is_long(head) and self._listener.budget.is_full(limits):
                raise Unreadable(self._no_room())
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
            self._put_off(exchange)
        else:
            self._begin(exchange)

    def _put_off(self, exchange: Exchange) -> None:
        """Begin with it later, if there is room for its body until then."""
        if self._listener.budget.put_off(len(exchange.body), self._application.limits):
            self._backlog.append(exchange)
            return
        response = self._application.no_room("max_queue_bytes")
        self._application.refused(exchange.head, response)
        exchange.body = b""
        exchange.answer(response)

    def _begin(self, exchange: Exchange) -> None:
        """Have the application answer it. A fault of ours is the end of this request, and not of the others."""
        try:
            self._application.handle(exchange)
        except Exception as error:
            report_fault("a request could not be begun with", error)
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
        self._reader.drop_body()
        self.body_ended()
        if self._wait is not READER:
            self._wait_for(ANSWER)
        exchange.answer(response)

    @property
    def descriptor(self) -> int | None:
        outgoing = self._outgoing
        return outgoing.descriptor if outgoing is not None and self._wants_more and not self._closing else None

    def memory_for(self, head: Head) -> memoryview | None:
        return self._application.memory_for(head)

    # --- room for its bodies ------------------------------------------------------------------------------------------

    def body_grew(self, size: int) -> None:
        head = self._reader.head
        assert head is not None
        if not self._closing and not self._listener.budget.grew(self, size=size, length=head.length):
            raise Unreadable(self._no_room())

    def _no_room(self) -> Response:
        return self._application.no_room("max_buffered_bytes")

    def hold_back(self, held_back: bool) -> None:
        """Read no more of the body that has begun, for now, or read on; what is not read is not late."""
        now = self._listener.now()
        if held_back:
            self._left_s = self.deadline - now if self._wait is REST else self.limits.request_timeout_s
        self._held_back = held_back
        self._balance()
        if not held_back and self._wait is REST:
            self.deadline = now + self._left_s

    def _all_answered(self) -> None:
        if self._continue_due:
            self._send_continue()
        if self._wait is ANSWER:
            if self.in_request:
                if not self._held_back:
                    self._wait_for(REST)
            else:  # nearly always
                self._wait = REQUEST
                self.deadline = self._listener.now() + self._idle_timeout_s

    def _send_continue(self) -> None:
        if self._continue_due and not self._pending and self._outgoing is not None:
            self._continue_due = False
            self._outgoing.send_continue()
            if self._wait is REST:
                self._wait_for(REST)

    # --- waiting ------------------------------------------------------------------------------------------------------

    def _wait_for(self, wait: Wait) -> None:
        self._wait = wait
        limits = self._application.limits
        if wait is ANSWER:
            self.deadline = FOREVER
        else:
            seconds = limits.request_timeout_s if wait is REST else limits.idle_timeout_s
            self.deadline = self._listener.now() + seconds

    @property
    def _wants_more(self) -> bool:
        return self._wait is not READER and not self._holds_enough and not self._held_back

    def _balance(self) -> None:
        if self._closing:
            return
        wants_more = self._wants_more
        # What we do not read is not late; but what waits for its turn of the event loop has no more time for that.
        wait = REST if wants_more else ANSWER
        if wants_more is not self._reading and self.in_request and self._wait not in (READER, wait):
            self._wait_for(wait)
        self._read_on(wants_more)


def is_long(head: Head) -> bool:
    """Whether the body is, or may be, too long to be skipped."""
    return head.length is None or head.length > MOST_SKIPPED_BYTES
