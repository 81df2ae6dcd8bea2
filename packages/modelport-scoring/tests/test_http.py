"""HTTP on the wire, against a running service."""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path

import pytest
from msgspec.structs import replace

from modelport_scoring import ErrorMode
from scoring_services import Gate, RunningService, Services, ask, read_all, wait_until


def post(body: bytes, *, headers: bytes = b"", version: bytes = b"1.1") -> bytes:
    head = b"POST /score HTTP/%b\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n"
    return head % (version, headers, len(body)) + body


def read_answers(data: bytes) -> list[tuple[int, bytes]]:
    """Status and body of each answer in the bytes."""
    answers = []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
        length = int(lengths[0].split(b":")[1]) if lengths else 0
        answers.append((int(lines[0].split()[1]), rest[:length]))
        data = rest[length:]
    return answers


# --- paths and methods ------------------------------------------------------------------------------------------------


def test_healthy(echo: RunningService) -> None:
    answer = echo.ask("GET", "/")
    assert (answer.status, answer.body) == (200, b"Healthy")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_head_has_the_length_and_no_body(echo: RunningService) -> None:
    received = echo.raw(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 7\r\n" in received
    assert received.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("PUT", "/score"), ("DELETE", "/score")])
def test_wrong_method_is_405(echo: RunningService, method: str, path: str) -> None:
    answer = echo.ask(method, path, body=b"{}")
    assert answer.status == 405
    assert method in answer.message
    assert "GET" in answer.headers["allow"]
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-request-id" not in answer.headers


RAW = """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse

def init(): pass

@rawhttp
def run(request):
    if "parts" in request.args:
        return AMLResponse((part for part in ["some", "more"]), 201)
    return AMLResponse(request.method.encode() * 2 + request.get_data(), 202)
"""


def test_a_raw_script_gets_head_and_the_body_of_a_get(services: Services) -> None:
    service = services.start(RAW)
    connection = service.connect()
    for query, status, length in (("", 202, "8"), ("?parts=1", 201, None), ("", 202, "8")):
        connection.request("HEAD", f"/score{query}")
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("content-length"), answer.read()) == (status, length, b"")
        assert answer.getheader("transfer-encoding") is None
    connection.request("GET", "/score", body=b"its body")
    assert connection.getresponse().read() == b"GETGETits body"
    connection.close()


