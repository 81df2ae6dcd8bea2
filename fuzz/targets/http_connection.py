"""A whole connection between a transport and an application that are made up: whatever comes in, in whatever pieces and
however slow application and client are, the answers are those of the requests, in their order, and nothing stalls.

An input is a seed for everything that varies, one byte, and streams with 0xFFFF between them, one for a connection. All
share one set of known heads. What is expected follows from the requests that a reader without known heads sees.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import cast

from fuzz.answers import Answer, read_answers
from fuzz.pieces import cut, expand, memory_at_times
from fuzz.targets.http_reader import SEPARATOR, UNBOUNDED, Forgetful, forgets_at_times, plain_status
from fuzz.wire import Client, Loop, Wire
from modelport_scoring import Limits
from modelport_scoring.http.connection import Connection, is_long
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.framing import Unreadable
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import FOREVER, Body, Head
from modelport_scoring.http.response import Response, message
from modelport_scoring.http.stream import BodyStream
from modelport_scoring.http.turns import Turns

LIMITS = Limits(max_body_bytes=200_000)


def screened(head: Head) -> Response | None:
    """Refuse paths that are not there, and HEAD, whose answers have no body."""
    if head.path == b"/score" and head.method != b"HEAD":
        return None
    return Response(404, body=b"not here")


def answer_to(head: Head, body: Body) -> bytes:
    """A body that tells one request from another."""
    return b" ".join((head.method, head.query, body))


class Script:
    """Answers requests at once, or when it is told to, whole or in chunks."""

    def __init__(self, known: KnownHeads, chance: random.Random) -> None:
        self.limits = LIMITS
        self.known_heads = known
        self.held: list[Exchange] = []
        self._chance = chance
        self.streams = chance.random() < 0.3
        self.most_pipelined = 1 if self.streams else 32

    def screen(self, head: Head) -> Response | None:
        return screened(head)

    def refused(self, head: Head, response: Response) -> None:
        """Nobody counts here."""

    def memory_for(self, head: Head) -> memoryview | None:
        return memory_at_times(head.length)

    def no_room(self, limit: str) -> Response:
        return message(503, limit)

    def handle(self, exchange: Exchange) -> None:
        if self._chance.random() < 0.5:
            self.held.append(exchange)
        else:
            self._answer(exchange)

    def answer_one(self) -> bool:
        """Answer one of those that wait. Whether there was one."""
        if not self.held:
            return False
        self._answer(self.held.pop(self._chance.randrange(len(self.held))))
        return True

    def _answer(self, exchange: Exchange) -> None:
        body = answer_to(exchange.head, exchange.body)
        if not self.streams:
            exchange.answer(Response(200, body=body))
            return
        exchange.answer(Response(200, stream=BodyStream()))
        for piece in cut(body, self._chance):
            exchange.send(piece)
        exchange.end()


class Model:
    """What a connection has to answer, by a reader that knows no heads and gets everything at once."""

    limits = LIMITS
    descriptor: int | None = None
    in_request = False

    def __init__(self, *, streams: bool) -> None:
        self._streams = streams
        self.answers: list[Answer] = []
        self.methods: list[bytes] = []
        self.ended = False

    def memory_for(self, head: Head) -> memoryview | None:
        return None

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        response = screened(head)
        if response is not None and has_body and (expects_continue or is_long(head)):
            raise Unreadable(response)
        return response is None

    def request_received(self, head: Head, body: Body) -> None:
        if self.ended:
            return
        refusal = screened(head)
        wanted = answer_to(head, body) if refusal is None else bytes(refusal.body)
        self.answers.append(Answer(200 if refusal is None else 404, b"" if head.method == b"HEAD" else wanted))
        self.methods.append(head.method)
        # In HTTP/1.0, the end of a body whose length is not known is the end of the connection.
        self.ended = not head.keep_alive or (self._streams and refusal is None and head.version == "1.0")

    def body_grew(self, size: int) -> None: ...

    def body_ended(self) -> None: ...

    def read(self, stream: bytes) -> None:
        reader = RequestReader(self, UNBOUNDED, Forgetful())
        try:
            reader.feed(stream)
        except Unreadable as unreadable:
            if not self.ended:
                self.methods += [reader.head.method] if reader.head is not None else []
                self.answers.append(Answer(plain_status(unreadable.response.status), None))
            self.ended = True


@dataclass
class Visit:
    """One connection, from its begin to its end."""

    script: Script
    chance: random.Random

    def __post_init__(self) -> None:
        self.loop = Loop()
        self.listener = Listener(cast(asyncio.AbstractEventLoop, self.loop), most_connections=8)
        if self.chance.randrange(2):  # what no known head begins has to wait for its turn
            self.listener.turns = Turns(call_soon=self.loop.call_soon, turn_s=0.0)
        self.connection = Connection(self.script, self.listener)
        self.wire = Wire(Client(self.connection, self.chance))
        self._forget = forgets_at_times(self.script.known_heads, self.chance)

    def run(self, stream: bytes) -> Wire:
        """Send the stream; returns what was written once everything is answered."""
        self.connection.connection_made(self.wire)
        for piece in cut(stream, self.chance):
            while not (self.wire.reading or self.wire.ended):
                assert self._go_on(), "it reads no more, and nothing is left to be done"
            self.connection.data_received(piece)
            self._forget()
            for _ in range(self.chance.randrange(3)):
                self._go_on()
        while self._go_on():
            pass
        self._leave()
        return self.wire

    def _go_on(self) -> bool:
        """Have something happen. Whether there was anything."""
        return self.wire.client.read_on() or self.loop.run_one() or self.script.answer_one()

    def _leave(self) -> None:
        assert self.wire.ended or self.connection.deadline < FOREVER, "it waits for the client for ever"
        self.connection.connection_lost(None)
        self.listener.close()
        assert len(self.listener) == 0


def check_one(data: bytes) -> None:
    chance = random.Random(data[:1])
    known = KnownHeads()
    streams = [expand(stream) for stream in data[1:].split(SEPARATOR)]
    for stream in [*streams, *streams]:
        script = Script(known, chance)
        model = Model(streams=script.streams)
        model.read(stream)
        wire = Visit(script, chance).run(stream)
        answers = read_answers(bytes(wire.written), model.methods)
        found = [Answer(plain_status(answer.status), answer.body) for answer in answers]
        assert found == model.answers, f"{found} are not {model.answers}"
        assert wire.ended == model.ended, f"it {'ended' if wire.ended else 'goes on'}"
