"""Accepting connections where several processes listen on one socket.

The system wakes all of them for each connection, and the first one would take all that wait. So that each gets its
part, one that has more connections than another, or no workers where another has some, leaves the next one to that for
a millisecond, and takes it then, if it is still there: the other may be busy, or dead.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable
from typing import Any

from modelport_scoring.http.handshake import CHANNEL

LEAVE_TO_OTHERS_S = 0.001
NO_ROOM_S = 0.1
"""After the system could not accept for want of descriptors or memory."""

OVER = frozenset((errno.EINVAL, errno.EBADF))
"""The socket listens no more."""


class Acceptor:
    """Watches the listening socket from ``start`` to ``close``."""

    def __init__(
        self,
        listening: socket.socket,
        *,
        accepted: Callable[[socket.socket], None],
        gives_way: Callable[[], bool],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """``accepted`` gets each connection's socket, ``gives_way`` tells whether the next one is rather for another
        process."""
        self._listening = listening
        self._accepted = accepted
        self._gives_way = gives_way
        self._loop = loop
        self._watching = False
        self._later: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Take connections from now on."""
        self._later = None
        self._watching = True
        self._loop.add_reader(self._listening, self._readable)

    def close(self) -> None:
        """Take no more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._listening)

    def _readable(self) -> None:
        if self._gives_way():
            self._pause(LEAVE_TO_OTHERS_S, self._take_what_is_left)
        else:
            self._accept()

    def _take_what_is_left(self) -> None:
        self.start()
        self._accept()

    def _pause(self, seconds: float, then: Callable[[], None]) -> None:
        self.close()
        self._later = self._loop.call_later(seconds, then)

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was quicker
        except OSError as error:
            if error.errno in OVER:
                self.close()
            else:
                self._pause(NO_ROOM_S, self.start)
            return
        connection.setblocking(False)
        self._accepted(connection)


class Reception:
    """Gives each connection that was accepted here its protocol, with TLS where the service has that."""

    def __init__(
        self,
        protocol: Callable[[], asyncio.Protocol],
        *,
        tls: Callable[[], dict[str, Any]],
        room: Callable[[], int],
        counted: Callable[[int], None] = lambda _: None,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """``tls``: what the loop's ``connect_accepted_socket`` is to be told of it. ``room``: how many may be shaking
        hands, who are no connections yet that anybody counts. ``counted`` is told how many do."""
        self._protocol = protocol
        self._tls = tls
        self._room = room
        self._counted = counted
        self._loop = loop
        self._shaking_hands: dict[asyncio.Task[None], None] = {}
        """In the order in which they came."""
        self.ended = 0
        """So many have become connections, or have been given up."""

    def receive(self, connection: socket.socket) -> None:
        """Serve it from now on."""
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = self._tls()
        if tls and len(self._shaking_hands) >= self._room():
            # Who has taken longest goes: clients that say nothing must not keep the others out.
            longest = next(iter(self._shaking_hands))
            del self._shaking_hands[longest]
            longest.cancel()
        task = self._loop.create_task(self._serve(connection, tls))
        self._shaking_hands[task] = None
        self._counted(len(self._shaking_hands))
        task.add_done_callback(self._has_shaken_hands)

    def _has_shaken_hands(self, task: asyncio.Task[None]) -> None:
        self._shaking_hands.pop(task, None)
        self.ended += 1
        self._counted(len(self._shaking_hands))

    async def shaken_hands(self, *, patience_s: float) -> None:
        """Wait, at most so long, until all that were received have had their turn of the loop, and their TLS."""
        if self._shaking_hands:
            await asyncio.wait(list(self._shaking_hands), timeout=patience_s)

    async def _serve(self, connection: socket.socket, tls: dict[str, Any]) -> None:
        CHANNEL.set(connection)
        # A client may have gone already, or not know TLS.
        with contextlib.suppress(OSError):
            await self._loop.connect_accepted_socket(self._protocol, connection, **tls)
