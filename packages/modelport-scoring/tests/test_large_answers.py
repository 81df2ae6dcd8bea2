"""Large answers go out of the memory that a worker shares with the server, which is used again at once."""

from __future__ import annotations

import asyncio
import os
import socket
from concurrent.futures import ThreadPoolExecutor

import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport_scoring import Traffic
from modelport_scoring.http.listener import Listener
from modelport_scoring.http.outgoing import Outgoing
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import SMALL_BODY_BYTES, Response
from scoring_services import PATIENCE_S, Services, ask, read_all, wait_until
from split_services import hosting
from test_http import post
from test_shadow_service import shadow_counts
from tls_services import secured, with_certificate

ECHO = """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
@rawhttp
def run(request):
    return AMLResponse(request.get_data(), 200)
"""
SLOW_FIRST = """
import time
def init(): pass
def run(data):
    time.sleep(0.3 if data[0] == "a" else 0)
    return data
"""
MB = 1 << 20
LAST = b"Connection: close\r\n"
GET = Head(method=b"GET", target=b"/", version="1.1", headers={})


# --- what is written to a socket --------------------------------------------------------------------------------------

sizes = st.one_of(st.integers(0, 100), st.integers(SMALL_BODY_BYTES - 1, 4 * SMALL_BODY_BYTES))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(sizes, st.booleans(), st.booleans()), max_size=12))
def test_each_answer_arrives_as_it_was(answers: list[tuple[int, bool, bool]]) -> None:
    """Whether the client reads or not, what waits in front, and whatever happens to the memory afterwards."""
    received = uvloop.run(asyncio.wait_for(exchange(answers), PATIENCE_S))
    assert received == b"".join(bytes([number]) * size for number, (size, _, _) in enumerate(answers))


async def exchange(answers: list[tuple[int, bool, bool]]) -> bytes:
    """The bodies of the answers, as the client gets them. Each has its size, whether another one follows at once, and
    whether the client reads before it is sent."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
    transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    reader, writer = await asyncio.open_connection(sock=theirs, limit=MB)
    listener = Listener(loop, most_connections=1)
    outgoing = Outgoing(transport, listener)
    memory = bytearray(4 * SMALL_BODY_BYTES)
    bodies: list[bytes] = []
    for number, (size, more_follow, reads) in enumerate(answers):
        if reads and len(bodies) < number:
            bodies.append(await read_body(reader))
        memory[:size] = bytes([number]) * size
        view = memoryview(memory)[:size]
        body = view if size >= SMALL_BODY_BYTES else bytes(view)
        outgoing.send(GET, Response(200, body=body), last=False, more_follow=more_follow)
        view.release()
        memory[:] = b"\xff" * len(memory)
    outgoing.flush()
    while len(bodies) < len(answers):
        bodies.append(await read_body(reader))
    listener.close()
    transport.close()
    writer.close()
    await writer.wait_closed()
    return b"".join(bodies)


async def read_body(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


# --- a service --------------------------------------------------------------------------------------------------------


def test_a_client_that_does_not_read_gets_its_own_answer(services: Services) -> None:
    service = services.start(ECHO)
    body = os.urandom(8 * MB)
    with service.raw_connection() as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        channel.sendall(post(body, headers=LAST))
        first = channel.recv(1)  # so it has been answered
        for size in (8 * MB, 5 * MB, 100_000):
            other = os.urandom(size)
            assert service.score(other).body == other
        assert (first + read_all(channel)).endswith(b"\r\n\r\n" + body)


def test_a_client_that_leaves_in_the_middle_of_its_answer_harms_nobody(services: Services) -> None:
    service = services.start(ECHO)
    for _ in range(5):
        with service.raw_connection() as channel:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
            channel.sendall(post(os.urandom(8 * MB)))
            assert channel.recv(1)
        body = os.urandom(300_000)
        assert service.score(body).body == body
    assert "Traceback" not in service.supervisor_log


def test_an_answer_that_waits_for_the_one_before_it_is_kept(services: Services) -> None:
    service = services.start(SLOW_FIRST, workers=2)
    bodies = [letter * 100_000 for letter in (b"a", b"b", b"c", b"d")]
    with service.raw_connection() as channel:
        channel.sendall(b"".join(post(body, headers=LAST if body is bodies[-1] else b"") for body in bodies))
        received = read_all(channel)
    assert [received.count(body) for body in bodies] == [1] * 4
    assert received.index(bodies[0]) < received.index(bodies[1]) < received.index(bodies[2])


def test_a_batch_of_large_bodies(services: Services) -> None:
    script = ECHO.replace("@rawhttp", "").replace("AMLResponse(request.get_data(), 200)", "request")
    script += "def run_batch(requests): return [each['request'] for each in requests]\n"
    service = services.start(script, batching={"max_requests": 8})
    bodies = [letter * 100_000 for letter in "abcdefgh"] * 3

    def answer(body: str) -> object:
        return service.score(body).json

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(answer, bodies)) == bodies


def test_a_copy_for_the_shadow_has_the_same_body(services: Services) -> None:
    service = hosting(services, ECHO, ECHO)
    service.control.split(Traffic(shadow=2))
    connection = service.connect()
    for size in (100_000, 300_000):
        body = os.urandom(size)
        assert ask(connection, "POST", "/score", body=body).body == body
    wait_until(lambda: sum(shadow_counts(service).values()) == 2, what="compared")
    assert shadow_counts(service) == {"equal": 2, "different": 0}


def test_over_tls(services: Services) -> None:
    service, context = with_certificate(services, ECHO)
    body = os.urandom(3 * MB)
    with secured(service, context) as channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32 * 1024)
        channel.sendall(post(body, headers=LAST))
        first = channel.recv(1)  # so it has been answered
        with secured(service, context) as other:
            other.sendall(post(body[::-1], headers=LAST))
            assert read_all(other).endswith(b"\r\n\r\n" + body[::-1])
        assert (first + read_all(channel)).endswith(b"\r\n\r\n" + body)
