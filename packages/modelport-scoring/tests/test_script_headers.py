"""Statuses and headers that scripts set, good and bad."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from scoring_services import RunningService, Services, read_all

SCRIPT = """
import json

from azureml.contrib.services.aml_request import rawhttp

class Response:
    is_streamed = False

    def __init__(self, status, headers, body):
        self.status_code, self.headers, self.body = status, dict(), body
        self.headers = headers

    def get_data(self):
        return self.body.encode()


# A response class that checks nothing: what the server lets through is the server's doing.
import azureml.contrib.services.aml_response as module
module.AMLResponse = Response


class Pairs(list):
    def items(self):
        return self


def init():
    pass


@rawhttp
def run(request):
    wanted = json.loads(request.args["answer"])
    return Response(wanted.get("status", 200), Pairs(wanted.get("headers", [])), wanted.get("body", "body"))
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("headers"))
    yield made.start(SCRIPT)
    made.end()


def exchange(service: RunningService, **answer: object) -> tuple[bytes, list[bytes], bytes]:
    """The first line, the header lines and the rest of what comes for that answer, and for ``/`` behind it."""
    target = quote(json.dumps(answer), safe="")
    with service.raw_connection() as channel:
        channel.sendall(
            f"GET /score?answer={target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        head, _, rest = read_all(channel).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    body, found, _ = rest.partition(b"HTTP/1.1 200 OK")
    assert found, "the connection goes on"
    return first, lines, body


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nX-Evil: 1"),
        ("X-A", "a\nX-Evil: 1"),
        ("X-A", "a\rX-Evil: 1"),
        ("X-A", "a\0b"),
        ("X-A", "a\x7fb"),
        ("X-A\r\nX-Evil", "1"),
        ("X-A\n", "1"),
        ("X-A: 1\r\nX-Evil", "1"),
        ("X A", "1"),
        ("X-A:", "1"),
        ("", "1"),
        (1, "1"),
        (None, "1"),
        ("X-Ä", "1"),
        ("X-A", "€"),
        ("Content-Type", "text/plain\r\n\r\n<script>"),
    ],
)
def test_header_injection_is_refused(service: RunningService, name: object, value: str) -> None:
    first, lines, body = exchange(service, headers=[[name, value]])
    assert first == b"HTTP/1.1 500 Internal Server Error"
    assert not [line for line in lines if line.lower().startswith((b"x-evil", b"x-a"))]
    assert b"answered with what HTTP cannot carry" in body


@pytest.mark.parametrize("status", [100, 101, 103, 199, 600, 999, 0, -1, 10**9, 200.5])
def test_a_status_that_is_no_answer_is_refused(service: RunningService, status: float) -> None:
    first, _, _ = exchange(service, status=status)
    assert first.split()[1] in (b"500", b"502")
    assert service.status.workers[0].restarts == 0


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_sends_none(service: RunningService, status: int) -> None:
    first, lines, body = exchange(service, status=status, body="not sent", headers=[["ETag", '"1"']])
    assert (first.split()[1], body) == (str(status).encode(), b"")
    assert not [line for line in lines if line.lower().startswith((b"content-length", b"transfer-encoding"))]
    assert b'ETag: "1"' in lines


def test_a_205_has_nothing_and_says_so(service: RunningService) -> None:
    first, lines, body = exchange(service, status=205, body="not sent")
    assert (first.split()[1], body) == (b"205", b"")
    assert b"content-length: 0" in lines  # RFC 9110, 15.3.6


@pytest.mark.parametrize(("status", "kept"), [(304, ["ETag", "Content-Location", "Expires"]), (204, None), (200, None)])
def test_only_where_nothing_has_changed_is_the_content_not_described(
    service: RunningService, status: int, kept: list[str] | None
) -> None:
    described = ["Content-Type", "content-encoding", "Content-Language", "Last-Modified", "Allow"]
    names = [*described, "ETag", "Content-Location", "Expires"]
    _, headers, _ = exchange(service, status=status, headers=[(name, "x/y") for name in names], body="")
    told = [name for name in names if f"{name}: x/y".encode() in headers]
    assert told == (names if kept is None else kept)


@pytest.mark.parametrize("status", [201, 206, 299, 302, 418, 451, 500, 599])
def test_other_statuses_pass(service: RunningService, status: int) -> None:
    first, _, body = exchange(service, status=status, body="passed")
    assert (first.split()[1], body) == (str(status).encode(), b"passed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Content-Length", "3"),
        ("content-length", "99999"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Proxy-Connection", "close"),
        ("Keep-Alive", "timeout=1"),
        ("Trailer", "X-A"),
        ("Upgrade", "websocket"),
        ("Date", "yesterday"),
        ("X-Ms-Run-Function-Failed", "Perhaps"),
        ("x-ms-request-id", "mine"),
    ],
)
def test_headers_of_the_framing_are_the_servers(service: RunningService, name: str, value: str) -> None:
    _, lines, body = exchange(service, headers=[[name, value]])
    assert body == b"body"
    assert f"{name}: {value}".lower().encode() not in [line.lower() for line in lines]
    assert [line for line in lines if line.startswith(b"content-length")] == [b"content-length: 4"]


def test_headers_of_one_name_stay_apart_and_in_order(service: RunningService) -> None:
    cookies = ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2; Path=/", "a=3"]
    _, lines, _ = exchange(service, headers=[["Set-Cookie", cookie] for cookie in cookies])
    assert [line for line in lines if line.startswith(b"Set-Cookie")] == [
        f"Set-Cookie: {cookie}".encode() for cookie in cookies
    ]


def test_what_latin_1_can_hold_passes(service: RunningService) -> None:
    _, lines, _ = exchange(service, headers=[["X-A", "gr\u00fc\u00dfe\tyou"]])
    assert "X-A: gr\u00fc\u00dfe\tyou".encode("latin-1") in lines
