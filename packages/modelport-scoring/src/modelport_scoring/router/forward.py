"""One request on its way: to a server of the version that was chosen, and its answer back to the client."""

from __future__ import annotations

import asyncio
from typing import Protocol

from modelport_scoring.http.request import Head
from modelport_scoring.http.response import LAST_CHUNK, Response, in_chunk
from modelport_scoring.router.connecting import connected
from modelport_scoring.router.heads import AnswerHead, request_head
from modelport_scoring.router.passing import KeptBody, PassedAnswer
from modelport_scoring.router.routing import Choice, Routing, closed, overloaded, timed_out
from modelport_scoring.router.upstream_connection import UpstreamConnection

UNKNOWN = b"unknown"
"""For the address of a client that nobody knows (RFC 7239, 6.2)."""

MOST_TRIES = 3
"""Times that a request is sent, where it did not reach anybody."""


class Client(Protocol):
    """Whose request it is."""

    scheme: bytes

    @property
    def address(self) -> bytes:
        """The client's; nothing where nobody knows."""

    def send(self, parts: list[bytes]) -> None: ...

    def read_on(self, forward: Forward, reads: bool) -> None:
        """Whether the request's body may go on."""

    def answered(self, forward: Forward, *, last: bool) -> None:
        """The answer has been sent whole. ``last``: the connection is to end with it."""

    def broken(self) -> None:
        """The answer cannot be brought to its end, and the client must see that."""

    @property
    def must_end(self) -> bool:
        """Whether the connection ends with the next answer anyway."""


