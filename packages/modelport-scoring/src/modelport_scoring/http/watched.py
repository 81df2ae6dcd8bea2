"""A client's connection as its listener watches it: counted from its begin on, refused where there are too many, and
ended so that the client gets its last answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from abc import abstractmethod
from typing import cast

from modelport_scoring.http.delivery import Delivery
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.paced import PacedTransport
from modelport_scoring.http.request import FOREVER
from modelport_scoring.http.response import Response
from modelport_scoring.settings.service import Limits

MOST_UNREAD_BYTES = 256 * 1024
"""Above this, what a client does not read is not made either."""

LINGER_S = 2.0
"""After a refusal, what the client still sends is read and dropped for so long: closing at once would reset the
connection, and the client might lose the answer."""

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time at all."""

OF_IPV4 = "::ffff:"
"""Before a client's address where it has come by IPv4 to a socket for both."""


class WatchedConnection(asyncio.Protocol):
    """Has no timers of its own: the listener looks at ``deadline`` now and then, and calls ``overdue``."""

    __slots__ = (
        "_address",
        "_closing",
        "_ending",
        "_listener",
        "_reading",
        "_takes_more_soon",
        "_transport",
        "_unread",
        "deadline",
        "delivery",
        "in_request",
    )

    def __init__(self, listener: Listener) -> None:
        self.deadline = FOREVER
        self.delivery: Delivery | None = None
        self.in_request = False
        """A request has begun and is not whole yet, as its reader says."""
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._address: bytes | None = None
        self._reading = True
        self._unread = b""
        """What has come, and was too much for one turn of the event loop: nothing is read from the socket until it is
        taken."""
        self._takes_more_soon = False
        self._closing = False
        """No more requests are taken."""
        self._ending = False
        """All is written; what is left is that the client gets it."""

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def address(self) -> bytes:
        """The client's, as text; nothing where it has gone, and on a socket whose clients have none."""
        if self._address is None:
            self._address = b"" if self._transport is None else address_of(self._transport)
        return self._address

    @property
    @abstractmethod
    def limits(self) -> Limits:
        """Those of this moment."""

    @property
    def ahead_bytes(self) -> int:
        """What has been made of answers, and waits for others before them."""
        return 0

    @property
    @abstractmethod
    def is_idle(self) -> bool:
        """Whether no answer is owed to the client, and it has begun no request."""

    @abstractmethod
    def _serve(self, transport: asyncio.Transport) -> None:
        """It has been made."""

    @abstractmethod
    def _refuse(self, response: Response) -> None:
        """Give the last answer of this connection, after those that are owed already."""

    @abstractmethod
    def _late(self) -> None:
        """What was waited for did not come in time."""

    @property
    @abstractmethod
    def _wants_more(self) -> bool:
        """Whether more of what the client sends may be taken now."""

    @abstractmethod
    def _balance(self) -> None:
        """Read on, or read no more for now."""

    # --- room for its bodies ------------------------------------------------------------------------------------------

    @abstractmethod
    def hold_back(self, held_back: bool) -> None:
        """Read no more of the body that has begun, for now, or read on."""

    @abstractmethod
    def _no_room(self) -> Response:
        """What a client is told for whose body there is none."""

    def body_ended(self) -> None:
        """A large body is whole, or will never be."""
        self._listener.budget.ended(self)

    def give_up(self) -> None:
        """Refuse the request whose body is being received: there is no room for it."""
        self._refuse(self._no_room())

    # --- its life -----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)
        if made.get_extra_info("sslcontext") is not None:
            made = PacedTransport(made, self)
        self._transport = made
        made.set_write_buffer_limits(high=MOST_UNREAD_BYTES)
        self.delivery = Delivery(made)
        self._serve(made)
        if self._listener.opened(self):
            return
        if self._listener.overcrowded(self.limits):
            made.abort()
        else:
            self._refuse(self._listener.refusal(self.limits))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = self.delivery = None
        self._closing = True
        self._unread = b""
        self._listener.closed(self)

    def eof_received(self) -> bool:
        """The client has ended its side: to us it has gone. The transport closes once what was written is sent, unless
        this says that it is to stay open."""
        self._watch_end()
        return False

    def overdue(self) -> None:
        """The deadline has passed."""
        if self._ending:
            self._look_at_end()
        else:
            self._late()

    def close(self) -> None:
        """End it, after what was written."""
        self._end(lingering=False)

    # --- its end ------------------------------------------------------------------------------------------------------

    def _end(self, *, lingering: bool) -> None:
        """Close; with ``lingering`` only our side, where that can be, while the client may be sending still."""
        self._closing = True
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._watch_end()
        if lingering and transport.can_write_eof():
            transport.write_eof()
            self._read(True)
        else:
            transport.close()  # with TLS, which ends both sides at once, what comes is read and dropped as well

    def _watch_end(self) -> None:
        self._closing = self._ending = True
        now = self._listener.now()
        self.deadline = now + LINGER_S
        if self.delivery is not None:
            self.delivery.watch(now)

    def _look_at_end(self) -> None:
        """Give the client up where it has everything and says nothing, or takes nothing of what it has not got."""
        if self.delivery is None or self.delivery.is_whole:
            if self._transport is not None:
                self._transport.abort()
        else:
            self._wait_while_it_reads(self.delivery, most_s=LINGER_S)

    def _wait_while_it_reads(self, delivery: Delivery, *, most_s: float) -> None:
        """Look again after ``most_s``, unless the client has taken nothing for ``limits.idle_timeout_s``."""
        now = self._listener.now()
        left_s = self.limits.idle_timeout_s - delivery.stalled_s(now)
        if left_s > 0:
            self.deadline = now + min(left_s, most_s)
        else:
            self.reset()

    def reset(self) -> None:
        """End it so that the client sees an error instead of an end, and the system keeps nothing for it either: that
        would be megabytes, which it offers for minutes to a client that takes nothing."""
        self._closing = True
        if self._transport is not None:
            channel = self._transport.get_extra_info("socket")
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._transport.abort()

    # --- reading ------------------------------------------------------------------------------------------------------

    def _read_on(self, wants_more: bool) -> None:
        """Take more, first of what has come and then from the socket; or nothing for now."""
        if wants_more and self._unread and not self._takes_more_soon:
            self._takes_more_soon = True
            self._listener.turns.take_later(self._take_more, len(self._unread))
        self._read(wants_more and not self._unread)

    def _take_more(self) -> None:
        """Take more of what has come; others have had their turn of the event loop meanwhile."""
        self._takes_more_soon = False
        if self._unread and not self._closing and self._wants_more:
            data, self._unread = self._unread, b""
            try:
                self.data_received(data)
            except Exception:
                # As the transport ends who raises at what it has read: what is lost of it was a part of a request, and
                # what comes next would be taken for the begin of one.
                if self._transport is not None:
                    self._transport.abort()
                raise
            self._balance()

    def _read(self, reading: bool) -> None:
        """Read on, or read no more for now."""
        transport = self._transport
        if reading is self._reading or transport is None or transport.is_closing():
            return
        self._reading = reading
        if reading:
            transport.resume_reading()
        else:
            transport.pause_reading()


def address_of(transport: asyncio.Transport) -> bytes:
    """The client's address, as text; nothing on a socket whose clients have none."""
    peer = transport.get_extra_info("peername")
    return str(peer[0]).removeprefix(OF_IPV4).encode() if peer else b""
