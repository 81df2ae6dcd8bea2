"""What goes out by TLS in pieces: all of it arrives, in order, and takes little more memory than it has bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar, cast

import psutil
import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport_scoring.http.delivery import Delivery
from modelport_scoring.http.paced import BELOW_BYTES, MOST_AT_ONCE_BYTES, PIECE_BYTES, PacedTransport
from scoring_services import PATIENCE_S, RunningService, Services
from test_http import post
from tls_services import contexts, secured, with_certificate

T = TypeVar("T")
MIB = 1 << 20
LARGE = 'def init(): pass\ndef run(data): return "y" * int(data)\n'


OURS, THEIRS = contexts()


class Served(asyncio.Protocol):
    """The server's end of a connection."""

    def __init__(self) -> None:
        self.made = asyncio.Event()
        self.lost = asyncio.Event()
        self.received = b""
        self.told: list[str] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = PacedTransport(cast(asyncio.Transport, transport), self)
        self.transport.set_write_buffer_limits(high=4 * PIECE_BYTES)
        self.made.set()

    def data_received(self, data: bytes) -> None:
        self.received += data

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def eof_received(self) -> None:
        self.told.append("end")

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set()


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[Served, asyncio.StreamReader, asyncio.StreamWriter]]:
    """The two ends of a connection whose systems hold little."""
    served = Served()
    loop = asyncio.get_running_loop()
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
    async with asyncio.timeout(PATIENCE_S), await loop.create_server(lambda: served, sock=listening, ssl=OURS):
        channel = socket.socket()
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        channel.setblocking(False)
        await loop.sock_connect(channel, listening.getsockname())
        reader, writer = await asyncio.open_connection(
            sock=channel, limit=PIECE_BYTES, ssl=THEIRS, server_hostname="localhost"
        )
        await served.made.wait()
        try:
            yield served, reader, writer
        finally:
            served.transport.abort()
            writer.transport.abort()
            await served.lost.wait()


sizes = st.one_of(st.integers(0, 300), st.integers(PIECE_BYTES - 2, PIECE_BYTES + 2), st.integers(0, 3 * MIB))
writes = st.tuples(st.lists(sizes, min_size=1, max_size=4), st.integers(0, 2 * MIB))


@settings(max_examples=40, deadline=None)
@given(st.lists(writes, max_size=6), st.booleans())
def test_all_arrives_in_order_and_then_the_end(rounds: list[tuple[list[int], int]], alone: bool) -> None:
    """Whatever is written at once, and whatever the client reads between."""

    async def run() -> None:
        async with connected() as (served, reader, _):
            written, received = bytearray(), bytearray()
            for number, (sizes, reads) in enumerate(rounds):
                parts = [bytes([number % 251 + 1]) * size for size in sizes]
                if alone:
                    for part in parts:
                        served.transport.write(part)
                else:
                    served.transport.writelines(parts)
                written += b"".join(parts)
                while len(received) < min(reads, len(written)):
                    received += await reader.read(PIECE_BYTES)
            served.transport.close()
            assert served.transport.is_closing()
            served.transport.write(b"too late")
            while data := await reader.read(PIECE_BYTES):
                received += data
            assert received == written
            assert served.told == (["pause", "resume"] * len(served.told))[: len(served.told)]

    uvloop.run(run())


def test_what_waits_is_counted_and_the_connection_is_told_where_that_is_much() -> None:
    async def run() -> None:
        async with connected() as (served, reader, _):
            transport = served.transport
            transport.write(bytes(20 * MIB))
            assert served.told == ["pause"]
            assert 19 * MIB < transport.get_write_buffer_size() < transport.held_bytes < 20 * MIB + 2 * BELOW_BYTES
            assert Delivery(transport).held_bytes == transport.held_bytes, "as it is bounded for all connections"
            await reader.readexactly(10 * MIB)
            assert 8 * MIB < transport.held_bytes < 11 * MIB
            await reader.readexactly(10 * MIB)
            assert served.told == ["pause", "resume"]
            assert not transport.held_bytes

    uvloop.run(run())


class Below(asyncio.Transport):
    """What stands for TLS: what it was given at once, and how often it was ended."""

    def __init__(self) -> None:
        super().__init__()
        self.given: list[bytes] = []
        self.ends = 0

    @property
    def taken(self) -> int:
        """Bytes of it."""
        return sum(map(len, self.given))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.given.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None: ...

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None: ...

    def close(self) -> None:
        self.ends += 1


