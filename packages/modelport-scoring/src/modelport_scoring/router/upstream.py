"""The servers of one version, and the connections to them that are kept for the next request."""

from __future__ import annotations

import asyncio
import errno
import random
import socket
import ssl
from collections.abc import Sequence
from urllib.parse import urlsplit

from modelport_scoring.logs.journal import say
from modelport_scoring.router.metrics import Metrics
from modelport_scoring.router.upstream_connection import UpstreamConnection

CONNECT_S = 3.0
"""How long a server may take to accept a connection."""

LOOK_UP_S = 5.0
"""The addresses of a name are looked up again after so long."""

IDLE_S = 30.0
"""Connections are kept for less than the servers keep them (``limits.idle_timeout_s``), so that they seldom end when a
request is on its way."""

MOST_AGE_S = 60.0
"""After so long another connection is made: behind an address there may be other servers by then."""

MOST_IDLE = 256
DOWN_S = 1.0
"""Once no server could be reached, requests that another version may take do not try again for so long."""


OUR_WANT = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL))
"""The router has no descriptor, no memory or no port left to connect by: that says nothing of the servers."""


class Unreachable(Exception):
    """No server of the version accepts a connection, or none can be made."""


class Upstream:
    """One version's address, and what is connected to it."""

    def __init__(self, url: str, *, revision: int, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        parts = urlsplit(url)
        self.url = url
        self.revision = revision
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._loop = loop
        self._metrics = metrics
        self._idle: list[UpstreamConnection] = []
        self._addresses: Sequence[tuple[int, tuple[str, int]]] = ()
        self._looked_up_at = -LOOK_UP_S
        self._down_until = 0.0
        self._said_at = -60.0
        self._closed = False
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_down(self) -> bool:
        """Whether none could be reached a moment ago."""
        return self._loop.time() < self._down_until

    def kept_connection(self) -> UpstreamConnection | None:
        """One that is open and has nothing to do, if any."""
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closing:
                return connection
        return None

    def keep(self, connection: UpstreamConnection) -> None:
        """It has nothing to do any more."""
        now = self._loop.time()
        if self._closed or len(self._idle) >= MOST_IDLE or now - connection.made_at > MOST_AGE_S:
            connection.close()
        else:
            connection.idle_since = now
            self._idle.append(connection)

    def forget(self, connection: UpstreamConnection) -> None:
        """It has ended."""
        if connection in self._idle:
            self._idle.remove(connection)

    def sweep(self) -> None:
        """Called about once a second: end what nobody has used for long, or what leads to where no server is now."""
        now = self._loop.time()
        if self._addresses and now - self._looked_up_at >= LOOK_UP_S and self._looking is None:
            self._looking = self._loop.create_task(self._look_again())
        known = {address for _, address in self._addresses}
        for connection in list(self._idle):
            is_old = now - connection.idle_since > IDLE_S or now - connection.made_at > MOST_AGE_S
            if is_old or (known and connection.address not in known):
                self._idle.remove(connection)
                connection.close()

    def close(self) -> None:
        """Keep nothing any more; what has a request goes on with it."""
        self._closed = True
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def connect(self) -> UpstreamConnection:
        """A new connection, to whichever server accepts one. Raises Unreachable."""
        problem: Exception | None = None
        try:
            addresses = await self._look_up()
            for family, address in random.sample(addresses, len(addresses)):
                try:
                    connection = await asyncio.wait_for(self._connect_to(family, address), CONNECT_S)
                    if connection.is_closing:  # before it had a request, which would never be told of that
                        raise ConnectionResetError("connections are accepted, and closed at once")
                except (OSError, TimeoutError) as error:
                    problem = error
                    self._looked_up_at = -LOOK_UP_S  # it may have another one by now
                else:
                    self._metrics.connections[self.revision] += 1
                    self._down_until = 0.0
                    return connection
        except OSError as error:
            problem = error
        self._metrics.failures[self.revision, "connect"] += 1
        if not (isinstance(problem, OSError) and problem.errno in OUR_WANT):
            self._down_until = self._loop.time() + DOWN_S
        self._say(f"revision {self.revision} cannot be reached at {self.url}: {problem or type(problem).__name__}")
        raise Unreachable from problem

    async def _connect_to(self, family: int, address: tuple[str, int]) -> UpstreamConnection:
        _, connection = await self._loop.create_connection(
            lambda: UpstreamConnection(self, address, made_at=self._loop.time()),
            address[0],
            address[1],
            family=family,
            ssl=self._tls,
            server_hostname=self._host if self._tls is not None else None,
        )
        return connection

    async def _look_again(self) -> None:
        try:
            await self._look_up()
        finally:
            self._looking = None

    async def _look_up(self) -> Sequence[tuple[int, tuple[str, int]]]:
        """The addresses of this moment; those of before, where the name cannot be looked up. Raises OSError."""
        if self._loop.time() - self._looked_up_at < LOOK_UP_S:
            return self._addresses
        try:
            found = await self._loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except OSError:
            if not self._addresses:
                raise
            return self._addresses
        self._looked_up_at = self._loop.time()
        self._addresses = list(dict.fromkeys((int(entry[0]), (str(entry[4][0]), int(entry[4][1]))) for entry in found))
        return self._addresses

    def _say(self, text: str) -> None:
        """Once in ten seconds: a version that is down is asked again and again."""
        if self._loop.time() - self._said_at > 10:
            self._said_at = self._loop.time()
            say(text)