def test_a_method_that_http_has_not_registered_is_405(echo: RunningService) -> None:
    received = echo.raw(b"FOO /score HTTP/1.1\r\nHost: x\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nallow: GET, HEAD, OPTIONS, POST\r\n" in received
    assert received.endswith(b'{"message": "The method FOO is none of HTTP"}')
    assert b"\r\nx-ms-run-function-failed: False\r\n" in received
    for garbage in (b"foo /score HTTP/1.1\r\n\r\n", b"FOO /score\r\n\r\n", b"\x16\x03\x01\x02", b"FOO /a HTTP/3.0\r\n"):
        assert echo.raw(garbage).startswith(b"HTTP/1.1 400 "), garbage


def test_texts_of_v1_where_errors_are_those_of_its_server(echo: RunningService) -> None:
    echo.control.configure(error_mode=ErrorMode.JSON)
    try:
        assert echo.ask("GET", "/nothing").message.startswith("The requested URL was not found on the server. If you")
        assert echo.ask("DELETE", "/").message == "The method is not allowed for the requested URL."
    finally:
        echo.control.configure(error_mode=ErrorMode.CLOUD)


@pytest.mark.parametrize("path", ["/nothing", "/score/", "/Score", "//score", "/score%2f", "/../score"])
def test_unknown_path_is_404(echo: RunningService, path: str) -> None:
    answer = echo.ask("GET", path)
    assert answer.status == 404
    assert path in answer.message
    assert answer.headers["x-ms-run-function-failed"] == "False"
    assert "x-ms-request-id" not in answer.headers


def test_options_is_200_and_empty(echo: RunningService) -> None:
    answer = echo.ask("OPTIONS", "/score")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", ["/", "/swagger.json", "/metrics"])
def test_options_of_what_is_only_read_names_the_methods(echo: RunningService, path: str) -> None:
    answer = echo.ask("OPTIONS", path)
    assert (answer.status, answer.body, answer.headers["allow"]) == (200, b"", "GET, HEAD, OPTIONS")


def test_options_of_the_whole_server_names_all_methods(echo: RunningService) -> None:
    """RFC 9110, 9.3.7: it asks for no path."""
    answer = echo.ask("OPTIONS", "*")
    assert (answer.status, answer.body, answer.headers["allow"]) == (200, b"", "GET, HEAD, OPTIONS, POST")


HEADERS = """
from azureml.contrib.services.aml_request import rawhttp

def init(): pass

@rawhttp
def run(request):
    return {"cookies": dict(request.cookies), "accept": request.headers["Accept"]}
"""


def test_a_repeated_header_is_one_and_cookies_are_all_found(services: Services) -> None:
    """RFC 9110, 5.2: joined with commas, which cookies are not."""
    with services.start(HEADERS).raw_connection() as channel:
        channel.sendall(
            b"GET /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: a=1\r\nAccept: text/plain\r\n"
            b"Cookie: b=2; c=3\r\nAccept: */*\r\ncookie: d=4\r\n\r\n"
        )
        ((status, body),) = read_answers(read_all(channel))
    assert status == 200
    assert json.loads(body) == {"cookies": {"a": "1", "b": "2", "c": "3", "d": "4"}, "accept": "text/plain, */*"}


# --- several requests on one connection -------------------------------------------------------------------------------


def test_keep_alive_serves_many_requests_on_one_connection(echo: RunningService) -> None:
    connection = echo.connect()
    for number in range(20):
        answer = ask(connection, "POST", "/score", body=str(number))
        assert answer.json == str(number)


def test_pipelined_requests_are_answered_in_order(echo: RunningService) -> None:
    requests = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" if number % 7 == 0 else post(b"%d" % number) for number in range(300)
    ]
    requests.append(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answers = read_answers(echo.raw(b"".join(requests)))
    expected = [b"Healthy" if number % 7 == 0 else b'"%d"' % number for number in range(300)]
    assert [body for _, body in answers[:-1]] == expected
    assert answers[-1][0] == 404


def all_are_ready(service: RunningService) -> None:
    wait_until(lambda: {worker.state for worker in service.status.workers} == {"ready"}, what="all workers are ready")


def test_of_one_connection_so_many_are_worked_on_at_once(services: Services, gate: Gate) -> None:
    """And of one with a raw script, one: its answers may be streams."""
    script = f"import os, time\ndef init(): pass\ndef run(data):\n    {gate.wait}\n    return data\n"
    raw = "from azureml.contrib.services.aml_request import rawhttp\n" + script.replace("def run", "@rawhttp\ndef run")
    raw = raw.replace("return data", "return data.method")
    for each, limits, most in ((script, {}, 4), (script, {"max_pipelined": 2}, 2), (raw, {}, 1)):
        service = services.start(each, workers=4, limits=limits)
        all_are_ready(service)
        seen: set[int] = set()
        with service.raw_connection() as channel:
            channel.sendall(post(b"x") * 4)
            while most not in seen:
                seen.add(service.status.requests_in_flight)
            seen |= {service.status.requests_in_flight for _ in range(20)}
            gate.open()
            received = b""
            channel.settimeout(0.01)
            while len(read_answers(received)) < 4:
                seen.add(service.status.requests_in_flight)
                with contextlib.suppress(TimeoutError):
                    received += channel.recv(65536)
        assert max(seen) == most
        gate.path.unlink()


def test_refusals_between_them_do_not_have_more_worked_on_at_once(services: Services, tmp_path: Path) -> None:
    waits = f"while not os.path.exists({str(tmp_path)!r} + '/' + data): time.sleep(0.005)"
    script = f"import os, time\ndef init(): pass\ndef run(data):\n    {waits}\n    return data\n"
    service = services.start(script, workers=4, limits={"max_pipelined": 1})
    all_are_ready(service)
    with service.raw_connection() as channel:
        channel.sendall(post(b"a") + b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n" * 3 + post(b"b") * 3)
        (tmp_path / "a").touch()
        received = b""
        while received.count(b"HTTP/1.1 ") < 4:
            received += channel.recv(65536)
        wait_until(lambda: service.status.requests_in_flight > 0, what="the next one")
        assert {service.status.requests_in_flight for _ in range(20)} == {1}
        (tmp_path / "b").touch()
        while received.count(b"HTTP/1.1 ") < 7:
            received += channel.recv(65536)
    assert [status for status, _ in read_answers(received)] == [200, 404, 404, 404, 200, 200, 200]


# --- how a request comes ----------------------------------------------------------------------------------------------


def test_a_request_may_come_in_any_pieces(echo: RunningService) -> None:
    with echo.raw_connection() as channel:
        for byte in post(b"slow", headers=b"Connection: close\r\n"):
            channel.sendall(bytes([byte]))
        assert read_answers(read_all(channel)) == [(200, b'"slow"')]


def test_http_1_0_closes_unless_asked_not_to(echo: RunningService) -> None:
    assert read_answers(echo.raw(post(b"a", version=b"1.0"))) == [(200, b'"a"')]
    with echo.raw_connection() as channel:
        channel.sendall(post(b"a", version=b"1.0", headers=b"Connection: keep-alive\r\n"))
        first = channel.recv(65536)
        assert b"connection: keep-alive\r\n" in first
        channel.sendall(post(b"b", version=b"1.0"))
        assert read_answers(read_all(channel)) == [(200, b'"b"')]


def test_chunked_body(echo: RunningService) -> None:
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    body = b"3;name=value\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: ignored\r\n\r\n"
    assert read_answers(echo.raw(head + body)) == [(200, b'"abcde"')]


def test_expect_continue_is_answered_before_the_body(echo: RunningService) -> None:
    with echo.raw_connection() as channel:
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n")
        channel.sendall(b"Connection: close\r\n\r\n")
        assert channel.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        channel.sendall(b"ok")
        assert read_answers(read_all(channel)) == [(200, b'"ok"')]


def test_a_refusal_comes_instead_of_100_continue(echo: RunningService) -> None:
    received = echo.raw(b"PUT /score HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 405 ")


def test_an_upgrade_is_not_made(echo: RunningService) -> None:
    upgrade = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    last = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = read_answers(echo.raw(b"GET / HTTP/1.1\r\nHost: x\r\n" + upgrade + b"\r\n" + last))
    assert answers == [(200, b"Healthy"), (200, b"Healthy")]


def test_two_megabytes_come_back(echo: RunningService) -> None:
    body = b"x" * (2 << 20)
    assert echo.score(body).json == body.decode()


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"nonsense\r\n\r\n", id="no request line"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two Hosts"),
        pytest.param(b"GET / HTTP/3.7\r\nHost: x\r\n\r\n", id="unknown version"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", id="space before the colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", id="folded line"),
        pytest.param(b"GET / HTTP/1.1\nHost: x\n\n", id="bare line feeds"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", id="NUL in a header"),
        pytest.param(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", id="negative length"),
        pytest.param(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", id="signed length"),
        pytest.param(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3, 3\r\n\r\nabc", id="list of lengths"),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", id="two lengths"
        ),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", id="equal lengths"
        ),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="length and chunked",
        ),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
            id="chunked and length",
        ),
        pytest.param(
            b"POST /score HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked in 1.0"
        ),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="unknown coding"
        ),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            id="chunked not last",
        ),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\n" + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
            id="chunked twice",
        ),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
            id="chunk size is no number",
        ),
        pytest.param(
            b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
            id="chunk longer than its size",
        ),
    ],
)
def test_what_two_readers_could_read_differently_is_refused(echo: RunningService, request_bytes: bytes) -> None:
    """Refused, and what follows is not taken for a request."""
    smuggled = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    answers = read_answers(echo.raw(request_bytes + smuggled))
    assert [status for status, _ in answers] in ([400], [501])
    assert json.loads(answers[0][1])["message"]


