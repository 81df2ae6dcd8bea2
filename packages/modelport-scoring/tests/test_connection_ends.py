"""How connections end: what a client is told before that, and what it still gets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest
import trustme
import uvloop

from ended_connections import left_behind
from modelport_scoring.http.connection import Connection
from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.paced import PacedTransport
from modelport_scoring.http.parser import MOST_AT_ONCE, RequestParser
from modelport_scoring.http.reader import RequestReader
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from scoring_services import PATIENCE_S, Gate, RunningService, Services, read_all, refuses, wait_until
from small_application import SmallApplication
from test_http import post, read_answers
from tls_services import contexts, secured, with_certificate

UPLOAD = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n"

LARGE = 'def init(): pass\ndef run(data): return "y" * int(data)\n'
BYTES = 30 << 20


def test_a_refusal_behind_an_answer_that_is_still_read_cuts_nothing_off(services: Services) -> None:
    service = services.start(LARGE)
    body = str(BYTES).encode()
    with service.raw_connection() as channel:
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        received, last = len(channel.recv(1000)), b""
        channel.sendall(b"nonsense\r\n\r\n")
        while chunk := channel.recv(1 << 20):
            received, last = received + len(chunk), last[-200:] + chunk[-400:]
            time.sleep(len(chunk) / 8e6)
    assert received > BYTES
    assert b"HTTP/1.1 400 " in last


ANSWERS = """
def init(): pass
def run(data):
    if data == "stream":
        return (piece for piece in ("a", "b"))
    if data == "die":
        __import__("os")._exit(1)
    return data
"""


@pytest.fixture(scope="module")
def half_closing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("half_closing"))
    yield made.start(ANSWERS)
    made.end()


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (post(b"one"), [(200, b'"one"')]),
        (
            post(b"one") + b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"two"),
            [(200, b'"one"'), (200, b"Healthy"), (200, b'"two"')],
        ),
        (post(b"one") + post(b"two")[:-1], [(200, b'"one"')]),
        (post(b"die"), [(502, b"Replica closed connection before replying")]),
    ],
    ids=["one", "several", "and a part of another", "lost"],
)
def test_who_sends_no_more_gets_what_is_owed_to_him(
    half_closing: RunningService, asked: bytes, answered: list[tuple[int, bytes]]
) -> None:
    """As v1's server answers; ``nc -N`` and ``socat`` end their side behind what they were given."""
    with half_closing.raw_connection() as channel:
        channel.sendall(asked)
        channel.shutdown(socket.SHUT_WR)
        assert read_answers(read_all(channel)) == answered


def test_who_sends_no_more_while_his_request_waits_is_told_so(services: Services, gate: Gate) -> None:
    """Most of those have gone."""
    service = services.start(f"import os, time\ndef init(): pass\ndef run(x):\n    {gate.wait}\n    return x\n")
    with service.raw_connection() as held, service.raw_connection() as channel:
        held.sendall(post(b"held"))
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        channel.sendall(post(b"waits") + post(b"behind it"))
        wait_until(lambda: service.status.requests_waiting == 2, what="they wait")
        channel.shutdown(socket.SHUT_WR)
        ((status, text),) = read_answers(read_all(channel))
        assert status == 503
        assert b"while its request waited for a worker" in text
        wait_until(lambda: service.status.requests_waiting == 0, what="they are dropped")
        held.shutdown(socket.SHUT_WR)
        gate.open()
        assert read_answers(read_all(held)) == [(200, b'"held"')]


def test_a_connection_of_nobody_ends_with_its_answer(half_closing: RunningService) -> None:
    """Who has gone, and who sends no more, cannot be told apart before something is sent to them."""
    server = psutil.Process(half_closing.status.pid)
    ours = set()
    for body in (b"one", b"stream", b"die"):
        with half_closing.raw_connection() as channel:
            ours.add(channel.getsockname())
            channel.sendall(post(body))
    wait_until(lambda: ours.isdisjoint(each.raddr for each in server.net_connections("tcp")), what="all have ended")


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_of_a_client_that_is_given_up_the_system_keeps_nothing(services: Services, is_tls: bool) -> None:
    """What it had of the answer it would offer to the client for minutes: up to four megabytes of each."""
    limits = {"idle_timeout_s": 0.5}
    service, context = (
        with_certificate(services, LARGE, limits=limits) if is_tls else (services.start(LARGE, limits=limits), None)
    )
    with service.raw_connection() as plain:
        channel = plain if context is None else context.wrap_socket(plain, server_hostname="localhost")
        ends = service.settings.port, channel.getsockname()[1]
        assert ends in sockets()
        channel.sendall(post(str(BYTES).encode()))
        assert channel.recv(1)  # so it has been answered
        wait_until(lambda: ends not in sockets(), what="given up", patience_s=PATIENCE_S)
        if not is_tls:
            with pytest.raises(ConnectionResetError):
                read_all(channel)
        channel.close()


