"""The tricks of test_smuggling, through the router: it refuses what the server refuses, and passes on what it takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from modelport_scoring import ServiceSettings
from routers import RunningRouter, routing
from scoring_services import RunningService, Services
from scripted_servers import Scripted, answering
from test_smuggling import (
    COUNTS,
    UNKNOWN_METHOD,
    check,
    every_way,
    test_a_path_is_taken_as_it_is,
    test_a_request_that_ends_early_is_none,
    test_a_target_in_absolute_form_is_served,
    test_a_thousand_pipelined_requests_are_each_run_once,
    test_chunks,
    test_content_length,
    test_lines,
    test_nothing_behind_connection_close_is_run,
    test_one_more_byte_makes_another_head,
    test_request_line,
    test_trailers_are_no_headers,
    test_transfer_encoding,
)

__all__ = [
    "test_a_path_is_taken_as_it_is",
    "test_a_request_that_ends_early_is_none",
    "test_a_target_in_absolute_form_is_served",
    "test_a_thousand_pipelined_requests_are_each_run_once",
    "test_chunks",
    "test_content_length",
    "test_lines",
    "test_nothing_behind_connection_close_is_run",
    "test_one_more_byte_makes_another_head",
    "test_request_line",
    "test_trailers_are_no_headers",
    "test_transfer_encoding",
]
"""What pytest finds here, with the fixture of this module."""

LIMITS = {"max_header_bytes": 8192, "max_body_bytes": 100_000, "request_timeout_s": 0.5}


class Routed(RunningService):
    """A service whose clients come to a router before it."""

    router: RunningRouter

    @property
    def settings(self) -> ServiceSettings:
        return msgspec.structs.replace(super().settings, port=self.router.port)


@pytest.fixture(scope="module")
def counting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("routed")
    made = Services(folder)
    service = made.start(COUNTS, limits=LIMITS)
    url = f"http://127.0.0.1:{service.settings.port}"
    routed = Routed(folder=service.folder, bundles=service.bundles, process=service.process)
    routed.router = RunningRouter(folder, {1: url}, limits=LIMITS).start()
    yield routed
    assert routed.router.end() == 0
    assert "Traceback" not in routed.router.log
    made.end()


@every_way
def test_an_unknown_method(counting: RunningService, way: str) -> None:
    """It is named where it is the first thing in what was read: a router knows no heads, and takes those before it for
    the parser's, which does not tell where one begins."""
    expected = 400 if way == "behind a known head" else 405
    check(counting, UNKNOWN_METHOD, way=way, expected=[expected], runs=[])


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
