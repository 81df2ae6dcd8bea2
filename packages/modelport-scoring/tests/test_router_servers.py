"""The router before servers that misbehave, end, move, or are not there."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest

from modelport_scoring.http.request import Head
from modelport_scoring.router.forward import Forward
from modelport_scoring.router.metrics import Metrics
from modelport_scoring.router.routing import Routing
from modelport_scoring.router.settings import RouterSettings, UpstreamSettings
from modelport_scoring.router.upstream_connection import UpstreamConnection
from own_ports import own_port
from routers import RunningRouter, routing, url
from scoring_services import PATIENCE_S, Services, ask, kill_session, load, session_members, wait_until
from scripted_servers import (
    CODED,
    ENDS_IN_A_TRAILER,
    OK,
    Behaviour,
    Scripted,
    answering,
    breaking_off,
    closing_without_an_answer,
    refusing_early,
    saying_too_much,
    silent,
    streaming_early,
    taking_chunks,
    until_the_end,
    without_end,
)

LEARNS_S = 0.5
"""By then a router has seen that a server's connections are closed, on a busy machine, too."""

CLOSED = b"Replica closed connection before replying"

BLUE = """
def init(): pass
def run(x): return "blue"
"""


# --- they misbehave ---------------------------------------------------------------------------------------------------


def test_a_connection_that_the_server_has_closed_costs_nothing(tmp_path: Path) -> None:
    """It says nothing of it, and closes after each answer: what was on its way has reached nobody, and is sent anew."""
    with Scripted(answering(times=1)) as server, routing(tmp_path, {1: server.url}) as router:
        connection = router.connect()
        for number in range(300):
            answer = ask(connection, "POST", "/score", body=str(number))
            assert (answer.status, answer.body) == (200, b"ok")
        connection.close()
        bodies = [int(request.rpartition(b"\r\n\r\n")[2]) for request in server.requests]
        assert bodies == list(range(300)), "each was delivered once"


@pytest.mark.parametrize(
    ("behaviour", "status", "body"),
    [
        pytest.param(closing_without_an_answer, 502, CLOSED, id="closes without an answer"),
        pytest.param(answering(b"SSH-2.0-OpenSSH\r\n"), 502, CLOSED, id="speaks no HTTP"),
        pytest.param(answering(CODED), 502, CLOSED, id="codes what it sends"),
        pytest.param(without_end, 502, CLOSED, id="sends a head without end"),
        pytest.param(until_the_end, 200, b"all of it", id="tells the length by its end"),
        pytest.param(
            silent, 504, b'{"message": "Scoring timeout after 1 ms: limits.scoring_timeout_ms is 1.', id="is silent"
        ),
    ],
)
def test_a_server_that_misbehaves_is_asked_once(tmp_path: Path, behaviour: Behaviour, status: int, body: bytes) -> None:
    """It may have scored the request: that is not sent again."""
    limits = {"queue_wait_ms": 1, "scoring_timeout_ms": 1, "scoring_grace_ms": 1}
    with Scripted(behaviour) as server, routing(tmp_path, {1: server.url}, limits=limits) as router:
        answer = router.score()
        assert (answer.status, answer.body[: len(body)]) == (status, body)
        assert len(server.requests) == 1


class ReadsNothing:
    """A connection that was kept: its server takes nothing of the next request, and is gone."""

    is_closing = False
    made_at = float("inf")

    def ask(self, request: Forward) -> None:
        self._request = request

    def send(self, parts: list[bytes]) -> None:
        self._request.server_reads(False)
        self._request.lost(delivered=False)


class Waiting:
    """A client that waits for its answer."""

    address, scheme, must_end = b"192.0.2.1", b"http", False

    def __init__(self) -> None:
        self.told: list[bool] = []
        """Whether to send on, each time that it was told."""
        self.has_answer = asyncio.Event()

    def read_on(self, forward: Forward, reads: bool) -> None:
        self.told.append(reads)

    def send(self, parts: list[bytes]) -> None: ...

    def answered(self, forward: Forward, *, last: bool) -> None:
        self.has_answer.set()

    def broken(self) -> None:
        raise AssertionError("the request was lost")


