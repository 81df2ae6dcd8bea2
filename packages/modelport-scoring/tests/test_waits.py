"""What a connection waits for, and for how long: at one end of a real socket, with an application that does nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest
import uvloop

from modelport_scoring.http.connection import Connection
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.request import FOREVER
from modelport_scoring.http.response import Response
from modelport_scoring.http.turns import Turns
from modelport_scoring.settings.service import Limits
from small_application import SmallApplication

PATIENCE_S = 20
SOON_S = 20.0
"""Less than the time that is left to be told from, and more than a test takes."""

FIRST = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"
ASKING = b"POST /score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"


class Holding(SmallApplication):
    """An application that keeps each request until the test answers it."""

    def __init__(self) -> None:
        super().__init__(limits=Limits(request_timeout_s=60, idle_timeout_s=60), most_pipelined=8)
        self.held: list[Exchange] = []

    def handle(self, exchange: Exchange) -> None:
        self.held.append(exchange)


class Ends(NamedTuple):
    """Both of one connection, and what is behind it."""

    connection: Connection
    application: Holding
    listener: Listener
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


@asynccontextmanager
async def connected(*, turns: Turns | None = None) -> AsyncIterator[Ends]:
    loop = asyncio.get_running_loop()
    listener, application, made = Listener(loop, most_connections=1), Holding(), list[Connection]()
    if turns is not None:
        listener.turns = turns

    def serve() -> Connection:
        made.append(Connection(application, listener))
        return made[-1]

    async with await loop.create_server(serve, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await until(lambda: len(listener) == 1)
        try:
            yield Ends(made[0], application, listener, reader, writer)
        finally:
            writer.close()
            made[0].reset()
            listener.close()


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.001)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def in_time() -> None:
        async with asyncio.timeout(PATIENCE_S):
            await test()

    uvloop.run(in_time())


def test_who_is_held_back_has_afterwards_the_time_that_was_left() -> None:
    """And while nothing is read, nothing is late. With its whole time again, a body could take for ever."""

    async def test() -> None:
        async with connected() as (connection, _, _, _, writer):
            writer.write(FIRST[:-1])
            await until(lambda: connection.in_request)
            connection.deadline -= 45  # so long ago did it begin
            before = connection.deadline
            connection.hold_back(True)
            assert connection.deadline == FOREVER
            connection.hold_back(False)
            assert before <= connection.deadline < before + SOON_S

    run(test)


def test_who_waits_for_our_word_is_not_late_and_has_its_whole_time_from_then_on() -> None:
    """The word comes behind an answer that is owed."""

    async def test() -> None:
        async with connected() as (connection, application, listener, reader, writer):
            writer.write(FIRST + ASKING)
            await until(lambda: bool(application.held) and connection.in_request)
            connection.overdue()
            assert connection.deadline > listener.now() + SOON_S
            connection.deadline = listener.now()
            application.held[0].answer(Response(200, body=b"one"))
            assert connection.deadline > listener.now() + SOON_S
            assert (await reader.readuntil(b"one")).startswith(b"HTTP/1.1 200 OK\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    run(test)


@pytest.mark.parametrize("has_begun", [False, True], ids=["idle", "in a body"])
def test_what_came_while_the_process_was_held_up_is_not_late(has_begun: bool) -> None:
    """As where it, or its machine, is suspended: its timers are due before it has read."""

    async def test() -> None:
        async with connected() as (connection, application, listener, reader, writer):
            come = len(FIRST) - 1 if has_begun else 0
            writer.write(FIRST[:come])
            await until(lambda: connection.in_request is has_begun)
            os.write(writer.get_extra_info("socket").fileno(), FIRST[come:])
            connection.deadline = listener.now()
            listener.sweep()
            await until(lambda: bool(application.held) or reader.at_eof())
            assert application.held

    run(test)


def test_who_is_late_is_judged_though_nothing_comes() -> None:
    async def test() -> None:
        async with connected() as (connection, _, listener, reader, _):
            connection.deadline = listener.now()
            assert await reader.read() == b""

    run(test)


def test_another_request_is_no_reason_to_wait_longer_for_who_does_not_read() -> None:
    async def test() -> None:
        async with connected() as (connection, application, listener, _, _):
            connection.pause_writing()
            deadline = connection.deadline
            assert deadline < listener.now() + 60 + SOON_S
            connection.data_received(FIRST)  # it was on its way
            assert len(application.held) == 1
            assert connection.deadline == deadline

    run(test)


def test_while_something_waits_for_its_turn_no_more_is_read() -> None:
    async def test() -> None:
        later: list[Callable[[], None]] = []
        never = Turns(call_soon=later.append, turn_s=0.0)  # there is time for nothing, before it is told to be
        async with connected(turns=never) as (connection, application, _, _, writer):
            transport = connection._transport
            assert transport is not None
            writer.write(FIRST)
            await until(lambda: bool(later))
            assert not transport.is_reading()
            later.pop()()
            assert len(application.held) == 1
            assert transport.is_reading()

    run(test)
