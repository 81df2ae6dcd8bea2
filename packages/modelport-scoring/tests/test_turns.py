"""Heads that are not known take the event loop from nobody for long, however many come at once."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import uvloop

from modelport_scoring.http.connection import Connection
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.http.turns import MOST_WAITING_BYTES, SHORT_BYTES, TURN_S, Turns
from modelport_scoring.settings.service import Limits
from scoring_services import PATIENCE_S
from small_application import SmallApplication
from test_reader import Recorder, with_chunks

LONG = SHORT_BYTES + 1


# --- who comes when ---------------------------------------------------------------------------------------------------


@dataclass
class Loop:
    """Time passes only where somebody parses."""

    now: float = 100.0
    soon: deque[Callable[[], None]] = field(default_factory=deque)
    done: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.turns = Turns(call_soon=self.soon.append, clock=lambda: self.now)

    def parse(self, name: str, seconds: float) -> None:
        began = self.now
        self.now += seconds
        self.turns.spent(began)
        self.done.append(name)

    def comes(self, name: str, *, size: int = 100, seconds: float = 0.4 * TURN_S) -> None:
        if self.turns.has_time:
            self.parse(name, seconds)
        else:
            self.turns.take_later(lambda: self.parse(name, seconds), size)

    def next_turn(self) -> list[str]:
        """What is parsed in it."""
        self.done.clear()
        if self.soon:
            self.soon.popleft()()
        assert len(self.soon) <= 1
        return self.done.copy()


def test_what_takes_little_is_parsed_at_once() -> None:
    loop = Loop()
    for _ in range(2):
        loop.comes("one")
        loop.comes("two")
        assert loop.done == ["one", "two"]
        loop.comes("three")
        loop.comes("four")
        assert loop.done == ["one", "two", "three"]
        assert loop.next_turn() == ["four"]
        loop.done.clear()


def test_in_a_turn_there_is_so_much_and_short_ones_come_first() -> None:
    loop = Loop()
    for number in range(6):
        loop.comes(f"long {number}", size=LONG)
    for number in range(4):
        loop.comes(f"short {number}")
    assert loop.done == ["long 0", "long 1", "long 2"]
    assert loop.next_turn() == ["long 3", "short 0", "short 1"], "one long one in each turn"
    loop.comes("later")
    assert loop.next_turn() == ["long 4", "short 2", "short 3"]
    assert loop.next_turn() == ["long 5", "later"]
    assert not loop.soon


def test_long_ones_have_the_turn_where_no_short_one_waits_and_are_not_overtaken() -> None:
    loop = Loop()
    for number in range(7):
        loop.comes(f"long {number}", size=LONG)
    assert loop.next_turn() == ["long 3", "long 4", "long 5"]
    loop.comes("later")
    assert loop.next_turn() == ["long 6", "later"]
    assert not loop.soon


def test_short_ones_are_taken_in_their_order() -> None:
    loop = Loop()
    for number in range(8):
        loop.comes(f"short {number}")
    assert loop.next_turn() == ["short 3", "short 4", "short 5"]
    loop.comes("later")
    assert loop.next_turn() == ["short 6", "short 7", "later"]
    assert not loop.soon


def test_who_comes_while_others_wait_does_not_overtake_them() -> None:
    loop = Loop()
    for name in ("a", "b", "c", "d", "e"):
        loop.comes(name)
    assert loop.next_turn() == ["d", "e"]
    loop.comes("f")
    assert loop.done == ["d", "e", "f"], "nobody waits any more"


def test_a_long_line_is_no_memory_without_bound() -> None:
    loop = Loop()
    for _ in range(4):
        loop.comes("first")
    loop.turns.take_later(lambda: None, MOST_WAITING_BYTES)
    loop.comes("at once")
    assert loop.done[-1] == "at once"
    loop.next_turn()
    for _ in range(4):
        loop.comes("first")
    loop.comes("not at once")
    assert loop.done[-1] == "first", "what has been taken is no part of the line"


def test_the_rest_of_what_takes_long_is_one_more_turn() -> None:
    loop = Loop()
    for _ in range(3):
        loop.comes("first")

    def begin() -> None:
        loop.parse("begun", TURN_S)
        loop.turns.take_later(lambda: loop.parse("the rest", TURN_S), 100)

    loop.turns.take_later(begin, 100)
    assert loop.next_turn() == ["begun"]
    assert loop.next_turn() == ["the rest"]
    assert not loop.soon


def test_a_fault_in_one_does_not_keep_the_others_waiting() -> None:
    loop = Loop()
    for _ in range(3):
        loop.comes("first")

    def fault() -> None:
        raise LookupError("a fault")

    loop.turns.take_later(fault, 100)
    loop.comes("behind it")
    with pytest.raises(LookupError):
        loop.next_turn()
    assert loop.next_turn() == ["behind it"]


def test_one_read_is_parsed_in_several_turns_where_it_takes_long() -> None:
    """Of chunks with a byte each, it may bring forty thousand."""
    loop, recorder = Loop(), Recorder()
    reader = RequestReader(recorder, loop.turns, KnownHeads())

    def tick() -> float:
        loop.now += TURN_S / 4
        return loop.now

    loop.turns.clock = tick
    rest = with_chunks(b"/score", b"x" * 40_000)
    sizes = []
    while rest:
        rest = reader.feed_some(rest)
        sizes.append(len(rest))
        loop.turns.take_later(lambda: None, len(rest))
        loop.next_turn()
    assert len(sizes) > 4
    assert recorder.seen == [(b"POST", b"/score", b"", b"x" * 40_000)]


# --- connections ------------------------------------------------------------------------------------------------------


class Noting(SmallApplication):
    """An application that notes in which order requests come to it."""

    def __init__(self, *, limits: Limits | None = None) -> None:
        super().__init__(limits=limits)
        self.paths: list[bytes] = []

    def refused(self, head: Head, response: Response) -> None:
        self.paths.append(b"refused")

    def handle(self, exchange: Exchange) -> None:
        self.paths.append(exchange.head.path)
        exchange.answer(Response(200, body=b"done"))


KNOWN = b"POST /known HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n12"
LONG_HEAD = b"GET /long%d HTTP/1.1\r\nHost: x\r\n" + b"A: " + b"x" * 60_000 + b"\r\n\r\n"
MANY_LINES = b"GET /many HTTP/1.1\r\nHost: x\r\n" + b"a:b\r\n" * 10_000
PIPELINED = KNOWN + b"GET /first HTTP/1.1\r\nHost: x\r\n\r\nGET /second HTTP/1.1\r\nHost: x\r\n\r\n" + KNOWN


def test_known_heads_go_before_long_ones_that_have_come_before_them() -> None:
    async def talk() -> list[bytes]:
        loop = asyncio.get_running_loop()
        listener, application = Listener(loop, most_connections=100), Noting()
        listener.turns = Turns(call_soon=loop.call_soon, turn_s=0.0)  # so that no time decides
        server = await loop.create_server(lambda: Connection(application, listener), "127.0.0.1")
        address = server.sockets[0].getsockname()
        channels = [socket.create_connection(address, timeout=PATIENCE_S) for _ in range(6)]
        *long, other, known = channels
        known.sendall(KNOWN)
        while len(listener) < len(channels) or len(application.known_heads) < 1:
            await asyncio.sleep(0.001)
        for number, channel in enumerate(long):
            channel.sendall(LONG_HEAD % number if number != 2 else MANY_LINES)
        other.sendall(PIPELINED)
        known.sendall(KNOWN)  # before the loop has its next turn
        while len(application.paths) < 1 + 2 + len(long) + 3:
            await asyncio.sleep(0.001)
        server.close()
        for channel in channels:
            channel.close()
        listener.close()
        return application.paths

    paths = uvloop.run(asyncio.wait_for(talk(), PATIENCE_S))
    assert paths[:3] == [b"/known"] * 3
    assert [path for path in paths if path.startswith(b"/long")] == [b"/long0", b"/long1", b"/long3"]
    assert paths.count(b"refused") == 1
    assert [path for path in paths[3:] if path in (b"/first", b"/second", b"/known")] == [
        b"/first",
        b"/second",
        b"/known",
    ]


def test_who_sends_slowly_is_late_though_each_piece_has_its_turn_later() -> None:
    async def talk() -> bytes:
        loop = asyncio.get_running_loop()
        listener, application = Listener(loop, most_connections=1), Noting(limits=Limits(request_timeout_s=0.3))
        listener.turns = Turns(call_soon=loop.call_soon, turn_s=0.0)  # so that every piece has to wait
        server = await loop.create_server(lambda: Connection(application, listener), "127.0.0.1")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        answer = asyncio.create_task(reader.readline())
        while not answer.done():
            writer.write(b"a: b\r\n")
            await asyncio.wait([answer], timeout=0.05)
        writer.close()
        server.close()
        listener.close()
        return await answer

    assert uvloop.run(asyncio.wait_for(talk(), PATIENCE_S)) == b"HTTP/1.1 408 Request Timeout\r\n"
