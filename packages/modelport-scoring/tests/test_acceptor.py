"""Accepting connections where others listen on the same socket, and TLS's handshake with them."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, cast

import pytest
import uvloop

from jumping_loop import JumpingLoop, run
from modelport_scoring.http.acceptor import LEAVE_TO_OTHERS_S, NO_ROOM_S, Acceptor, Reception
from scoring_services import PATIENCE_S
from tls_services import contexts


class Listening:
    """A listening socket whose next answers the test decides on."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self.address = self._socket.getsockname()
        self.errors: list[int] = []
        """What the system says instead of accepting."""
        self.asked = 0

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> tuple[socket.socket, Any]:
        self.asked += 1
        if self.errors:
            number = self.errors.pop(0)
            raise OSError(number, "as the test says")
        return self._socket.accept()

    def shutdown(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._socket.close()


class Accepting:
    """An acceptor, and when it got which connections."""

    def __init__(
        self, loop: JumpingLoop, listening: Listening, *, gives_way: Callable[[], bool] = lambda: False
    ) -> None:
        self.at: list[float] = []
        self._loop = loop
        self._began = loop.time()
        self._clients = ExitStack()
        self._listening = listening
        self.acceptor = Acceptor(cast(Any, listening), accepted=self._accepted, gives_way=gives_way, loop=loop)
        self.acceptor.start()

    def _accepted(self, connection: socket.socket) -> None:
        assert not connection.getblocking()
        self.at.append(self._loop.time() - self._began)
        connection.close()

    def connect(self) -> None:
        self._clients.enter_context(socket.create_connection(self._listening.address))

    def close(self) -> None:
        self._clients.close()
        self.acceptor.close()


@contextmanager
def accepting(loop: JumpingLoop, **more: Any) -> Iterator[tuple[Accepting, Listening]]:
    listening = Listening()
    made = Accepting(loop, listening, **more)
    try:
        yield made, listening
    finally:
        made.close()
        listening.close()


# --- accepting --------------------------------------------------------------------------------------------------------


def test_who_gives_way_takes_what_nobody_else_has_taken() -> None:
    async def test(loop: JumpingLoop) -> None:
        with accepting(loop, gives_way=lambda: True) as (made, listening):
            made.connect()
            made.connect()
            await asyncio.sleep(1)
            assert [round(at / LEAVE_TO_OTHERS_S, 3) for at in made.at] == [1, 2]
            made.connect()
            await asyncio.sleep(0)
            listening.accept()[0].close()  # as another process does
            await asyncio.sleep(1)
            assert len(made.at) == 2
            made.connect()
            await asyncio.sleep(1)
            assert len(made.at) == 3

    run(test)


def test_who_does_not_give_way_takes_it_at_once() -> None:
    async def test(loop: JumpingLoop) -> None:
        with accepting(loop) as (made, _):
            made.connect()
            await asyncio.sleep(0.01)
            assert made.at == [0.0]

    run(test)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENOBUFS])
def test_without_room_it_is_tried_again_now_and_then(number: int) -> None:
    async def test(loop: JumpingLoop) -> None:
        with accepting(loop) as (made, listening):
            listening.errors += [number] * 3
            made.connect()
            await asyncio.sleep(1)
            assert [round(at / NO_ROOM_S, 3) for at in made.at] == [3]
            assert listening.asked == 4

    run(test)


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EAGAIN, errno.EINTR])
def test_a_client_that_has_gone_again_is_not_waited_for(number: int) -> None:
    async def test(loop: JumpingLoop) -> None:
        with accepting(loop) as (made, listening):
            listening.errors.append(number)
            made.connect()
            await asyncio.sleep(1)
            assert made.at == [0.0]

    run(test)


def test_a_socket_that_listens_no_more_is_left_alone() -> None:
    async def test(loop: JumpingLoop) -> None:
        with accepting(loop) as (made, listening):
            listening.shutdown()
            await asyncio.sleep(1)
            assert (listening.asked, made.at) == (1, [])

    run(test)


