"""Several clients of one router, over time, as in ``clients``; behind it are servers as in ``router``, which answer in
their own time, close, or are not there."""

from __future__ import annotations

import asyncio
import random
from typing import Any, cast

from fuzz.targets import clients
from fuzz.targets.router import OneVersion, Servers
from modelport_scoring import Limits
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.router.client import ClientConnection
from modelport_scoring.router.settings import RouterSettings, UpstreamSettings
from modelport_scoring.settings.traffic import Traffic


class Echoes(Servers):
    """Answer with the number of the request, in each framing, and as much besides as the input says."""

    size = 0

    def next_answer(self, head: Head) -> bytes:
        body = head.query + b"-" * (self.size * 2_000)
        if head.method == b"HEAD":
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        if self.size % 3 == 0:
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
        if self.size % 3 == 1:
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body


class Behind:
    """The servers, and the routing to them."""

    def __init__(self, limits: Limits, loop: clients.Clock, chance: random.Random) -> None:
        self.servers = Echoes([], chance)
        self.routing = OneVersion(self.servers, cast(asyncio.AbstractEventLoop, loop))
        self.known_heads = KnownHeads()
        self.broken: set[object] = set()
        self.limits = limits
        self._loop = loop

    @property
    def limits(self) -> Limits:
        return self.routing.settings.limits

    @limits.setter
    def limits(self, limits: Limits) -> None:
        self.routing.settings = RouterSettings(
            name="s",
            upstreams=[UpstreamSettings(revision=1, url="http://server")],
            default=1,
            traffic=Traffic(version_header=None),
            limits=limits,
        )

    def answer(self, which: int, size: int) -> None:
        self.servers.size = size
        if size > 0xF8 and self.servers.all:
            self.servers.all[which % len(self.servers.all)].lose()
        else:
            self.servers.go_on()

    def answer_all(self) -> None:
        while self.servers.go_on():
            self._loop.run_all()

    def check_end(self) -> None:
        assert not self.routing.in_flight, "something is left of a request"
        for task in self._loop.tasks:
            assert task.cancelled() or task.result() is None


class Watched(ClientConnection):
    """Writes down which methods are to be answered, in that order."""

    def __init__(self, behind: Behind, listener: Listener) -> None:
        super().__init__(behind.routing, listener, scheme=b"http")
        self.methods: list[bytes] = []

    def head_received(self, head: Head, *, expects_continue: bool, has_body: bool) -> bool:
        self.methods.append(head.method)
        return super().head_received(head, expects_continue=expects_continue, has_body=has_body)

    def _refuse(self, response: Response) -> None:
        if self._queue and not self._queue[-1].body_is_whole:
            self.methods.pop()  # it is this that is refused
        self.methods.append(b"GET")
        super()._refuse(response)


class Visit(clients.Visit):
    is_relayed = True

    def new_script(self, limits: Limits, *, streams: bool) -> Any:
        return Behind(limits, self.loop, self.chance)

    def new_connection(self) -> Any:
        return Watched(self.script, self.listener)

    def end(self) -> None:
        super().end()
        for server in self.script.servers.all:
            server.lose()
            server.wire.socket.close()


def check_one(data: bytes) -> None:
    clients.check_one(data, Visit)