def test_a_client_that_one_server_held_back_sends_on_to_the_next() -> None:
    """Else the rest of its request, and all that follow, would never be read."""

    async def told(url: str) -> list[bool]:
        settings = RouterSettings(name="demo", upstreams=[UpstreamSettings(revision=1, url=url)], default=1)
        routing, client = Routing(settings, loop=asyncio.get_running_loop(), metrics=Metrics()), Waiting()
        routing.upstreams[1].keep(cast(UpstreamConnection, ReadsNothing()))
        head = Head(method=b"POST", target=b"/score", version="1.1", headers={b"host": b"x"})
        forward = Forward(client, head, routing)
        forward.body_ended()
        forward.start()
        async with asyncio.timeout(PATIENCE_S):
            await client.has_answer.wait()
        routing.upstreams[1].close()
        return client.told

    with Scripted(answering()) as server:
        assert asyncio.run(told(server.url))[:2] == [False, True]


def test_what_a_server_says_unasked_is_nobodys_answer(tmp_path: Path) -> None:
    with Scripted(saying_too_much) as server, routing(tmp_path, {1: server.url}) as router:
        connection = router.connect()
        assert [ask(connection, "POST", "/score", body="x").body for _ in range(20)] == [b"ok"] * 20
        connection.close()


def test_a_server_that_ends_a_connection_in_a_trailer_is_taken_at_its_word(tmp_path: Path) -> None:
    """The parser reads nothing more of such a connection, even if the server goes on with it."""
    with Scripted(answering(ENDS_IN_A_TRAILER)) as server, routing(tmp_path, {1: server.url}) as router:
        connection = router.connect()
        assert [ask(connection, "POST", "/score", body="x").status for _ in range(3)] == [200] * 3
        connection.close()


@pytest.mark.parametrize(("status", "told"), [(204, None), (304, "7"), (200, "0")])
def test_a_204_has_no_length(tmp_path: Path, status: int, told: str | None) -> None:
    """RFC 9110, 8.6: not even of a server that sends one. A 304 may say how long the 200 would be."""
    answer = b"HTTP/1.1 %d Status\r\ncontent-length: %b\r\nx-kept: yes\r\n\r\n" % (status, (told or "0").encode())
    with Scripted(answering(answer)) as server, routing(tmp_path, {1: server.url}) as router:
        connection = router.connect()
        for _ in range(2):
            found = ask(connection, "POST", "/score", body="x")
            assert (found.status, found.body, found.headers["x-kept"]) == (status, b"", "yes")
            assert found.headers.get("content-length") == told
        connection.close()
        assert len(server.requests) == 2


def test_a_client_sees_that_an_answer_breaks_off(tmp_path: Path) -> None:
    with Scripted(breaking_off) as server, routing(tmp_path, {1: server.url}) as router:
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            router.score()
        assert router.metric('modelport_router_upstream_failures_total{revision="1",reason="broken"}') == 1


def test_chunks_that_come_together_go_on_as_one(tmp_path: Path) -> None:
    """Each by itself is several times as dear, for the router and for the server."""
    with (
        Scripted(taking_chunks) as server,
        routing(tmp_path, {1: server.url}) as router,
        socket.create_connection(("127.0.0.1", router.port), timeout=PATIENCE_S) as channel,
    ):
        head = b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        channel.sendall(head + b"1\r\nx\r\n" * 1000 + b"0\r\n\r\n")
        assert channel.recv(1000).startswith(b"HTTP/1.1 200 ")
        wait_until(lambda: bool(server.requests), what="what the server has got")
    _, _, body = server.requests[0].partition(b"\r\n\r\n")
    sizes = [int(size, 16) for size in body.split(b"\r\n")[:-1:2]]
    assert sum(sizes) == 1000
    assert len(sizes) < 100, sizes