def test_once_closed_nothing_is_taken_any_more() -> None:
    """Also not what was left to others for a moment."""

    async def test(loop: JumpingLoop) -> None:
        with accepting(loop, gives_way=lambda: True) as (made, _):
            made.connect()
            await asyncio.sleep(LEAVE_TO_OTHERS_S / 2)
            made.acceptor.close()
            await asyncio.sleep(1)
            assert made.at == []

    run(test)


# --- handshakes -------------------------------------------------------------------------------------------------------


class Served(asyncio.Protocol):
    transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)


class Receiving:
    """A reception, the numbers that it told, and the connections that it made."""

    def __init__(self, *, room: int = 100, tls: ssl.SSLContext | None = None) -> None:
        self.told: list[int] = []
        self.made: list[Served] = []
        options: dict[str, Any] = {} if tls is None else {"ssl": tls}
        self.reception = Reception(
            self._protocol,
            tls=lambda: options,
            room=lambda: room,
            counted=self.told.append,
            loop=asyncio.get_running_loop(),
        )
        self.clients: list[socket.socket] = []

    def _protocol(self) -> asyncio.Protocol:
        self.made.append(Served())
        return self.made[-1]

    def comes(self) -> socket.socket:
        """A client; returns our end."""
        ours, theirs = connected()
        ours.setblocking(False)
        theirs.setblocking(False)
        self.clients.append(theirs)
        self.reception.receive(ours)
        return ours

    async def ended(self, number: int) -> None:
        while self.reception.ended < number:
            await asyncio.sleep(0.001)

    def served(self) -> list[Served]:
        """Those that have become connections."""
        return [each for each in self.made if each.transport is not None]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for each in self.served():
            assert each.transport is not None
            each.transport.abort()


def connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        return listening.accept()[0], theirs


def receive(test: Callable[[Receiving], Any], **more: Any) -> None:
    async def in_time() -> None:
        receiving = Receiving(**more)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await test(receiving)
        finally:
            receiving.close()
            async with asyncio.timeout(PATIENCE_S):
                await receiving.ended(len(receiving.clients))

    uvloop.run(in_time())


def test_of_those_that_shake_hands_for_too_long_the_first_one_goes() -> None:
    ours, theirs = contexts()

    async def test(receiving: Receiving) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            receiving.comes()
            await asyncio.sleep(0.01)
        await receiving.ended(1)
        assert receiving.told == [1, 2, 2, 2]
        first, *others = receiving.clients
        assert await loop.sock_recv(first, 1) == b""
        for client in others:
            with pytest.raises(BlockingIOError):
                client.recv(1)
        _, writer = await asyncio.open_connection(sock=others[1], ssl=theirs, server_hostname="localhost")
        await receiving.ended(2)
        assert (len(receiving.served()), receiving.told[-1]) == (1, 1)
        writer.close()

    receive(test, room=2, tls=ours)


def test_without_tls_nobody_goes() -> None:
    async def test(receiving: Receiving) -> None:
        for _ in range(5):
            assert receiving.comes().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        await receiving.reception.shaken_hands(patience_s=PATIENCE_S)
        assert (len(receiving.served()), receiving.reception.ended) == (5, 5)
        assert receiving.told == [1, 2, 3, 4, 5, 4, 3, 2, 1, 0]

    receive(test, room=0)


def test_who_shakes_hands_is_waited_for_and_not_for_ever() -> None:
    ours, theirs = contexts()

    async def test(receiving: Receiving) -> None:
        receiving.comes()
        await receiving.reception.shaken_hands(patience_s=0.01)
        assert receiving.reception.ended == 0
        waiting = asyncio.create_task(receiving.reception.shaken_hands(patience_s=PATIENCE_S))
        _, writer = await asyncio.open_connection(sock=receiving.clients[0], ssl=theirs, server_hostname="localhost")
        await waiting
        assert receiving.reception.ended == 1
        writer.close()

    receive(test, tls=ours)
