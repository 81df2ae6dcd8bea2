"""The router as a process, before real scoring servers, and before servers that misbehave."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import trustme

from modelport_scoring import write_settings
from routers import RunningRouter, free_port
from scoring_services import (
    PATIENCE_S,
    Gate,
    RunningService,
    Services,
    ask,
    kill_session,
    read_all,
    refuses,
    session_members,
    wait_until,
)

LEARNS_S = 0.5
"""By then a router has seen that a server's connections are closed, on a busy machine, too."""

WHO = """
import os, time
def init(): pass
def run(x):
    if x.startswith("sleep "):
        time.sleep(float(x.split()[1]))
    return NAME
"""

RAW = """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
import os, time
def init(): pass
@rawhttp
def run(request):
    def events():
        for number in range(int(request.args.get("events", "3"))):
            yield b"data: %d" % number + b"x" * int(request.args.get("bytes", "0")) + bytes([10, 10])
            time.sleep(float(request.args.get("pause", "0")))
            while "until" in request.args and not os.path.exists(request.args["until"] + str(number)):
                time.sleep(0.005)
    if "events" in request.args:
        return AMLResponse(events(), 200, {"Content-Type": "text/event-stream"})
    return AMLResponse(b"%d" % len(request.get_data()), 200)
"""


def url(service: RunningService) -> str:
    return f"http://127.0.0.1:{service.settings.port}"


def who(name: str) -> str:
    return WHO.replace("NAME", repr(name))


@pytest.fixture
def blue_and_green(services: Services) -> tuple[RunningService, RunningService]:
    """As the servers of an endpoint's versions: each hosts its own revision alone, and knows it by its number."""
    made = [services.make(who(name), traffic={"version_header": "modelport-revision"}) for name in ("blue", "green")]
    green = made[1].settings
    revision = msgspec.structs.replace(green.revision, number=2)
    write_settings(made[1].folder, msgspec.structs.replace(green, revision=revision))
    return made[0].start(), made[1].start()


@contextmanager
def routing(folder: Path, urls: dict[int, str], **settings: Any) -> Iterator[RunningRouter]:
    router = RunningRouter(folder, urls, **settings).start()
    try:
        yield router
    finally:
        assert router.end() == 0, router.log
    assert "Traceback" not in router.log, router.log