def test_an_answer_before_the_end_of_the_request_ends_the_connection(tmp_path: Path) -> None:
    with (
        Scripted(refusing_early) as server,
        routing(tmp_path, {1: server.url}) as router,
        socket.create_connection(("127.0.0.1", router.port), timeout=PATIENCE_S) as channel,
    ):
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000)
        received = b""
        while not received.endswith(b"big"):
            received += channel.recv(1000)
        assert b"connection: close" in received


def test_a_client_that_breaks_off_an_answered_request_leaves_nothing(tmp_path: Path) -> None:
    """Else an answer without end would be received for nobody, and count as a request for ever."""
    with (
        Scripted(streaming_early) as server,
        routing(tmp_path, {1: server.url}) as router,
        socket.create_connection(("127.0.0.1", router.port), timeout=PATIENCE_S) as channel,
    ):
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        received = b""
        while not received.endswith(b"abc\r\n"):
            received += channel.recv(1000)
        channel.sendall(b"this is no chunk\r\n")
        with pytest.raises(ConnectionResetError):
            channel.recv(1000)
        wait_until(lambda: server.requests == [b"left"], what="the server to be left")
        assert router.metric("modelport_router_requests_in_flight") == 0


def test_no_request_hangs_on_a_connection_that_is_closed_at_once(tmp_path: Path) -> None:
    """As by a server that has too many, or is about to end. Who came before the end gets 502, and who came after it is
    sent anew; it depends on microseconds."""

    def close_three_of_four() -> None:
        with suppress(OSError):
            for number in range(1000):
                channel, _ = listening.accept()
                with channel:
                    if number % 4 == 3:
                        channel.recv(1000)
                        channel.sendall(OK)

    request = b"POST /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=close_three_of_four)
        thread.start()
        with routing(tmp_path, {1: f"http://127.0.0.1:{listening.getsockname()[1]}"}) as router:
            answers = [router.raw(request) for _ in range(16)]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert {answer[:13] for answer in answers} <= {b"HTTP/1.1 200 ", b"HTTP/1.1 502 "}


# --- they end, and move -----------------------------------------------------------------------------------------------


def test_only_what_a_killed_server_held_is_lost(services: Services, tmp_path: Path) -> None:
    service = services.start(BLUE)
    port = service.settings.port
    with routing(tmp_path, {1: url(service)}) as router:
        seen: Counter[Any] = Counter()
        lost: list[tuple[float, float]] = []
        deaths: list[tuple[float, float]] = []
        stop = threading.Event()

        def client() -> None:
            connection = router.connect()
            while not stop.is_set():
                begun = time.monotonic()
                answer = ask(connection, "POST", "/score", body="x")
                seen[answer.status, answer.body] += 1
                if answer.status == 502:
                    lost.append((begun, time.monotonic()))
            connection.close()

        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(client) for _ in range(4)]
            for _ in range(3):
                count = seen.total()
                wait_until(lambda: seen.total() > count + 300, what="load")  # noqa: B023
                assert service.process is not None
                leader, begun = service.process.pid, time.monotonic()
                kill_session(leader)
                service.process.wait()
                wait_until(lambda: not session_members(leader), what="all of it has ended")  # noqa: B023
                deaths.append((begun, time.monotonic() + LEARNS_S))
                service.start()
                assert service.settings.port == port
            count = seen.total()
            wait_until(lambda: seen.total() > count + 300, what="load")
            stop.set()
            for each in clients:
                each.result()
        assert seen.pop((502, CLOSED), 0) == len(lost)
        assert set(seen) == {(200, b'"blue"')}, seen
        for begun, answered in lost:  # a process that dies closes its connections one after the other
            assert any(begun <= death_ended and answered >= death_begun for death_begun, death_ended in deaths)


