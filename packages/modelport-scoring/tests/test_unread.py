"""Answers that clients do not read: they take no more memory than there is for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

from modelport_scoring.http.delivery import Delivery
from modelport_scoring.http.unread import UnreadAnswers

MIB = 1024 * 1024


class Served(asyncio.Protocol):
    """The server's end of a connection."""

    delivery: Delivery | None = None
    is_reset = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.delivery = Delivery(self.transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.delivery = None

    def reset(self) -> None:
        self.is_reset = True
        self.transport.abort()


@asynccontextmanager
async def connections(count: int) -> AsyncIterator[list[tuple[Served, asyncio.StreamReader]]]:
    """The two ends of so many."""
    made: list[Served] = []

    def serve() -> Served:
        made.append(Served())
        return made[-1]

    async with await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0) as server:
        ends = []
        for _ in range(count):
            ends.append(await asyncio.open_connection(*server.sockets[0].getsockname(), limit=64 * 1024))
            while len(made) < len(ends) or made[-1].delivery is None:
                await asyncio.sleep(0.001)
        yield list(zip(made, (reader for reader, _ in ends), strict=True))
        for _, writer in ends:
            writer.close()
        for served in made:
            served.transport.abort()


def watch(unread: UnreadAnswers, served: list[Served], until: Callable[[], bool]) -> Awaitable[None]:
    async def watch() -> None:
        deadline = time.monotonic() + 20
        while not until():
            assert time.monotonic() < deadline
            unread.look(served)
            await asyncio.sleep(0.05)

    return watch()


def test_who_reads_nothing_goes_and_who_reads_stays() -> None:
    async def run() -> None:
        async with connections(4) as [(most, _), (less, _), (small, _), (reads, reader)]:
            unread = UnreadAnswers(most_bytes=12 * MIB, now=time.monotonic)
            most.transport.write(bytes(24 * MIB))
            less.transport.write(bytes(16 * MIB))
            small.transport.write(bytes(8 * MIB))
            reads.transport.write(bytes(30 * MIB))

            async def read() -> int:
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

    asyncio.run(run())


def test_where_there_is_room_nobody_is_hurried() -> None:
    async def run() -> None:
        async with connections(2) as [(one, _), (other, _)]:
            clock = iter(range(0, 1000, 10))
            unread = UnreadAnswers(most_bytes=64 * MIB, now=lambda: float(next(clock)))
            for each in (one, other):
                each.transport.write(bytes(16 * MIB))
            for _ in range(20):
                unread.look([one, other])
            assert not one.is_reset
            assert not other.is_reset

    asyncio.run(run())
