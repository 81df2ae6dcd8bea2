"""Clients that take more than they give: what one connection may cost is bounded, and the others are served meanwhile.

Elsewhere: requests that cannot be read (test_smuggling), those that come or are read slowly (test_http,
test_connection_ends), what the limits refuse (test_http, test_inference_service).
"""

from __future__ import annotations

import contextlib

import pytest

from modelport_scoring.http.connection import MOST_WAITING_BYTES
from scoring_services import Gate, Services, wait_until
from test_http import post, resident_kb

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
        assert sent < size + MOST_WAITING_BYTES
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