def sockets() -> set[tuple[int, int]]:
    """The ports, ours and the other end's, of all connections of the system that are not over."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {(int(row[1].rpartition(":")[2], 16), int(row[2].rpartition(":")[2], 16)) for row in rows}


# --- over TLS ---------------------------------------------------------------------------------------------------------


def test_refusals_arrive_over_tls_and_deadlines_go_on_to_hold(services: Services) -> None:
    service, context = with_certificate(services, limits={"request_timeout_s": 0.3, "max_body_bytes": 1000})

    def answer(data: bytes) -> bytes:
        with secured(service, context) as channel:
            channel.sendall(data)
            return read_all(channel)

    assert answer(b"nonsense\r\n\r\n").startswith(b"HTTP/1.1 400 ")
    assert answer(UPLOAD + b"x" * 500_000).startswith(b"HTTP/1.1 413 ")
    for _ in range(3):
        assert answer(b"GET / HTTP/1.1\r\nHost: ").startswith(b"HTTP/1.1 408 ")
    assert "Traceback" not in service.supervisor_log


def test_clients_that_do_not_shake_hands_keep_nobody_out(services: Services) -> None:
    service, context = with_certificate(services, limits={"max_connections": 20})
    server = psutil.Process(service.status.pid)
    before = server.num_fds()
    with contextlib.ExitStack() as silent:
        for _ in range(200):
            silent.enter_context(service.raw_connection())
        with secured(service, context) as channel:
            channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert read_all(channel).startswith(b"HTTP/1.1 200 ")
        assert server.num_fds() < before + 50
    assert "Traceback" not in service.supervisor_log


# --- at the end of the service ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_a_client_gets_the_whole_of_an_answer_that_it_reads_while_the_service_stops(
    services: Services, is_tls: bool
) -> None:
    """As fast as it reads, and not only what the system holds for it."""
    service, context = with_certificate(services, LARGE) if is_tls else (services.start(LARGE), None)
    body = str(BYTES).encode()
    channel = service.raw_connection()
    with channel if context is None else context.wrap_socket(channel, server_hostname="localhost") as channel:
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        received = len(channel.recv(1000))
        assert service.process is not None
        service.process.terminate()
        wait_until(lambda: refuses(service.settings.port), what="it stops")
        while chunk := channel.recv(1 << 20):
            received += len(chunk)
            time.sleep(len(chunk) / 20e6)
    assert received > BYTES
    assert service.process.wait(20) == 0


def test_a_client_that_reads_nothing_does_not_keep_a_service_from_stopping(services: Services) -> None:
    service = services.start(LARGE)
    body = str(BYTES).encode()
    with service.raw_connection() as channel:
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert channel.recv(1)
        assert service.process is not None
        service.process.terminate()
        assert service.process.wait(15) == 0


STREAM = """
import os, time
def init(): pass
def run(data):
    WAIT
    return (part for part in ("one", "two"))