def test_a_client_that_reads_fast_does_not_have_all_of_a_turn() -> None:
    """The system takes all that it is given here: so does a client who keeps up."""

    async def run() -> None:
        below = Below()
        paced = PacedTransport(below, asyncio.Protocol())
        paced.write(bytes(10 * MIB - 3))
        paced.write(b"end")
        turns = [below.taken]
        while below.taken < 10 * MIB:
            await asyncio.sleep(0)
            turns.append(below.taken)
        assert max(after - before for before, after in zip([0, *turns], turns, strict=False)) == MOST_AT_ONCE_BYTES
        assert below.given[-1][-3:] == b"end", "what is written meanwhile waits behind the rest"

    uvloop.run(run())


def test_small_parts_that_wait_are_one_record_and_the_end_comes_once() -> None:
    async def run() -> None:
        below = Below()
        paced = PacedTransport(below, asyncio.Protocol())
        paced.pause_writing()
        for _ in range(5):
            paced.write(b"part")
        paced.close()
        paced.close()
        assert (below.given, below.ends) == ([], 0)
        paced.resume_writing()
        assert (below.given, below.ends) == ([b"part" * 5], 1)
        paced.close()
        assert below.ends == 1

    uvloop.run(run())


def test_what_waits_for_a_client_that_is_lost_is_kept_by_nobody() -> None:
    async def run() -> None:
        paced = PacedTransport(Below(), asyncio.Protocol())
        paced.pause_writing()
        paced.write(bytes(MIB))
        assert paced.get_write_buffer_size() == MIB
        paced.connection_lost(None)
        assert paced.get_write_buffer_size() == 0

    uvloop.run(run())


def test_what_is_closed_reads_on_while_it_still_writes() -> None:
    """Else nobody would notice that the client goes, as long as it is not written to."""

    async def run() -> None:
        async with connected() as (served, _, _):
            served.transport.pause_reading()
            served.transport.write(bytes(5 * MIB))
            assert not served.transport.is_reading()
            served.transport.close()
            assert served.transport.is_closing()
            assert served.transport.is_reading()

    uvloop.run(run())


def test_after_an_abort_nothing_is_kept() -> None:
    async def run() -> None:
        async with connected() as (served, _, _):
            served.transport.write(bytes(5 * MIB))
            assert served.transport.held_bytes > 4 * MIB
            served.transport.abort()
            assert served.transport.get_write_buffer_size() < PIECE_BYTES
            served.transport.write(bytes(5 * MIB))
            assert served.transport.get_write_buffer_size() < PIECE_BYTES
            await served.lost.wait()

    uvloop.run(run())


class ByHand:
    """A client that can end its side of TLS and read on, which those of sockets and of asyncio cannot."""

    def __init__(self, service: RunningService, context: ssl.SSLContext) -> None:
        self._channel = service.raw_connection()
        self._come, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._come, self._goes, server_hostname="localhost")
        self._with_patience(self._tls.do_handshake)

    def send(self, data: bytes) -> None:
        self._with_patience(lambda: self._tls.write(data))

    def end(self) -> bytearray:
        """Returns what had come before: OpenSSL would not read it on its way to the other side's end."""
        received = bytearray()
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := self._tls.read(MIB):
                received += data
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._channel.sendall(self._goes.read())
        return received

    def read(self) -> bytes:
        """Nothing at the end."""
        with contextlib.suppress(ssl.SSLZeroReturnError):
            return self._with_patience(lambda: self._tls.read(MIB))
        return b""

    def close(self) -> None:
        self._channel.close()

    def _with_patience(self, do: Callable[[], T]) -> T:
        while True:
            try:
                done = do()
            except ssl.SSLWantReadError:
                self._channel.sendall(self._goes.read())
                self._come.write(self._channel.recv(MIB))
            else:
                self._channel.sendall(self._goes.read())
                return done


def test_a_client_that_ends_its_side_still_gets_what_was_written(services: Services) -> None:
    """Of its last answer, while it is waited for what a client still sends: after that end, TLS takes nothing more."""
    service, context = with_certificate(services, LARGE)
    client = ByHand(service, context)
    client.send(post(str(20 * MIB).encode(), headers=b"Connection: close\r\n"))
    received = bytearray(client.read())  # so it has been answered
    received += client.end()
    while data := client.read():
        received += data
    client.close()
    assert received.endswith(b'y"')
    assert len(received) > 20 * MIB


def test_answers_that_were_read_leave_no_memory(services: Services) -> None:
    """Of a service, while its clients stay: what TLS encrypts goes through a buffer that never shrinks."""
    service, context = with_certificate(services, LARGE)
    server = psutil.Process(service.status.pid)
    before, size = server.memory_info().rss, 20 * MIB
    with contextlib.ExitStack() as clients:
        for _ in range(8):
            channel = clients.enter_context(secured(service, context))
            channel.sendall(post(str(size).encode()))
            received = 0
            while received < size:
                received += len(channel.recv(MIB))
        assert server.memory_info().rss - before < 4 * size
