"""How a server ends its listening socket, so that nobody who has connected is reset.

A socket that is just shut down resets whoever waits in its queue, perhaps with a request on its way that their clients
then count as lost. Therefore newcomers are kept away first, by a filter that drops their packets; those who are in the
middle of TCP's handshake get through it; all who wait are accepted; and then only the socket is shut down.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from modelport_scoring.http.acceptor import OVER, Reception
from modelport_scoring.http.listener import SOONEST_SWEEP_S, Listener
from modelport_scoring.sockets.handover import LEAST_LINGER_S, LINGER_S

JUST_CONNECTED_S = 0.1
"""One that stops still answers what comes so soon on a connection that it has."""

SO_ATTACH_FILTER = 26
"""Of Linux (asm-generic/socket.h); the module socket does not name it."""

DROP_SYN = b"".join(
    struct.pack("@HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # the flags of the TCP header
        (0x54, 0, 0, 0x12),  # SYN and ACK of them
        (0x15, 0, 1, 0x02),  # SYN alone
        (0x06, 0, 0, 0),  # is dropped
        (0x06, 0, 0, 0xFFFFFFFF),  # anything else is let through
    )
)
"""A classic BPF program (Linux, Documentation/networking/filter.rst), as an array of ``struct sock_filter``."""

TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
SYN_RECV = "03"
HANDSHAKE_S = 0.2
HANDSHAKE_LOOK_S = 0.005

NO_ROOM_S = 1.0
NO_ROOM_LOOK_S = 0.005


async def stop_listening(
    listening: socket.socket, reception: Reception, listener: Listener, *, is_leaving: bool, until: float
) -> None:
    """Accept for a moment more, then end the socket, and return when who has connected has been answered or says
    nothing; ``until`` then (by the loop's clock) where a request has begun. ``is_leaving``: whoever sends clients here
    may not know yet, so that they are accepted for longer. The socket is non-blocking; others may hold it too, or have
    shut it down already."""
    patience_s = LINGER_S if is_leaving else JUST_CONNECTED_S
    await listener.linger(least_s=LEAST_LINGER_S if is_leaving else 0.0, idle_s=patience_s, most_s=patience_s)
    _drop_newcomers(listening)
    await _handshakes_ended(listening)
    await _accept_all(listening, reception.receive)
    with contextlib.suppress(OSError):
        listening.shutdown(socket.SHUT_RDWR)
    await reception.shaken_hands(patience_s=JUST_CONNECTED_S)
    await answer_newest(listener, until=until)


async def answer_newest(listener: Listener, *, until: float) -> None:
    """Wait for those whose connections were accepted a moment ago, and who are about to ask; and ``until`` then for the
    rest of requests that have begun."""
    await listener.linger(least_s=SOONEST_SWEEP_S, idle_s=JUST_CONNECTED_S, most_s=JUST_CONNECTED_S)
    await listener.received(until=until)


def _drop_newcomers(listening: socket.socket) -> None:
    """Whoever tries to connect from now on tries again after a second, and is refused then. Where the system knows no
    such filter, nothing happens."""
    program = ctypes.create_string_buffer(DROP_SYN, len(DROP_SYN))
    with contextlib.suppress(OSError):
        filter_program = struct.pack("@HP", len(DROP_SYN) // 8, ctypes.addressof(program))
        listening.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, filter_program)


async def _handshakes_ended(listening: socket.socket) -> None:
    """Wait until no client believes it has connected that is not in the queue yet, for at most HANDSHAKE_S."""
    for _ in range(int(HANDSHAKE_S / HANDSHAKE_LOOK_S)):
        if not shakes_hands(listening):
            return
        await asyncio.sleep(HANDSHAKE_LOOK_S)


def shakes_hands(listening: socket.socket) -> bool:
    """Whether a client of the socket's port is in the middle of TCP's handshake; no where the system does not tell."""
    with contextlib.suppress(OSError):
        port = f":{listening.getsockname()[1]:04X}"
        for table in TABLES:
            with contextlib.suppress(FileNotFoundError):
                for line in table.read_text().splitlines()[1:]:
                    _, local, _, state, *_ = line.split()
                    if state == SYN_RECV and local.endswith(port):
                        return True
    return False


async def _accept_all(listening: socket.socket, received: Callable[[socket.socket], None]) -> None:
    """Accept who waits. Where the system has no descriptor for one more, those that are there end with their next
    answer: whoever waits still is accepted as they do, within NO_ROOM_S."""
    clock = asyncio.get_running_loop().time
    until = clock() + NO_ROOM_S
    while True:
        try:
            connection, _ = listening.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in OVER or clock() > until:
                return
            await asyncio.sleep(NO_ROOM_LOOK_S)
        else:
            connection.setblocking(False)
            received(connection)