"""


def test_a_stream_that_begins_while_the_service_stops_says_that_it_is_the_last_answer(
    services: Services, gate: Gate
) -> None:
    service = services.start(STREAM.replace("WAIT", gate.wait))
    with service.raw_connection() as channel:
        channel.sendall(post(b"x"))
        wait_until(lambda: service.status.requests_in_flight == 1, what="the request")
        assert service.process is not None
        service.process.terminate()
        wait_until(lambda: refuses(service.settings.port), what="it stops")
        gate.open()
        answer = read_all(channel)
    assert b"\r\nconnection: close\r\n" in answer
    assert answer.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


# --- what is left of them ---------------------------------------------------------------------------------------------


class Waiting:
    """What nobody has begun with."""

    def client_gone(self) -> None: ...

    def client_ended(self) -> bool:
        return False

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Echo(SmallApplication):
    """Sends back what comes."""

    def handle(self, exchange: Exchange) -> None:
        body = bytes(exchange.body)
        if body == b"fault":
            raise LookupError("a fault of the application")
        if body == b"never":
            exchange.work = Waiting()
        else:
            exchange.answer(Response(200, body=body))


def ask_and_leave(address: tuple[str, int], *, tls: ssl.SSLContext | None = None) -> None:
    """Once with all answered, and once each in the middle of an answer and of a request."""
    for rest in (b"", post(b"never"), post(b"cut off")[:-3], post(b"large" * 50_000)[:-3]):
        with contextlib.ExitStack() as channels:
            channel = channels.enter_context(socket.create_connection(address, timeout=PATIENCE_S))
            if tls is not None:
                channel = channels.enter_context(tls.wrap_socket(channel, server_hostname="localhost"))
            channel.sendall(post(b"body"))
            received = b""
            while not received.endswith(b"body"):
                received += channel.recv(1000)
            channel.sendall(rest)


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
def test_a_connection_that_has_ended_leaves_nothing_to_the_garbage_collector(is_tls: bool) -> None:
    """That looks rarely at what has once been in use for long: a busy server's memory would grow for days."""
    ours, theirs = contexts() if is_tls else (None, None)

    async def left() -> list[object]:
        listener, application = Listener(asyncio.get_running_loop(), most_connections=100), Echo()
        return await left_behind(
            lambda: Connection(application, listener),
            listener,
            talk=partial(ask_and_leave, tls=theirs),
            kinds=(Connection, RequestReader, RequestParser, Exchange, PacedTransport),
            tls=ours,
        )

    assert uvloop.run(left()) == []


def probe(address: tuple[str, int]) -> None:
    """As who looks whether a port is open, or takes it for another one's."""
    with socket.create_connection(address, timeout=PATIENCE_S) as channel:
        channel.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert channel.recv(1000)[:1] in (b"", b"\x15")


def test_a_connection_that_was_never_made_leaves_nothing() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)

    async def left() -> list[object]:
        listener, application = Listener(asyncio.get_running_loop(), most_connections=100), Echo()
        return await left_behind(
            lambda: Connection(application, listener),
            listener,
            talk=probe,
            kinds=(Connection, RequestReader, RequestParser),
            tls=context,
        )

    assert uvloop.run(left()) == []


def test_a_fault_of_the_application_is_the_end_of_one_request() -> None:
    """Of its connection, and of those that were sent with it, it is not."""

    async def talk() -> tuple[bytes, list[str]]:
        loop = asyncio.get_running_loop()
        faults: list[str] = []
        loop.set_exception_handler(lambda _, context: faults.append(str(context["exception"])))
        listener = Listener(loop, most_connections=100)
        application = Echo()
        server = await loop.create_server(lambda: Connection(application, listener), "127.0.0.1")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        for body in (b"one", b"fault", b"two", b"fault"):
            writer.write(post(body))
        writer.write(post(b"last", headers=b"Connection: close\r\n"))
        async with asyncio.timeout(PATIENCE_S):
            received = await reader.read()
        server.close()
        writer.close()
        return received, faults

    received, faults = uvloop.run(talk())
    assert [status for status, _ in read_answers(received)] == [200, 500, 200, 500, 200]
    assert received.endswith(b"last")
    assert faults == ["a fault of the application"] * 2


