"""Clients that take more than they give: what one connection may cost is bounded, and the others are served meanwhile.

Elsewhere: requests that cannot be read (test_smuggling), those that come or are read slowly (test_http,
test_connection_ends), what the limits refuse (test_http, test_inference_service).
"""

from __future__ import annotations

import contextlib
import re
import resource
import threading
from pathlib import Path

import psutil
import pytest

from modelport_scoring.http.answering import MOST_WAITING_BYTES
from scoring_services import Gate, Services, read_all, wait_until
from test_http import post, read_answers, resident_kb

MIB = 1024 * 1024

RAW = """
import os, time
from azureml.contrib.services.aml_request import rawhttp

def init(): pass

@rawhttp
def run(request):
    {wait}
    return request.method
"""
PLAIN = "import os, time\ndef init(): pass\ndef run(data):\n    {wait}\n    return 'POST'\n"


def _held_by_the_system() -> int:
    """How many bytes the two sockets of a connection hold at most (tcp(7))."""
    return sum(int(Path(f"/proc/sys/net/ipv4/tcp_{way}mem").read_text().split()[2]) for way in "rw")


@pytest.mark.parametrize("script", [RAW, PLAIN], ids=["raw", "plain"])
def test_large_bodies_behind_a_request_that_takes_long_are_not_read(
    services: Services, gate: Gate, script: str
) -> None:
    """Thirty-two may wait on a connection; with bodies of max_body_bytes each, that would be gigabytes."""
    size, count = 24 * MIB, 8
    service = services.start(script.format(wait=gate.wait))
    server = service.status.pid
    before = resident_kb(server)
    with service.raw_connection(patience_s=1.0) as channel:
        channel.sendall(post(b"first"))
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        requests = memoryview(post(b"x" * size) * count)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < len(requests):
                sent += channel.send(requests[sent : sent + MIB])
        assert sent < size + MOST_WAITING_BYTES + _held_by_the_system()
        assert (resident_kb(server) - before) * 1024 < 2 * size + MOST_WAITING_BYTES
        gate.open()
        channel.settimeout(20)
        received = bytearray()
        while received.count(b"HTTP/1.1 200 ") < count + 1:
            if sent < len(requests):
                sent += channel.send(requests[sent : sent + MIB])
            else:
                received += channel.recv(MIB)
        assert received.count(b'"POST"' if script is PLAIN else b"POST") == count + 1


def test_bodies_that_wait_behind_others_of_their_connections_are_bounded_together(
    services: Services, gate: Gate
) -> None:
    """A raw script gets one request of a connection at a time; the others are whole, and in no queue."""
    service = services.start(RAW.format(wait=gate.wait), limits={"max_queue_bytes": 7 * MIB // 2})
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(service.raw_connection()) for _ in range(4)]
        for channel in channels:
            channel.sendall(post(b"first") + post(b"x" * MIB, headers=b"Connection: close\r\n"))
        wait_until(lambda: b'status="503"' in service.ask("GET", "/metrics").body, what="one is refused")
        assert service.ask("GET", "/").status == 200
        gate.open()
        answers = [read_answers(read_all(channel)) for channel in channels]
    assert [each[0][0] for each in answers] == [200] * 4
    assert sorted(each[1][0] for each in answers) == [200, 200, 200, 503]
    assert b"limits.max_queue_bytes is " in max(answers, key=lambda each: each[1][0])[1][1]


def test_thousands_of_requests_in_one_read_hold_nobody_up(services: Services) -> None:
    """Their answers would take seconds to make, and all be kept for a client that reads none."""
    service = services.start()
    process = psutil.Process(service.status.pid)
    service.score("x")
    before, spent_s = resident_kb(process.pid), process.cpu_times().user
    with service.raw_connection() as channel:
        channel.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 5000)
        assert service.score("x").status == 200
        assert process.cpu_times().user - spent_s < 1.0
        assert resident_kb(process.pid) - before < 8 * 1024


def test_all_of_thousands_of_requests_in_one_read_are_answered_in_their_order(services: Services) -> None:
    count = 2000
    service = services.start()
    with service.raw_connection() as channel:
        requests = b"".join(post(b"%d" % number) for number in range(count))
        last = b"GET /score?last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        sender = threading.Thread(target=channel.sendall, args=(requests + last,))
        sender.start()
        bodies = [body for _, body in read_answers(read_all(channel))]
        sender.join()
    assert bodies == [*(b'"%d"' % number for number in range(count)), b'"{\\"last\\": \\"\\"}"']


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the table's size is told by Linux only")
def test_the_table_of_open_files_does_not_grow_while_clients_connect(services: Services) -> None:
    """The whole process would wait for that, each time it doubles."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    status = Path(f"/proc/{services.start().status.pid}/status").read_text()
    assert int(re.findall(r"FDSize:\s+(\d+)", status)[0]) >= min(4096, most)
