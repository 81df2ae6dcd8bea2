"""One request and the place of its answer among those of its connection."""

from __future__ import annotations

from typing import Protocol

from modelport_scoring.http.ids import new_id
from modelport_scoring.http.request import Body, Head
from modelport_scoring.http.response import Response
from modelport_scoring.http.stream import BodyStream


class AnswerOrder(Protocol):
    """Who sends answers in the order of the requests."""

    @property
    def address(self) -> bytes:
        """The client's, as text; nothing where it is not known."""

    def answered(self, exchange: Exchange) -> None:
        """The exchange has its answer."""

    def streamed(self, exchange: Exchange) -> None:
        """There is more of the answer's body, or its end."""


class Work(Protocol):
    """What is done for an exchange."""

    def client_gone(self) -> None:
        """Nobody waits for the answer any more."""

    def client_ended(self) -> bool:
        """The client sends no more; it may read still, and most have gone. Whether its answer is being made."""

    def pause(self) -> None:
        """The client does not keep up: send no more of the body for now."""

    def resume(self) -> None:
        """The client has caught up."""


class Nobody:
    """Where an answer goes that is for nobody."""

    address = b""

    def answered(self, exchange: Exchange) -> None: ...

    def streamed(self, exchange: Exchange) -> None: ...


class Exchange:
    """Is answered exactly once, whenever; its connection keeps the order."""

    __slots__ = ("_request_id", "body", "head", "order", "response", "work")

    def __init__(self, head: Head, body: Body, order: AnswerOrder) -> None:
        self.head = head
        self.body = body
        self._request_id = b""
        self.response: Response | None = None
        self.work: Work | None = None
        """Told when the client goes away, or does not keep up."""
        self.order = order
        """Who is told of the answer."""

    @property
    def request_id(self) -> bytes:
        """The request's id; nothing where the application has read none in its head."""
        given = self.head.ids
        if not self._request_id and given is not None:
            self._request_id = given.request_id()
        return self._request_id

    @request_id.setter
    def request_id(self, request_id: bytes) -> None:
        self._request_id = request_id

    def echo(self) -> bytes:
        """The header lines of the answer that repeat the ids."""
        given = self.head.ids
        if given is None:
            return b""
        if not self._request_id:
            self._request_id = given.own or new_id()  # as given.request_id() does; each request comes this way
        return given.echo(self._request_id)

    def answer(self, response: Response) -> None:
        """Send the answer, when its turn comes; nothing happens where the client has gone."""
        self.response = response
        if response.stream is None:
            self.work = None
        self.order.answered(self)

    def let_go(self) -> None:
        """Its client has gone, and no worker has it: it stays in a line until its turn, without what it holds. Who
        stands between it and its connection may hold it, too, and an answer that would part them does not come."""
        self.body = b""
        self.order = Nobody()

    def send(self, chunk: bytes) -> None:
        """Send more of the body of an answer with a stream."""
        stream = self._stream()
        if chunk:  # an empty one would end the body, in the chunked coding
            stream.put(chunk)
            self.order.streamed(self)

    def end(self, *, broken: bool = False) -> None:
        """End the body; ``broken``: the client must see that it is not whole."""
        stream = self._stream()
        stream.done = True
        stream.broken = broken
        self.work = None
        self.order.streamed(self)

    def _stream(self) -> BodyStream:
        assert self.response is not None and self.response.stream is not None, "the answer has no stream"
        return self.response.stream
