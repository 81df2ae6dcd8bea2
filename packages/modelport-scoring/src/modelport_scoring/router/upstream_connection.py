"""One connection to a server: a request out, and its answer, piece by piece, back."""

from __future__ import annotations

import asyncio
import socket
from typing import Protocol, cast

import httptools

from modelport_scoring.http.delivery import acked_bytes
from modelport_scoring.router.heads import AnswerHead

MOST_UNSENT_BYTES = 256 * 1024
"""Above this, the client is not read from until the server has read."""

MOST_HEAD_BYTES = 1024 * 1024
"""No server's head is longer; the parser keeps all of one that does not end."""


class Asking(Protocol):
    """Whose request is on the connection."""

    @property
    def method(self) -> bytes: ...

    def head_came(self, head: AnswerHead, *, has_body: bool) -> None: ...

    def body_came(self, piece: bytes) -> None: ...

    def flush(self) -> None:
        """What came at once has been told."""

    def ended(self) -> None:
        """The answer is whole."""

    def lost(self, *, delivered: bool) -> None:
        """The connection ended before the answer was whole. ``delivered``: whether the server may have got any of the
        request."""

    def server_reads(self, reads: bool) -> None:
        """Whether the server keeps up with the body."""


class Owner(Protocol):
    """Whose connections these are."""

    def keep(self, connection: UpstreamConnection) -> None: ...

    def forget(self, connection: UpstreamConnection) -> None: ...


class UpstreamConnection(asyncio.Protocol):
    """Serves one request after the other. A callback of the parser may not be renamed: httptools finds it by name."""

    def __init__(self, owner: Owner, address: tuple[str, int], *, made_at: float) -> None:
        self.address = address
        self.made_at = made_at
        self.idle_since = made_at
        self._owner = owner
        self._asking: Asking | None = None
        self._transport: asyncio.Transport | None = None
        self._channel: socket.socket | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._head = AnswerHead()
        self._has_head = False
        self._head_bytes = 0
        """Of what came before there was a head."""
        self._complete = False
        self._keeps = True
        self._until_close = False
        self._acked_before: int | None = None
        self._delivered = True
        self._reading = True

    @property
    def is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def ask(self, asking: Asking) -> None:
        """Begin a request: what is sent from now on is its."""
        self._asking = asking
        self._has_head = self._until_close = self._complete = False
        self._head_bytes = 0
        self._keeps = True
        self._delivered = True
        self._acked_before = self._acked()

    def send(self, parts: list[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(parts)

    def read(self, reading: bool) -> None:
        """Whether to read on: the client does not always keep up."""
        if self._transport is None or self._transport.is_closing() or reading is self._reading:
            return
        self._reading = reading
        if reading:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def release(self, *, whole: bool) -> None:
        """The request is over. ``whole``: it was sent to its end, so that another one may follow."""
        self._asking = None
        if whole and self._keeps and not self._until_close and not self.is_closing:
            self.read(True)
            self._owner.keep(self)
        else:
            self.close()

    def close(self) -> None:
        """End it; nobody is told."""
        self._asking = None
        if self._transport is not None:
            self._transport.abort()

    # --- transport ----------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=MOST_UNSENT_BYTES)
        # uvloop makes a socket for each question to its own; this one is given up before the transport closes it
        channel = self._channel = socket.socket(fileno=transport.get_extra_info("socket").fileno())
        channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def data_received(self, data: bytes) -> None:
        if self._asking is None:
            self.close()  # nobody asked
            return
        asking = self._asking
        if not self._has_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._keeps = False
            if not self._complete:
                self._fail()
                return
        if not self._has_head and self._head_bytes > MOST_HEAD_BYTES:
            self._fail()
            return
        # Not from within the parser: what follows the answer, if anything does, is no other request's.
        if self._complete:
            self._until_close = False
            asking.ended()
        else:
            asking.flush()

    def eof_received(self) -> None:
        self._note_delivery()

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is None or self._transport.get_extra_info("sslcontext") is None:
            self._note_delivery()  # below TLS, the socket may be closed by now
        if self._channel is not None:
            self._channel.detach()
            self._channel = None
        self._owner.forget(self)
        asking, self._asking = self._asking, None
        self._transport = None
        del self._parser  # the two would keep each other until the garbage collector looks: after hours, at their age
        if asking is None:
            return
        if self._until_close and error is None:
            asking.ended()
        else:
            asking.lost(delivered=self._delivered or self._has_head)

    def pause_writing(self) -> None:
        if self._asking is not None:
            self._asking.server_reads(False)

    def resume_writing(self) -> None:
        if self._asking is not None:
            self._asking.server_reads(True)

    # --- callbacks of the parser --------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._complete:
            self._keeps = False
        else:
            self._head = AnswerHead()

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self._head.add(name, value)

    def on_headers_complete(self) -> None:
        asking, head, parser = self._asking, self._head, self._parser
        status = parser.get_status_code()
        if status < 200 or asking is None or self._complete:
            return
        if not head.is_readable:
            raise ValueError("a transfer coding besides chunked")
        head.status = status
        self._has_head = True
        self._keeps = parser.should_keep_alive()
        without_body = asking.method == b"HEAD" or status in (204, 304)
        self._until_close = head.length is None and not head.chunked and not without_body
        asking.head_came(head, has_body=not without_body)
        if asking.method == b"HEAD":  # to the parser, a body would follow
            self._keeps = False
            self._complete = True

    def on_body(self, body: bytes) -> None:
        if self._asking is not None and self._has_head and not self._complete:
            self._asking.body_came(body)

    def on_message_complete(self) -> None:
        if self._has_head:
            self._complete = True
            self._keeps = self._keeps and self._parser.should_keep_alive()  # a trailer may say so as well

    # --- what became of the request -----------------------------------------------------------------------------------

    def _fail(self) -> None:
        """The server speaks no HTTP."""
        asking, self._asking = self._asking, None
        self.close()
        if asking is not None:
            asking.lost(delivered=True)

    def _note_delivery(self) -> None:
        """While the socket can still be asked: whether its other end has got anything of the request. Where the server
        had closed before, nothing was acknowledged."""
        if self._acked_before is not None:
            acked = self._acked()
            self._delivered = acked is None or acked > self._acked_before

    def _acked(self) -> int | None:
        """Bytes of ours that the other end's system has acknowledged; None where that cannot be told."""
        return None if self._channel is None else acked_bytes(self._channel)