def test_a_server_that_drains_loses_nothing(services: Services, tmp_path: Path) -> None:
    """As in a rolling update: one of two servers of a version ends, under load."""
    first, second = services.start(BLUE), services.start(BLUE)
    with routing(tmp_path, {1: url(first), 2: url(second)}, traffic={"weights": {"2": 50}}) as router:
        with load(router) as seen:
            for _ in range(4):
                count = seen.total()
                wait_until(lambda: seen.total() > count + 300, what="load")  # noqa: B023
                second.end()
                second.start()
        assert set(seen) == {(200, b'"blue"')}, f"{seen} {router.log}"


def test_a_name_may_get_another_address(tmp_path: Path) -> None:
    """As that of a service whose pods are others now; the router has its own view of /etc/hosts."""
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0 or subprocess.run([*unshare, "true"], check=False).returncode != 0:
        pytest.skip("needs root, for a file of hosts of its own")
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.2 versions.test\n")
    with Scripted(answering(), host="127.0.0.2") as before:
        port = before.port
        with Scripted(answering(), host="127.0.0.3", port=port) as after:
            router = RunningRouter(tmp_path, {1: f"http://versions.test:{port}"})
            router.prefix = [*unshare, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts)]
            router.start()
            try:
                assert [router.score().body for _ in range(3)] == [b"ok"] * 3
                assert len(before.requests) == 3
                hosts.write_text("127.0.0.3 versions.test\n")
                wait_until(lambda: router.score().body == b"ok" and bool(after.requests), what="the other address")
                count = len(before.requests)
                assert [router.score().body for _ in range(3)] == [b"ok"] * 3
                assert len(before.requests) == count
            finally:
                assert router.end() == 0


# --- they are not there, or have much to do ---------------------------------------------------------------------------


def test_requests_wait_for_a_server_within_limits(services: Services, tmp_path: Path) -> None:
    service = services.start(BLUE)
    urls = {1: url(service)}
    service.end()
    with routing(tmp_path, urls, limits={"max_queue_length": 2}) as router, ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(router.score) for _ in range(2)]
        wait_until(lambda: router.metric("modelport_router_requests_waiting") == 2, what="two that wait")
        refused = router.score()
        assert (refused.status, refused.body) == (503, b"Too many requests for service demo (overloaded)")
        assert refused.headers["modelport-limit"] == "max_queue_length"
        service.start()
        assert [each.result().json for each in waiting] == ["blue", "blue"]


def test_a_router_that_is_overloaded_says_how_it_is(tmp_path: Path) -> None:
    """Else it would be started again, for nothing but that it has much to do."""
    with (
        Scripted(silent) as server,
        routing(tmp_path, {1: server.url}, limits={"max_concurrent_requests": 1}) as router,
        socket.create_connection(("127.0.0.1", router.port)) as channel,
    ):
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        wait_until(lambda: len(server.requests) == 1, what="one under way")
        assert router.score().headers["modelport-limit"] == "max_concurrent_requests"
        assert router.ask("GET", "/").body == b"Healthy"
        assert router.metric("modelport_router_requests_in_flight") == 1


def test_who_waits_for_a_server_goes_where_the_settings_say_meanwhile(tmp_path: Path) -> None:
    with Scripted(answering()) as server, ThreadPoolExecutor(2) as pool:
        urls = {1: f"http://127.0.0.1:{own_port()}", 2: server.url}
        with routing(tmp_path, urls, traffic={"version_header": "modelport-revision"}) as router:
            waiting = [pool.submit(router.score), pool.submit(router.score, modelport_revision="v1")]
            wait_until(lambda: router.metric("modelport_router_requests_waiting") == 2, what="two that wait")
            router.tell(default=2, upstreams=[{"revision": 2, "url": server.url}])
            assert [each.result().status for each in waiting] == [200, 404]
