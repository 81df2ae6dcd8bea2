"""Clients of the router that read slowly, send several requests at once, or expect to be asked."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import psutil
import uvloop

from ended_connections import left_behind
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.parser import RequestParser
from modelport_scoring.router.client import ClientConnection
from modelport_scoring.router.forward import Forward
from modelport_scoring.router.metrics import Metrics
from modelport_scoring.router.routing import Routing
from modelport_scoring.router.settings import RouterSettings, UpstreamSettings
from modelport_scoring.router.upstream_connection import UpstreamConnection
from routers import RunningRouter, routing, url
from scoring_services import PATIENCE_S, Gate, Services, read_all, wait_until
from scripted_servers import OK, Scripted
from test_http import post, read_answers
from tls_services import contexts

LARGE = 'def init(): pass\ndef run(data): return "y" * int(data)\n'
MB = 1 << 20
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

OF_A_REQUEST = ClientConnection, RequestParser, Forward, UpstreamConnection


def connect(router: RunningRouter) -> socket.socket:
    return socket.create_connection(("127.0.0.1", router.port), timeout=PATIENCE_S)


def answered(router: RunningRouter) -> float:
    """How many requests a server has answered so far."""
    return router.metric('modelport_router_requests_total{revision="1",status="200"}')


def test_what_a_client_does_not_read_is_not_asked_for(services: Services, tmp_path: Path) -> None:
    """Else the answers to all that it has sent would be in the router's memory."""
    service = services.start(LARGE)
    with routing(tmp_path, {1: url(service)}) as router:
        assert router.process is not None
        process = psutil.Process(router.process.pid)
        before = process.memory_info().rss
        with connect(router) as channel:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
            channel.sendall(post(b"100000") * 799 + post(b"1", headers=b"Connection: close\r\n"))
            seen = -1.0
            while seen < (seen := answered(router)):
                time.sleep(0.3)
            assert seen < 200
            assert process.memory_info().rss - before < 30 * MB
            received = bytearray()
            while chunk := channel.recv(MB):
                received += chunk
        assert received.count(b"HTTP/1.1 200 OK\r\n") == 800


def test_an_answer_may_take_longer_than_a_server_may_be_silent(tmp_path: Path) -> None:
    def goes_on(channel: socket.socket, server: Scripted) -> None:
        server.request(channel)
        channel.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(16):
            channel.sendall(b"1\r\n.\r\n")
            time.sleep(0.5)
        channel.sendall(b"0\r\n\r\n")

    limits = {"queue_wait_ms": 100, "scoring_timeout_ms": 100, "scoring_grace_ms": 100}  # and 5 s
    with Scripted(goes_on) as server, routing(tmp_path, {1: server.url}, limits=limits) as router:
        assert router.score().body == b"." * 16


def test_a_request_that_the_router_does_not_read_yet_is_not_late(services: Services, tmp_path: Path) -> None:
    service = services.start("import time\ndef init(): pass\ndef run(x):\n    time.sleep(0.1)\n    return x\n")
    stream = post(b"one") * 19 + post(b"last", headers=b"Connection: close\r\n")
    with routing(tmp_path, {1: url(service)}, limits={"request_timeout_s": 0.5}) as router, connect(router) as channel:
        channel.sendall(stream[:-2])
        wait_until(lambda: service.status.requests_in_flight > 0, what="it has begun")
        channel.sendall(stream[-2:])
        answers = [status for status, _ in read_answers(read_all(channel))]
    assert answers == [200] * 20


def test_thousands_of_requests_in_one_read_wait_as_bytes(services: Services, gate: Gate, tmp_path: Path) -> None:
    service = services.start(f"import os, time\ndef init(): pass\ndef run(x):\n    {gate.wait}\n    return x\n")
    count = 3000
    with routing(tmp_path, {1: url(service)}) as router, connect(router) as channel:
        assert router.process is not None
        process = psutil.Process(router.process.pid)
        before = process.memory_info().rss
        channel.sendall(post(b"x") * (count - 1) + post(b"x", headers=b"Connection: close\r\n"))
        wait_until(lambda: service.status.requests_in_flight > 0, what="it has begun")
        assert answered(router) == 0  # it has looked at what came
        assert process.memory_info().rss - before < MB
        gate.open()
        assert read_answers(read_all(channel)) == [(200, b'"x"')] * count


