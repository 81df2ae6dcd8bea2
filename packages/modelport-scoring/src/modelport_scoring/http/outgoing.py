"""What goes out to one client: answers as bytes, in the order in which they are given."""

from __future__ import annotations

import asyncio

from modelport_scoring.http.listener import Listener
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import (
    CHUNKED,
    CLOSE,
    KEEP_ALIVE,
    LAST_CHUNK,
    SMALL_BODY_BYTES,
    WITHOUT_BODY,
    Response,
    head,
    in_chunk,
    stream_head,
    whole,
)
from modelport_scoring.http.stream import BodyStream
from modelport_scoring.http.written_now import descriptor_of, write_now, write_parts_now

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Outgoing:
    """Writes to the transport: as few system calls as may be, and no copy of a large body."""

    __slots__ = ("_held", "_listener", "_transport", "descriptor")

    def __init__(self, transport: asyncio.Transport, listener: Listener) -> None:
        self._transport = transport
        self.descriptor = descriptor_of(transport)
        """Of the socket; None where what goes through it is encrypted."""
        self._listener = listener
        self._held: list[bytes] = []
        """Answers that are sent together with those behind them."""

    def send(self, request: Head, response: Response, last: bool, more_follow: bool) -> None:
        """Send a whole answer. ``last``: the connection ends with it. ``more_follow``: the client waits for others:
        what is ready within this turn of the event loop is then one write."""
        body = response.body
        if (
            response.status == 200
            and isinstance(body, bytes)
            and len(body) <= SMALL_BODY_BYTES
            and not last
            and request.version == "1.1"
            and request.method != b"HEAD"
        ):  # nearly always
            data = whole(response, body, self._listener.date_line)
        else:
            connection = CLOSE if last else KEEP_ALIVE if request.version == "1.0" else b""
            start = head(response, connection=connection, date=self._listener.date_line)
            if request.method == b"HEAD" or response.status in WITHOUT_BODY:
                body = b""
            if isinstance(body, memoryview):
                self._write_lent(start, body)
                return
            if len(body) > SMALL_BODY_BYTES:
                self._write(start, body)
                return
            data = start + body
        if more_follow and not last:
            if not self._held:
                self._listener.call_soon(self.flush)
            self._held.append(data)
        elif self._held:
            self._write(data)
        else:  # a client need not wait until all that has come at the same time has been seen to
            write_now(self._transport, self.descriptor, data)

    def send_continue(self) -> None:
        """Tell the client that it may send the body."""
        self._write(CONTINUE)

    def begin_stream(self, request: Head, response: Response) -> None:
        """Send the head of an answer whose body is made while it is sent."""
        chunked = request.version == "1.1"
        framing = CHUNKED if chunked and request.method != b"HEAD" else b""
        if response.close or not (chunked and request.keep_alive):
            framing += CLOSE
        self._write(stream_head(response, framing=framing, date=self._listener.date_line))

    def send_stream(self, request: Head, stream: BodyStream) -> None:
        """Send what there is of that body, and its end if that has come."""
        chunked = request.version == "1.1"
        for chunk in stream.take():
            if chunked:
                self._transport.writelines(in_chunk(chunk))
            else:
                self._transport.write(chunk)
        if chunked and stream.done and not stream.broken and request.method != b"HEAD":
            self._transport.write(LAST_CHUNK)

    def flush(self) -> None:
        """Send what is held back."""
        if self._held:
            self._write()

    def drop(self) -> None:
        """The client has gone."""
        self._held.clear()

    def _write(self, *parts: bytes) -> None:
        """Send what is held back, and these parts behind it: by one system call, and without a copy."""
        if self._held:
            parts = (*self._held, *parts)
            self._held.clear()
        self._transport.writelines(parts)

    def _write_lent(self, start: bytes, body: memoryview) -> None:
        """Send what is held back, and this answer, whose body is lent for this call: the system takes it from where it
        lies, and only what does not go into the socket now is copied."""
        parts: list[bytes | memoryview] = [*self._held, start, body]
        self._held.clear()
        write_parts_now(self._transport, self.descriptor, parts)
