"""Answers that clients do not read: they take no more memory than there is for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest
import uvloop

from modelport_scoring.http.delivery import Delivery
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.outgoing import Outgoing
from modelport_scoring.http.paced import PacedTransport
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.http.unread import DUE_S, PACE_S, UnreadAnswers
from tls_services import contexts

MIB = 1024 * 1024
GET = Head(method=b"GET", target=b"/", version="1.1", headers={})
both_ways = pytest.mark.parametrize("way", ["plain", "tls"])


class Served(asyncio.Protocol):
    """The server's end of a connection."""

    delivery: Delivery | None = None
    ahead_bytes = 0
    is_reset = False

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)
        self.transport = made if made.get_extra_info("sslcontext") is None else PacedTransport(made, self)
        self.delivery = Delivery(self.transport)
        self._outgoing = Outgoing(self.transport, self._listener)

    def answer(self, size: int) -> None:
        self._outgoing.send(GET, Response(200, body=bytes(size)), last=False, more_follow=False)

    def connection_lost(self, error: Exception | None) -> None:
        self.delivery = None

    def reset(self) -> None:
        self.is_reset = True
        self.transport.abort()


@asynccontextmanager
async def connections(count: int, way: str) -> AsyncIterator[list[tuple[Served, asyncio.StreamReader]]]:
    """The two ends of so many."""
    made: list[Served] = []
    loop = asyncio.get_running_loop()
    listener = Listener(loop, most_connections=count)
    ours, theirs = contexts() if way == "tls" else (None, None)
    name = None if theirs is None else "localhost"

    def serve() -> Served:
        made.append(Served(listener))
        return made[-1]

    async with await loop.create_server(serve, "127.0.0.1", 0, ssl=ours) as server:
        host, port = server.sockets[0].getsockname()
        ends = []
        for _ in range(count):
            ends.append(await asyncio.open_connection(host, port, limit=64 * 1024, ssl=theirs, server_hostname=name))
            while len(made) < len(ends) or made[-1].delivery is None:
                await asyncio.sleep(0.001)
        yield list(zip(made, (reader for reader, _ in ends), strict=True))
        for _, writer in ends:
            writer.close()
        for served in made:
            served.transport.abort()
        listener.close()


def watch(unread: UnreadAnswers, served: list[Served], until: Callable[[], bool]) -> Awaitable[None]:
    async def watch() -> None:
        deadline = time.monotonic() + 20
        while not until():
            assert time.monotonic() < deadline
            unread.look(served)
            await asyncio.sleep(0.05)

    return watch()


@both_ways
def test_who_reads_nothing_goes_and_who_reads_stays(way: str) -> None:
    async def run() -> None:
        async with connections(4, way) as [(most, _), (less, _), (small, _), (reads, reader)]:
            unread = UnreadAnswers(most_bytes=24 * MIB, now=time.monotonic)
            most.answer(40 * MIB)
            less.answer(32 * MIB)
            small.answer(16 * MIB)
            reads.answer(30 * MIB)

            async def read() -> int:
                await reader.readuntil(b"\r\n\r\n")
                got = 0
                while got < 30 * MIB:
                    got += len(await reader.read(MIB // 4))
                    await asyncio.sleep(0.01)
                return got

            reading = asyncio.create_task(read())
            served = [most, less, small, reads]
            await watch(unread, served, lambda: most.is_reset and less.is_reset)
            assert await reading == 30 * MIB
            assert not small.is_reset, "there is room for it once the others have gone"
            assert not reads.is_reset

    uvloop.run(run())


@both_ways
def test_where_there_is_room_nobody_is_hurried(way: str) -> None:
    async def run() -> None:
        async with connections(2, way) as [(one, _), (other, _)]:
            clock = iter(range(0, 1000, 10))
            unread = UnreadAnswers(most_bytes=80 * MIB, now=lambda: float(next(clock)))
            for each in (one, other):
                each.answer(16 * MIB)
            for _ in range(20):
                unread.look([one, other])
            assert not one.is_reset
            assert not other.is_reset

    uvloop.run(run())


def test_answers_that_wait_for_a_slow_one_before_them_count_as_well() -> None:
    async def run() -> None:
        async with connections(3, "plain") as [(most, _), (less, _), (reads, reader)]:
            clock = iter(range(0, 1000, 3))
            unread = UnreadAnswers(most_bytes=40 * MIB, now=lambda: float(next(clock)))
            most.ahead_bytes, less.ahead_bytes, reads.ahead_bytes = 30 * MIB, 20 * MIB, MIB
            unread.look([most, less, reads])
            assert not most.is_reset, "it is watched how fast the client gets them"
            reads.answer(4 * MIB)
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(4 * MIB)
            unread.look([most, less, reads])
            assert [each.is_reset for each in (most, less, reads)] == [True, False, False]

    uvloop.run(run())


# --- the pace, by a clock of the test's own ---------------------------------------------------------------------------


class Pending:
    """How far an answer of 10 MiB has come."""

    held_bytes = unread_bytes = 10 * MIB
    progress = 0


class Slow:
    """A connection with such an answer."""

    ahead_bytes = 0
    is_reset = False

    def __init__(self) -> None:
        self.pending = Pending()

    @property
    def delivery(self) -> Delivery:
        return cast(Delivery, self.pending)

    def reset(self) -> None:
        self.is_reset = True


class Looking:
    """One that looks every two seconds, for whom 15 MiB are too much."""

    def __init__(self) -> None:
        self.now = 0.0
        self._unread = UnreadAnswers(most_bytes=15 * MIB, now=lambda: self.now)

    def look(self, *connections: Slow, read: int = 0) -> list[bool]:
        """Each client has read so much since the last time; returns which are ended."""
        self.now += PACE_S
        for each in connections:
            each.pending.progress += read
        self._unread.look(connections)
        return [each.is_reset for each in connections]


IN_TIME = int(10 * MIB * PACE_S / DUE_S) + 1
"""So much has to be read between two looks."""


def test_a_client_that_reads_too_slowly_goes_and_the_log_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    looking = Looking()
    one, other = Slow(), Slow()
    assert looking.look(one, other) == [False, False], "the pace is not known yet"
    assert looking.look(one, other, read=IN_TIME) == [False, False]
    assert capfd.readouterr().err == ""
    assert looking.look(one, other, read=IN_TIME - 2) == [True, False], "the rest has room"
    assert "1 connections are ended: their clients do not read" in capfd.readouterr().err


def test_what_was_read_long_ago_is_no_pace() -> None:
    looking = Looking()
    one, other = Slow(), Slow()
    looking.look(one, other)
    assert looking.look(one, other, read=100 * MIB) == [False, False]
    assert looking.look(one, other) == [True, False]


def test_time_in_which_there_was_room_is_not_counted() -> None:
    looking = Looking()
    one, other = Slow(), Slow()
    looking.look(one, other)
    for _ in range(30):
        looking.look(one)
    assert looking.look(one, other) == [False, False]
    assert looking.look(one, other, read=IN_TIME) == [False, False]


def test_who_has_read_all_begins_anew_with_the_next_answer() -> None:
    """While others keep the memory short."""
    looking = Looking()
    full, more, comes_back = Slow(), Slow(), Slow()
    looking.look(full, more, comes_back)
    for _ in range(30):
        looking.look(full, more, read=IN_TIME)
    full.pending.progress += IN_TIME
    more.pending.progress += IN_TIME
    assert looking.look(full, more, comes_back) == [False, False, False]