def test_a_client_is_asked_for_its_body_when_its_turn_has_come(services: Services, gate: Gate, tmp_path: Path) -> None:
    service = services.start(f"import os, time\ndef init(): pass\ndef run(x):\n    {gate.wait}\n    return x\n")
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
    with routing(tmp_path, {1: url(service)}, limits={"request_timeout_s": 1}) as router, connect(router) as channel:
        channel.sendall(post(b"one") + head)
        wait_until(lambda: service.status.requests_in_flight > 0, what="it has begun")
        time.sleep(2.5)  # longer than the rest of a request may take, were it asked for
        gate.open()
        received = b""
        while not received.endswith(CONTINUE):
            more = channel.recv(1000)
            assert more, received
            received += more
        channel.sendall(b"two")
        answers = read_answers(received.removesuffix(CONTINUE) + read_all(channel))
    assert [(status, body) for status, body in answers] == [(200, b'"one"'), (200, b'"two"')]


def ending_as_asked(channel: socket.socket, server: Scripted) -> None:
    while request := server.request(channel):
        if request.endswith(b"never"):
            channel.recv(1)
        elif request.endswith(b"no answer"):
            return
        channel.sendall(OK)


def test_what_a_client_does_not_read_is_counted_over_tls_too() -> None:
    ours, theirs = contexts()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        settings = RouterSettings(
            name="demo", upstreams=[UpstreamSettings(revision=1, url="http://127.0.0.1:9")], default=1
        )
        routing, listener = Routing(settings, loop=loop, metrics=Metrics()), Listener(loop, most_connections=1)
        connection = ClientConnection(routing, listener, scheme=b"https")
        async with (
            asyncio.timeout(PATIENCE_S),
            await loop.create_server(lambda: connection, "127.0.0.1", ssl=ours) as server,
        ):
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address, ssl=theirs, server_hostname="localhost")
            while (delivery := connection.delivery) is None:
                await asyncio.sleep(0.001)
            try:
                connection.send([bytes(16 * MB)])
                assert delivery.held_bytes > 8 * MB, "but for what the system has taken"
                await reader.readexactly(16 * MB)
                assert not delivery.held_bytes
            finally:
                connection.reset()
                writer.transport.abort()
            while len(listener):
                await asyncio.sleep(0.001)
        listener.close()

    uvloop.run(run())


def ask_and_leave(address: tuple[str, int]) -> None:
    """Once with all answered, and once each in the middle of an answer and of a request, after an answer that does not
    come, and with a refusal."""
    for rest in (b"", post(b"never"), post(b"cut off")[:-3], post(b"no answer"), b"nonsense\r\n\r\n"):
        with socket.create_connection(address, timeout=PATIENCE_S) as channel:
            channel.sendall(post(b"body"))
            assert channel.recv(1000).endswith(b"ok")
            channel.sendall(rest)
            if rest not in (b"", post(b"never"), post(b"cut off")[:-3]):
                assert channel.recv(1000).startswith((b"HTTP/1.1 502 ", b"HTTP/1.1 400 "))


def test_connections_that_have_ended_leave_nothing_to_the_garbage_collector() -> None:
    """On both sides: a router's memory would grow for days."""

    async def left(url: str) -> list[object]:
        loop = asyncio.get_running_loop()
        settings = RouterSettings(name="demo", upstreams=[UpstreamSettings(revision=1, url=url)], default=1)
        routing, listener = Routing(settings, loop=loop, metrics=Metrics()), Listener(loop, most_connections=100)
        return await left_behind(
            lambda: ClientConnection(routing, listener, scheme=b"http"),
            listener,
            talk=ask_and_leave,
            close=routing.upstreams[1].close,
            kinds=OF_A_REQUEST,
        )

    with Scripted(ending_as_asked) as upstream:
        assert uvloop.run(left(upstream.url)) == []