def test_a_refusal_waits_for_the_answers_before_it(echo: RunningService) -> None:
    answers = read_answers(echo.raw(post(b"one") + post(b"two") + b"nonsense\r\n\r\n"))
    assert [status for status, _ in answers] == [200, 200, 400]
    assert answers[1][1] == b'"two"'


def test_a_client_that_sends_half_a_body_and_leaves_harms_nobody(echo: RunningService) -> None:
    with echo.raw_connection() as channel:
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
    assert echo.score("after").json == "after"


# --- limits -----------------------------------------------------------------------------------------------------------


def test_limits_of_size(services: Services) -> None:
    service = services.start(limits={"max_body_bytes": 1000, "max_header_bytes": 2000})
    assert service.score(b"x" * 1000).status == 200
    by_length = service.score(b"x" * 1001)
    assert by_length.status == 413
    assert "max_body_bytes is 1000" in by_length.message
    head = b"POST /score HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    by_chunks = service.raw(head + b"320\r\n" + b"x" * 800 + b"\r\n320\r\n" + b"x" * 800 + b"\r\n0\r\n\r\n")
    assert by_chunks.startswith(b"HTTP/1.1 413 ")
    many = {f"header-{number}": "x" * 50 for number in range(50)}
    answer = service.ask("GET", "/", headers=many)
    assert answer.status == 431
    assert "max_header_bytes is 2000" in answer.message
    assert service.raw(b"GET /" + b"x" * 3000).startswith(b"HTTP/1.1 431 ")
    assert service.raw(b"GET / HTTP/1.1\r\nHost: x\r\nlong: " + b"x" * 3000).startswith(b"HTTP/1.1 431 ")
    assert service.raw(b"\r\n" * 2000).startswith(b"HTTP/1.1 431 ")


