"""The end of a listening socket, as far as it can be seen without a server; test_supervisor.py has the rest."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import select
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

import pytest

from few_descriptors import room_for
from modelport_scoring.http.listener import SOONEST_SWEEP_S
from modelport_scoring.sockets import leaving
from modelport_scoring.sockets.leaving import JUST_CONNECTED_S, SO_ATTACH_FILTER, shakes_hands
from scoring_services import wait_until

SO_DETACH_FILTER = 27
IPV6 = socket.AF_INET6

ONLY_SYN = b"".join(
    struct.pack("@HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),
        (0x54, 0, 0, 0x12),
        (0x15, 0, 1, 0x02),
        (0x06, 0, 0, 0xFFFFFFFF),
        (0x06, 0, 0, 0),
    )
)


def low_port() -> socket.socket:
    """Listens on one of those that have fewer digits in the system's table."""
    for port in range(1100, 4096):
        with contextlib.suppress(OSError):
            return socket.create_server(("127.0.0.1", port))
    raise AssertionError("all ports below 4096 are in use")


@pytest.mark.parametrize(
    "listen",
    [lambda: socket.create_server(("127.0.0.1", 0)), lambda: socket.create_server(("::1", 0), family=IPV6), low_port],
    ids=["IPv4", "IPv6", "low port"],
)
def test_a_client_that_believes_it_has_connected_is_seen(listen: Callable[[], socket.socket]) -> None:
    """The last packet of its handshake is on its way: a filter keeps it away here, as a long line would."""
    with listen() as listening, socket.socket(listening.family) as client:
        assert not shakes_hands(listening)
        program = ctypes.create_string_buffer(ONLY_SYN, len(ONLY_SYN))
        listening.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(ONLY_SYN) // 8, ctypes.addressof(program))
        )
        client.connect(listening.getsockname())
        assert shakes_hands(listening)
        listening.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        client.sendall(b"x")
        wait_until(lambda: not shakes_hands(listening), what="the end of the handshake")
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.recv(1) == b"x"


def test_who_waits_while_there_is_no_descriptor_is_accepted_as_others_leave() -> None:
    """The end of the socket would reset them."""
    served: list[socket.socket] = []

    async def accept(listening: socket.socket) -> None:
        def serve(connection: socket.socket) -> None:
            served.append(connection)
            asyncio.get_running_loop().call_later(0.01, connection.close)

        with room_for(1):
            await leaving._accept_all(listening, serve)

    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        listening.setblocking(False)
        for _ in range(3):
            opened.enter_context(socket.create_connection(listening.getsockname()))
        asyncio.run(accept(listening))
        assert len(served) == 3
        listening.close()
        asyncio.run(leaving._accept_all(listening, served.append))
    assert len(served) == 3


def test_they_are_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "NO_ROOM_S", 0.02)

    async def accept(listening: socket.socket) -> None:
        with room_for(0):
            await leaving._accept_all(listening, lambda _: pytest.fail("there is no descriptor"))

    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_connection(listening.getsockname()):
        listening.setblocking(False)
        asyncio.run(accept(listening))


class Steps:
    """A listener and a reception that note what they are asked for."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.done: list[object] = []
        self.accepted: list[socket.socket] = []
        self.newcomer = socket.socket()
        self._address = address

    async def linger(self, *, least_s: float, idle_s: float, most_s: float) -> None:
        self.done.append((least_s, idle_s, most_s))

    async def received(self, *, until: float) -> None:
        self.done.append(f"whole by {until}")

    def receive(self, connection: socket.socket) -> None:
        self.done.append("accepted")
        if not self.accepted:
            self.newcomer.setblocking(False)
            self.newcomer.connect_ex(self._address)
        self.accepted.append(connection)

    async def shaken_hands(self, *, patience_s: float) -> None:
        self.done.append("TLS")


@pytest.mark.parametrize(("is_leaving", "least_s", "patience_s"), [(False, 0.0, JUST_CONNECTED_S), (True, 1.0, 5.0)])
def test_who_has_connected_is_accepted_and_who_comes_then_is_not_reset(
    monkeypatch: pytest.MonkeyPatch, *, is_leaving: bool, least_s: float, patience_s: float
) -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    address = listening.getsockname()
    steps, looks = Steps(address), iter([True, True, False])

    def shakes(_: socket.socket) -> bool:
        steps.done.append("handshakes")
        return next(looks)

    monkeypatch.setattr(leaving, "shakes_hands", shakes)
    with contextlib.ExitStack() as sockets:
        clients = [sockets.enter_context(socket.create_connection(address, timeout=20)) for _ in range(3)]
        for each in (listening, steps.newcomer):
            sockets.enter_context(each)
        parts = cast(Any, steps)
        asyncio.run(leaving.stop_listening(listening, parts, parts, is_leaving=is_leaving, until=7.0))
        for client, accepted in zip(clients, steps.accepted, strict=True):
            sockets.enter_context(accepted)
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"
        assert not select.select([], [steps.newcomer], [], 0.05)[1], "it tries again later, and is refused then"
        with pytest.raises(OSError, match="Invalid argument"):
            listening.accept()
    first, *rest = steps.done
    assert first == (least_s, patience_s, patience_s)
    expected = [
        *["handshakes"] * 3,
        *["accepted"] * 3,
        "TLS",
        (SOONEST_SWEEP_S, *[JUST_CONNECTED_S] * 2),
        "whole by 7.0",
    ]
    assert rest == expected
