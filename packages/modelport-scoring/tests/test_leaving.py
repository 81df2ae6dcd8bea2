"""The end of a listening socket, as far as it can be seen without a server; test_supervisor.py has the rest."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable

import pytest

from modelport_scoring.sockets.leaving import SO_ATTACH_FILTER, shakes_hands
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
