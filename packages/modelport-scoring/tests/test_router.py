"""The router as a process, before real scoring servers."""

from __future__ import annotations

import asyncio
import http.client
import os
import re
import signal
import socket
import ssl
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
import trustme
import uvloop
from prometheus_client import parser

from few_descriptors import room_for
from modelport_scoring import write_settings
from modelport_scoring.router.metrics import HELP, Metrics
from modelport_scoring.router.upstream import Unreachable, Upstream
from routers import RunningRouter, routing, url
from scoring_services import (
    PATIENCE_S,
    Gate,
    RunningService,
    Services,
    ask,
    read_all,
    refuses,
    wait_until,
)
from scripted_servers import Scripted, answering

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


# --- which version answers --------------------------------------------------------------------------------------------


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
        families = list(parser.text_string_to_metric_families(router.ask("GET", "/metrics").body.decode()))
        assert len(families) == len(HELP)
        assert [family.name for family in families if not family.documentation or family.type == "untyped"] == []


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


def test_want_of_descriptors_is_not_taken_for_a_version_that_is_down(capfd: pytest.CaptureFixture[str]) -> None:
    """Its share would go to another one."""

    async def connect() -> bool:
        loop = asyncio.get_running_loop()
        upstream = Upstream("http://127.0.0.1:9", revision=2, loop=loop, metrics=Metrics())
        with room_for(0), pytest.raises(Unreachable):
            await upstream.connect()
        without = upstream.is_down
        with pytest.raises(Unreachable):
            await upstream.connect()
        assert upstream.is_down
        return without

    assert not uvloop.run(connect())
    assert (
        "revision 2 cannot be reached at http://127.0.0.1:9: [Errno 24] Too many open files" in capfd.readouterr().err
    )


# --- what is passed on ------------------------------------------------------------------------------------------------


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


# --- its end, its certificates, its settings --------------------------------------------------------------------------


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
    with socket.create_server(("127.0.0.1", 0)) as taken:
        router = RunningRouter(tmp_path, {1: "http://127.0.0.1:1"})
        router.tell(port=taken.getsockname()[1])
        router.start()
        assert router.process is not None
        assert router.process.wait(PATIENCE_S) == 1
        assert "is taken: another program listens there" in router.log