class Scripted:
    """A server of TCP that does with each connection what it is told, and keeps what it got."""

    def __init__(
        self, *behaviours: Callable[[socket.socket, Scripted], None], host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._behaviours = list(behaviours)
        self._listening = socket.create_server((host, port))
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://{host}:{self.port}"
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def request(self, channel: socket.socket) -> bytes:
        """One request with a Content-Length, or none."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = channel.recv(65536)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        while length is not None and len(body) < int(length[1]):
            piece = channel.recv(65536)
            if not piece:
                return b""
            body += piece
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]

    def _serve(self) -> None:
        threads = []
        while True:
            try:
                channel, _ = self._listening.accept()
            except OSError:
                break
            behaviour = self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]
            threads.append(threading.Thread(target=self._run, args=(behaviour, channel)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _run(self, behaviour: Callable[[socket.socket, Scripted], None], channel: socket.socket) -> None:
        channel.settimeout(15)
        with channel, suppress(OSError):
            behaviour(channel, self)


OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def answering(answer: bytes = OK, *, times: int = 1000) -> Callable[[socket.socket, Scripted], None]:
    """So many requests, and then it closes."""

    def behave(channel: socket.socket, server: Scripted) -> None:
        for _ in range(times):
            if not server.request(channel):
                return
            channel.sendall(answer)

    return behave


def test_versions_share_by_weight_and_are_had_by_name(
    blue_and_green: tuple[RunningService, RunningService], tmp_path: Path
) -> None:
    blue, green = blue_and_green
    traffic = {"weights": {"2": 30}, "sticky_header": "x-user", "version_header": "modelport-revision"}
    with routing(tmp_path, {1: url(blue), 2: url(green)}, traffic=traffic) as router:
        connection = router.connect()
        seen = Counter(ask(connection, "POST", "/score", body="x").json for _ in range(600))
        assert 100 < seen["green"] < 270
        for user in ("a", "b", "c"):
            ones = {ask(connection, "POST", "/score", body="x", headers={"X-User": user}).json for _ in range(10)}
            assert len(ones) == 1
        connection.close()
        for name, expected in (("v2", "green"), ("2", "green"), ("v1", "blue"), ("1", "blue")):
            answer = router.score(modelport_revision=name)
            assert answer.json == expected
            assert answer.headers["modelport-revision"] == {"blue": "1", "green": "2"}[expected]
        answer = router.score(modelport_revision="v3")
        assert (answer.status, answer.message) == (
            404,
            "There is no such revision of service demo: modelport-revision may be 1 (v1), 2 (v2)",
        )
        # the settings change while requests come
        router.tell(traffic={"weights": {"2": 100}})
        router.wait_for("are in force")
        assert {router.score().json for _ in range(20)} == {"green"}
        router.file.write_text("{")
        router.wait_for("the old ones stay in force: .*router.json: ")
        router.tell(port=1, traffic={"weights": {"3": 1}})
        router.wait_for("revision 3 is not hosted")
        router.tell(traffic={})
        router.wait_for("are in force, but for port")
        assert {router.score().json for _ in range(20)} == {"blue"}
        assert router.metric('modelport_router_requests_total{revision="2",status="200"}') > 100


def test_a_version_that_is_down_gives_its_share_to_the_default_one(
    blue_and_green: tuple[RunningService, RunningService], tmp_path: Path
) -> None:
    blue, green = blue_and_green
    traffic = {"weights": {"2": 90}, "version_header": "modelport-revision"}
    limits = {"queue_wait_ms": 500}
    with routing(tmp_path, {1: url(blue), 2: url(green)}, traffic=traffic, limits=limits) as router:
        assert {router.score().json for _ in range(30)} >= {"green"}
        green.end()
        assert {(answer.status, answer.json) for answer in (router.score() for _ in range(30))} == {(200, "blue")}
        asked = router.score(modelport_revision="v2")
        assert (asked.status, asked.body) == (503, b"No ready replicas for service demo")
        assert asked.headers["retry-after"] == "1"
        assert router.metric('modelport_router_fallbacks_total{revision="2"}') >= 1
        assert "revision 2 cannot be reached at http://127.0.0.1" in router.log
        green.start()
        wait_until(lambda: router.score().json == "green", what="its share is its own again")
        blue.end()
        assert router.score(modelport_revision="1").status == 503
        assert router.ask("GET", "/").body == b"Healthy", "a router without upstreams works"


def test_heads_are_passed_on_without_what_is_of_one_hop(tmp_path: Path) -> None:
    answer = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
        b"Keep-Alive: timeout=5\r\nConnection: x-hop\r\nX-Hop: secret\r\nContent-Length: 2\r\n\r\nok"
    )
    with Scripted(answering(answer)) as server, routing(tmp_path, {1: server.url}) as router:
        got = router.raw(
            b"POST /score?a=%20b HTTP/1.1\r\nHost: public.example\r\nAuthorization: Bearer key\r\nContent-Length: 2\r\n"
            b"Connection: close, X-Mine, Content-Length\r\nX-Mine: 1\r\nTE: trailers\r\nUpgrade: h2c\r\n"
            b"X-Forwarded-For: 10.0.0.1\r\nExpect: 100-continue\r\n\r\nhi"
        )
        lines = server.requests[0].decode().split("\r\n")
        assert lines[0] == "POST /score?a=%20b HTTP/1.1"
        assert sorted(lines[1:-2]) == [
            "authorization: Bearer key",
            "content-length: 2",
            "host: public.example",
            "via: 1.1 modelport",
            "x-forwarded-for: 10.0.0.1, 127.0.0.1",
            "x-forwarded-host: public.example",
            "x-forwarded-proto: http",
        ]
        assert lines[-1] == "hi"
        assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\n")
        assert got.count(b"Set-Cookie: ") == 2
        assert b"x-hop" not in got.lower()
        assert b"keep-alive" not in got.lower()
        assert got.endswith(b"connection: close\r\n\r\nok")


SMUGGLED = [
    b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"POST /score HTTP/1.1\nHost: x\n\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
    b"POST /sc ore HTTP/1.1\r\nHost: x\r\n\r\n",
    b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
]


def test_what_two_readers_could_read_differently_reaches_no_server(tmp_path: Path) -> None:
    with Scripted(answering()) as server, routing(tmp_path, {1: server.url}) as router:
        for request in SMUGGLED:
            answer = router.raw(request + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
            assert re.match(rb"HTTP/1.1 (400|501)", answer), (request, answer)
            assert len(re.findall(rb"HTTP/1\.1 \d", answer)) == 1
        assert [request for request in server.requests if b"smuggled" in request] == []


def test_pipelined_requests_are_answered_in_order(services: Services, tmp_path: Path) -> None:
    service = services.start()
    with routing(tmp_path, {1: url(service)}) as router:
        requests = [b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n%03d" % n for n in range(200)]
        last = b"POST /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\nend"
        answers = router.raw(b"".join(requests) + last)
        assert [int(text) for text in re.findall(rb'"(\d{3})"', answers)] == list(range(200))
        assert answers.endswith(b'"end"')


def test_a_refusal_behind_a_slow_answer_is_not_lost(services: Services, tmp_path: Path) -> None:
    service = services.start(who("blue"))
    with routing(tmp_path, {1: url(service)}, limits={"request_timeout_s": 0.5}) as router:
        slow = b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nsleep 2.5"
        with socket.create_connection(("127.0.0.1", router.port), timeout=15) as channel:
            channel.sendall(slow + b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            time.sleep(0.1)
            channel.sendall(b"3\rabc")
            answers = read_all(channel)
        assert re.findall(rb"HTTP/1\.1 (\d+)", answers) == [b"200", b"400"]


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


def closing_without_an_answer(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)


def breaking_off(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)
    channel.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")


def saying_too_much(channel: socket.socket, server: Scripted) -> None:
    while server.request(channel):
        channel.sendall(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale")


def until_the_end(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)
    channel.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of")
    time.sleep(0.1)
    channel.sendall(b" it")


def silent(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)
    channel.recv(1)


def refusing_early(channel: socket.socket, server: Scripted) -> None:
    channel.recv(1000)
    channel.sendall(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
    channel.shutdown(socket.SHUT_WR)
    time.sleep(0.5)


def without_end(channel: socket.socket, server: Scripted) -> None:
    server.request(channel)
    channel.sendall(b"HTTP/1.1 200 OK\r\nx: ")
    with suppress(OSError):
        while True:
            channel.sendall(b"y" * 100_000)


CODED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n"


def test_servers_that_misbehave(tmp_path: Path) -> None:
    limits = {"queue_wait_ms": 1, "scoring_timeout_ms": 1, "scoring_grace_ms": 1}
    for number, (behaviour, status, body) in enumerate(
        [
            (closing_without_an_answer, 502, b"Replica closed connection before replying"),
            (answering(b"SSH-2.0-OpenSSH\r\n"), 502, b"Replica closed connection before replying"),
            (answering(CODED), 502, b"Replica closed connection before replying"),
            (without_end, 502, b"Replica closed connection before replying"),
            (until_the_end, 200, b"all of it"),
            (silent, 504, b'{"message": "Scoring timeout after 1 ms: limits.scoring_timeout_ms is 1.'),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        with Scripted(behaviour) as server, routing(folder, {1: server.url}, limits=limits) as router:
            answer = router.score()
            assert (answer.status, answer.body[: len(body)]) == (status, body)
            assert len(server.requests) == 1, "it may have been scored: it is not sent again"
    folder = tmp_path / "more"
    folder.mkdir()
    with Scripted(saying_too_much) as server, routing(folder, {1: server.url}) as router:
        connection = router.connect()
        assert [ask(connection, "POST", "/score", body="x").body for _ in range(20)] == [b"ok"] * 20
        connection.close()
    folder = tmp_path / "broken"
    folder.mkdir()
    with Scripted(breaking_off) as server, routing(folder, {1: server.url}) as router:
        with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
            router.score()
        assert router.metric('modelport_router_upstream_failures_total{revision="1",reason="broken"}') == 1
    folder = tmp_path / "early"
    folder.mkdir()
    with (
        Scripted(refusing_early) as server,
        routing(folder, {1: server.url}) as router,
        socket.create_connection(("127.0.0.1", router.port), timeout=5) as channel,
    ):
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000)
        received = b""
        while not received.endswith(b"big"):
            received += channel.recv(1000)
        assert b"connection: close" in received


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
            answers = [router.raw(request, patience_s=5) for _ in range(16)]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()
    assert {answer[:13] for answer in answers} <= {b"HTTP/1.1 200 ", b"HTTP/1.1 502 "}


def test_large_bodies_and_streams_do_not_pile_up(services: Services, tmp_path: Path) -> None:
    service = services.start(RAW, limits={"max_body_bytes": 300_000_000})
    with routing(tmp_path, {1: url(service)}, limits={"max_body_bytes": 300_000_000}) as router:
        assert router.process is not None
        process = psutil.Process(router.process.pid)
        before = process.memory_info().rss
        assert router.score(b"x" * 150_000_000).body == b"150000000"
        with socket.create_connection(("127.0.0.1", router.port), timeout=20) as channel:
            channel.sendall(b"GET /score?events=2000&bytes=100000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            time.sleep(1.5)  # a client that does not read
            assert process.memory_info().rss - before < 40_000_000
            received = 0
            while piece := channel.recv(1_000_000):
                received += len(piece)
            assert received > 200_000_000
        assert process.memory_info().rss - before < 40_000_000


def test_events_arrive_when_they_are_made(services: Services, tmp_path: Path) -> None:
    service = services.start(RAW)
    with routing(tmp_path, {1: url(service)}) as router:
        connection = router.connect()
        connection.request("GET", f"/score?events=3&until={tmp_path}/read-")
        answer = connection.getresponse()
        assert answer.getheader("content-type") == "text/event-stream"
        for number in range(3):
            assert answer.read(9) == b"data: %d\n\n" % number
            (tmp_path / f"read-{number}").touch()  # which the next one waits for
        assert answer.read() == b""
        connection.close()
        # a client that goes ends the script's work
        connection = router.connect()
        connection.request("GET", "/score?events=1000&pause=0.05")
        connection.getresponse().read(9)
        connection.close()
        wait_until(lambda: service.status.requests_in_flight == 0, what="the end of it")


def test_a_slow_client_is_given_up(services: Services, tmp_path: Path) -> None:
    service = services.start()
    with routing(tmp_path, {1: url(service)}, limits={"request_timeout_s": 1, "idle_timeout_s": 1}) as router:
        answer = router.raw(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert router.raw(b"") == b""
        assert router.score("still").json == "still"


def test_only_what_a_killed_server_held_is_lost(services: Services, tmp_path: Path) -> None:
    service = services.start(who("blue"))
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
        assert seen.pop((502, b"Replica closed connection before replying"), 0) == len(lost)
        assert set(seen) == {(200, b'"blue"')}, seen
        for begun, answered in lost:  # a process that dies closes its connections one after the other
            assert any(begun <= death_ended and answered >= death_begun for death_begun, death_ended in deaths)


def test_a_server_that_drains_loses_nothing(services: Services, tmp_path: Path) -> None:
    """As in a rolling update: one of two servers of a version ends, under load."""
    first, second = services.start(who("blue")), services.start(who("blue"))
    with routing(tmp_path, {1: url(first), 2: url(second)}, traffic={"weights": {"2": 50}}) as router:
        seen: Counter[Any] = Counter()
        stop = threading.Event()

        def client() -> None:
            connection = router.connect()
            while not stop.is_set():
                answer = ask(connection, "POST", "/score", body="x")
                seen[answer.status, answer.body] += 1
            connection.close()

        with ThreadPoolExecutor(4) as pool:
            clients = [pool.submit(client) for _ in range(4)]
            for _ in range(4):
                count = seen.total()
                wait_until(lambda: seen.total() > count + 300, what="load")  # noqa: B023
                second.end()
                second.start()
            stop.set()
            for each in clients:
                each.result()
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


def test_requests_wait_for_a_server_within_limits(services: Services, tmp_path: Path) -> None:
    service = services.start(who("blue"))
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
        urls = {1: f"http://127.0.0.1:{free_port()}", 2: server.url}
        with routing(tmp_path, urls, traffic={"version_header": "modelport-revision"}) as router:
            waiting = [pool.submit(router.score), pool.submit(router.score, modelport_revision="v1")]
            wait_until(lambda: router.metric("modelport_router_requests_waiting") == 2, what="two that wait")
            router.tell(default=2, upstreams=[{"revision": 2, "url": server.url}])
            assert [each.result().status for each in waiting] == [200, 404]


def test_the_router_drains(services: Services, gate: Gate, tmp_path: Path) -> None:
    service = services.start(who("blue").replace("time.sleep(float(x.split()[1]))", gate.wait), workers=2)
    router = RunningRouter(tmp_path, {1: url(service)}).start()
    kept = router.connect()
    assert ask(kept, "POST", "/score", body="x").status == 200
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(router.score("sleep until told")))
    thread.start()
    wait_until(lambda: service.status.requests_in_flight == 1, what="the request")
    assert router.process is not None
    router.process.send_signal(signal.SIGTERM)
    wait_until(lambda: refuses(router.port), what="no new connections are accepted")
    last = ask(kept, "POST", "/score", body="x")
    assert (last.status, last.headers["connection"]) == (200, "close")
    kept.close()
    gate.open()
    thread.join()
    assert answers[0].json == "blue"
    assert router.process.wait(PATIENCE_S) == 0


def test_tls_on_both_sides(services: Services, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}
    service = services.start(tls=tls)
    os.environ["SSL_CERT_FILE"] = str(tmp_path / "ca.pem")
    try:
        urls = {1: f"https://localhost:{service.settings.port}"}
        with routing(tmp_path, urls, tls={"certificate": "tls.crt", "key": "tls.key"}) as router:
            trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            connection = http.client.HTTPSConnection("localhost", router.port, timeout=10, context=trusting)
            for _ in range(3):
                assert ask(connection, "POST", "/score", body="x").json == "x"
            connection.close()
    finally:
        del os.environ["SSL_CERT_FILE"]


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    for wrong, text in (
        ({"default": 3}, "default is revision 3, which is none of the upstreams"),
        ({"upstreams": [{"revision": 1, "url": "localhost:80"}]}, "must be as http://host:80, not 'localhost:80'"),
        ({"upstreams": [{"revision": 1, "url": f"http://{'a' * 64}.svc"}]}, "must be as http://host:80"),
        ({"traffic": {"shadow": 2}}, "a router makes no copies"),
        ({"limits": {"max_connections": 0}}, "limits.max_connections must be above 0"),
        ({"upsteams": []}, "unknown field `upsteams`"),
        ({"tls": {"certificate": "none.crt", "key": "none.key"}}, "the certificate .*none.crt cannot be read"),
    ):
        router = RunningRouter(tmp_path, {1: "http://127.0.0.1:1", 2: "http://127.0.0.1:2"})
        router.tell(**wrong)
        router.start()
        assert router.process is not None
        assert router.process.wait(PATIENCE_S) == 1
        assert re.search(f"the router cannot serve: .*{text}", router.log), router.log
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        router = RunningRouter(tmp_path, {1: "http://127.0.0.1:1"})
        router.tell(port=taken.getsockname()[1])
        router.start()
        assert router.process is not None
        assert router.process.wait(PATIENCE_S) == 1
        assert "is taken: another program listens there" in router.log