def test_a_large_upload_is_refused_before_it_is_sent_and_the_answer_arrives(services: Services) -> None:
    service = services.start(limits={"max_body_bytes": 1000})
    with service.raw_connection() as channel:
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 500_000)
        assert read_all(channel).startswith(b"HTTP/1.1 413 ")


def test_limits_of_time_and_number(services: Services) -> None:
    service = services.start(limits={"request_timeout_s": 0.3, "idle_timeout_s": 0.6, "max_connections": 3})
    late = service.raw(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhal")
    assert late.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout_s is 0.3" in late
    assert service.raw(b"GET / HT").startswith(b"HTTP/1.1 408 ")
    assert service.raw(b"") == b"", "the default would be longer"
    service.control.configure(limits=replace(service.settings.limits, idle_timeout_s=60.0))
    held = [service.raw_connection() for _ in range(3)]
    refused = service.raw(b"")
    for channel in held:
        channel.close()
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"max_connections is 3" in refused
    wait_until(lambda: "1 connections were turned away" in service.supervisor_log, what="a word of it in the log")
    wait_until(lambda: service.ask("GET", "/").status == 200, what="connections free again")


def test_a_client_that_does_not_read_is_not_read_from(services: Services) -> None:
    """Its requests stay with it, and the server's memory does not grow by their answers."""
    service = services.start('def init(): pass\ndef run(x): return "y" * 1_000_000\n', limits={"idle_timeout_s": 2.0})
    server = service.status.pid
    before = resident_kb(server)
    with service.raw_connection(patience_s=0.5) as channel:
        with pytest.raises(TimeoutError):
            for _ in range(2000):
                channel.sendall(post(b"z" * 100_000))
        assert resident_kb(server) - before < 150_000
        wait_until(lambda: service.score("x").status == 200, what="others are served meanwhile")
        deadline = time.monotonic() + 10
        channel.settimeout(10)
        with pytest.raises(ConnectionError):
            while time.monotonic() < deadline:
                channel.sendall(b"x" * 100_000)


def resident_kb(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_connections_are_counted(services: Services) -> None:
    service = services.start()

    def metrics() -> str:
        return service.ask("GET", "/metrics").body.decode()

    with service.raw_connection(), service.raw_connection():
        wait_until(lambda: "\nmodelport_connections 3.0\n" in metrics(), what="two, and the one that asks")
    wait_until(lambda: "\nmodelport_connections 1.0\n" in metrics(), what="they have gone")
    assert "\nmodelport_connections_opened_total 0.0\n" not in metrics()


def test_a_service_with_a_path_prefix_answers_without_it_too(services: Services) -> None:
    """v1's server only wrote it into the OpenAPI document; proxies that take it off stand before such servers."""
    service = services.start("def init(): pass\ndef run(data): return data", path_prefix="/api/demo/")
    for path in ("/", "/score", "/swagger.json", "/metrics", "/v2", "/v2/health/ready"):
        assert service.ask("GET", path).status == service.ask("GET", "/api/demo" + path).status == 200, path
    assert service.ask("GET", "/api/score").status == service.ask("GET", "/api/demo/api/demo/score").status == 404