@pytest.mark.parametrize("before", [0, 6 * MOST_AT_ONCE], ids=["as it comes", "in a later turn"])
def test_a_fault_while_requests_are_read_is_the_end_of_their_connection(before: int) -> None:
    """Nobody knows where the next one begins."""

    class Faulty(Echo):
        def screen(self, head: Head) -> Response | None:
            if head.path == b"/fault":
                raise LookupError("a fault of the application")
            return None

    async def talk() -> tuple[bytes, list[str]]:
        loop = asyncio.get_running_loop()
        faults: list[str] = []
        loop.set_exception_handler(lambda _, context: faults.append(str(context["exception"])))
        listener, application = Listener(loop, most_connections=100), Faulty()
        server = await loop.create_server(lambda: Connection(application, listener), "127.0.0.1")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(post(b"known") * before + b"GET /fault HTTP/1.1\r\nHost: x\r\n\r\n" + post(b"behind it"))
        received = bytearray()
        try:
            with contextlib.suppress(ConnectionResetError):
                async with asyncio.timeout(PATIENCE_S):
                    while piece := await reader.read(65536):
                        received += piece
        finally:
            server.close()
            writer.close()
            listener.close()
        return bytes(received), faults

    received, faults = uvloop.run(talk())
    assert b"behind it" not in received
    assert len(faults) == 1


def test_who_waits_for_our_word_gets_it_behind_the_answers_that_are_owed() -> None:
    """Before them, it would be taken for a part of theirs."""
    held: list[Exchange] = []

    class Holding(SmallApplication):
        def handle(self, exchange: Exchange) -> None:
            held.append(exchange)

    async def talk() -> bytes:
        loop = asyncio.get_running_loop()
        listener = Listener(loop, most_connections=100)
        server = await loop.create_server(lambda: Connection(Holding(), listener), "127.0.0.1")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        async with asyncio.timeout(PATIENCE_S):
            writer.write(post(b"one") + post(b"two", headers=b"Expect: 100-continue\r\n")[: -len(b"two")])
            while not held:
                await asyncio.sleep(0.001)
            held.pop().answer(Response(200, body=b"first"))
            received = await reader.readuntil(b"Continue\r\n\r\n")
            writer.write(b"two")
            while not held:
                await asyncio.sleep(0.001)
        held.pop().answer(Response(200, body=b"second"))
        server.close()
        writer.close()
        listener.close()
        return received

    received = uvloop.run(talk())
    assert received.startswith(b"HTTP/1.1 200 ") and received.endswith(b"firstHTTP/1.1 100 Continue\r\n\r\n")


def test_a_fault_while_one_request_is_told_that_its_client_has_gone_costs_no_other() -> None:
    """Nor the account of bodies: what one client has sent would count for ever."""

    class Faulty:
        def __init__(self) -> None:
            gone.append(self)

        def client_gone(self) -> None:
            self.is_told = True
            raise MemoryError

        def client_ended(self) -> bool:
            return False

        def pause(self) -> None: ...
        def resume(self) -> None: ...

    gone: list[Faulty] = []

    class Working(SmallApplication):
        def handle(self, exchange: Exchange) -> None:
            exchange.work = Faulty()

    async def leave() -> int:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)
        listener = Listener(loop, most_connections=100)
        application = Working(most_pipelined=2)
        server = await loop.create_server(lambda: Connection(application, listener), "127.0.0.1")
        _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(post(b"one") + post(b"two") + post(b"put off"))
        async with asyncio.timeout(PATIENCE_S):
            while len(gone) < 2 or not listener.budget._put_off:
                await asyncio.sleep(0.001)
            writer.close()
            while listener.ended < 1:
                await asyncio.sleep(0.001)
        server.close()
        listener.close()
        return listener.budget._put_off

    assert uvloop.run(leave()) == 0
    assert all(each.is_told for each in gone)


def test_answers_that_wait_behind_a_slow_one_are_told_of() -> None:
    """They take memory, which is bounded with that of answers which clients do not read (test_unread)."""

    async def talk() -> None:
        listener, application = Listener(asyncio.get_running_loop(), most_connections=100), Echo()
        application.most_pipelined = 8
        made: list[Connection] = []

        def serve() -> Connection:
            made.append(Connection(application, listener))
            return made[-1]

        server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1")
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(post(b"one"))
        assert (await reader.readuntil(b"one")).startswith(b"HTTP/1.1 200 ")
        assert made[0].ahead_bytes == 0
        writer.write(post(b"never") + post(b"x" * 1000) * 2)
        async with asyncio.timeout(PATIENCE_S):
            while made[0].ahead_bytes != 2000:
                await asyncio.sleep(0.001)
        writer.close()
        server.close()
        listener.close()

    uvloop.run(talk())