class Forward:
    """Is told what comes of the request, and sends it on; is told what comes of the answer, and sends that."""

    __slots__ = (
        "_answer",
        "_choice",
        "_client",
        "_connecting",
        "_connection",
        "_kept",
        "_routing",
        "_tries",
        "_waits_for_body",
        "body_is_whole",
        "deadline_from",
        "head",
        "is_over",
        "method",
        "started_at",
    )

    def __init__(self, client: Client, head: Head, routing: Routing) -> None:
        self.head = head
        self.method = head.method
        self.body_is_whole = False
        self.is_over = False
        self.started_at = routing.now()
        self.deadline_from = 0.0
        """Since when the server is waited for: it was begun with, or got the request whole, or took or sent something
        last; 0 before that."""
        self._client = client
        self._routing = routing
        self._choice: Choice | None = None
        self._connection: UpstreamConnection | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._kept = KeptBody()
        self._answer = PassedAnswer()
        self._waits_for_body = False
        self._tries = 0

    @property
    def is_started(self) -> bool:
        return self._choice is not None or self.is_over

    @property
    def has_begun(self) -> bool:
        """Whether the client has got the head of the answer."""
        return self._answer.has_begun

    # --- the request --------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Choose a version, and send what there is."""
        routing = self._routing
        choice: Choice | Response | None = routing.own_answer(self.head)
        if choice is None:
            choice = overloaded(routing.settings) if routing.is_overloaded else routing.choose(self.head)
        if isinstance(choice, Response):
            self.answer(choice)
            return
        self._choice = choice
        self.deadline_from = routing.now()
        routing.begin(self)
        connection = choice.upstream.kept_connection()
        if connection is not None:
            self._send_all(connection)
        else:
            self._connect()

    def more(self, piece: bytes) -> None:
        """More of the request's body."""
        if self.is_over:
            return
        framed = [piece] if self.head.length is not None else list(in_chunk(piece))
        self._pass(framed, len(piece))

    def body_ended(self) -> None:
        """The request is whole."""
        self.body_is_whole = True
        if self.is_over:
            return
        if self.head.length is None:
            self._pass([LAST_CHUNK], len(LAST_CHUNK))
        if self._connection is not None:
            self.deadline_from = self._routing.now()

    def _pass(self, parts: list[bytes], size: int) -> None:
        self._kept.add(parts, size)
        if self._kept.is_too_long:
            if self._connection is None:
                self._wait_for_connection()
            else:
                self._kept.drop()
        if self._connection is not None:
            self._connection.send(parts)

    def _wait_for_connection(self) -> None:
        """The client goes on when there is somebody to send it to."""
        self._waits_for_body = True
        self.deadline_from = self._routing.now()
        self._client.read_on(self, False)

    def client_gone(self) -> None:
        """Nobody waits for the answer any more."""
        self._finish(whole=False)

    def client_reads(self, reads: bool) -> None:
        """Whether the client keeps up with the answer."""
        if self._connection is not None:
            self._connection.read(reads)

    def overdue(self) -> None:
        """The server has not answered in time."""
        self._count_failure("timeout")
        if self._answer.has_begun:
            self._break()
        else:
            self.answer(timed_out(self._routing.settings))

    # --- the server ---------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._connection = None
        self._connecting = self._routing.loop.create_task(self._connect_and_send())

    async def _connect_and_send(self) -> None:
        assert self._choice is not None
        found = await connected(self._routing, self.head, self._choice)
        if isinstance(found, Response):
            self.answer(found)
            return
        self._choice, connection = found
        if self.is_over:
            connection.release(whole=True)
        else:
            self._send_all(connection)

    def _send_all(self, connection: UpstreamConnection) -> None:
        """The head, and all of the body that is there."""
        self._tries += 1
        self._connection = connection
        connection.ask(self)
        head = request_head(self.head, client=self._client.address or UNKNOWN, scheme=self._client.scheme)
        connection.send([b"".join((head, *self._kept.parts))] if self._kept.parts else [head])
        if self._kept.is_too_long:
            self._kept.drop()
        if self.body_is_whole:
            self.deadline_from = self._routing.now()
        if self._waits_for_body:
            self._waits_for_body = False
            self._client.read_on(self, True)

    def server_reads(self, reads: bool) -> None:
        self.deadline_from = self._routing.now()
        self._client.read_on(self, reads)

    def head_came(self, head: AnswerHead, *, has_body: bool) -> None:
        self._kept.drop()
        self.deadline_from = self._routing.now()
        self._answer.begin(head, self.head, has_body=has_body, is_last=self._ends_connection)
        self._count(head.status)

    def body_came(self, piece: bytes) -> None:
        self._answer.add(piece)

    def flush(self) -> None:
        parts = self._answer.take()
        if parts and not self.is_over:
            self.deadline_from = self._routing.now()
            self._client.send(parts)

    def ended(self) -> None:
        self._answer.end()
        self.flush()
        self._finish(whole=self.body_is_whole)
        self._client.answered(self, last=self._answer.is_last)

    def lost(self, *, delivered: bool) -> None:
        self._connection = None
        if self.is_over:
            return
        if self._answer.has_begun:
            self._count_failure("broken")
            self._break()
        elif not delivered and self._kept.parts is not None and self._tries < MOST_TRIES:
            assert self._choice is not None
            self._routing.metrics.retries[self._choice.upstream.revision] += 1
            self._client.read_on(self, True)  # that connection, which is no more, may have held it back
            self._connect()
        else:
            self._count_failure("closed")
            self.answer(closed(self._routing.settings))

    # --- the client ---------------------------------------------------------------------------------------------------

    def answer(self, response: Response) -> None:
        """Give an answer of the router's own."""
        if self.is_over:
            return
        self._count(response.status)
        last = self._ends_connection or response.close
        self._finish(whole=False)
        self._client.send(self._routing.to_bytes(response, self.head, last=last))
        self._client.answered(self, last=last)

    @property
    def _ends_connection(self) -> bool:
        """Whether no other request can follow on the client's connection, whatever the answer."""
        return not self.head.keep_alive or not self.body_is_whole or self._client.must_end

    def _break(self) -> None:
        self.flush()
        self._finish(whole=False)
        self._client.broken()

    def _finish(self, *, whole: bool) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._kept.drop()
        if self._choice is not None:
            self._routing.end(self)
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release(whole=whole)
        elif self._connecting is not None and self._connecting is not asyncio.current_task(self._routing.loop):
            self._connecting.cancel()
        self._connecting = None

    def _count(self, status: int) -> None:
        revision = 0 if self._choice is None else self._choice.upstream.revision
        self._routing.metrics.answered(revision, status, self._routing.now() - self.started_at)

    def _count_failure(self, reason: str) -> None:
        if self._choice is not None:
            self._routing.metrics.failures[self._choice.upstream.revision, reason] += 1
