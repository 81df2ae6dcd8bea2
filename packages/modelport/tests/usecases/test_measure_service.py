"""Measuring: a real HTTP server that answers as told, and what a service uses as numbers."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from modelport.domain.errors import WebserviceException
from modelport.targets.interface import Usage
from modelport.usecases.measure_service import MemoryExceeded, Watch, measure

GB = 2**30


class Answers(BaseHTTPRequestHandler):
    """The body says what becomes of the request."""

    protocol_version = "HTTP/1.1"
    connections: set[object] = set()

    def do_POST(self) -> None:
        self.connections.add(self.client_address)
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        status, _, word = body.partition(" ")
        time.sleep(0.02 if word == "slow" else 0)
        if word == "gone":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")
            self.close_connection = True
            return
        self.send_response(int(status))
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        return None


@contextmanager
def serving() -> Iterator[int]:
    Answers.connections.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def watch(*, cores: float = 0.5, gb_per_s: float = 0.0, most_gb: float = float("inf")) -> Watch:
    """Of a service that uses so many cores, and so much more memory each second."""
    begun = time.monotonic()

    def usage() -> Usage:
        seconds = time.monotonic() - begun
        memory = int(gb_per_s * seconds * GB)
        return Usage(cpu_s=cores * seconds, memory_bytes=memory, peak_memory_bytes=memory + GB // 4)

    return Watch(usage=usage, most_memory_bytes=most_gb * GB)


def test_requests_go_one_after_the_other_over_one_connection() -> None:
    with serving() as port:
        measured = measure("127.0.0.1", port, ["200 slow"] * 40 + ["503 ü"] * 10, watch(), within_s=60)
    assert len(Answers.connections) == 1
    assert (measured.total_queries, measured.success_queries, measured.success_rate) == (50, 40, 80.0)
    assert 20 <= measured.latency_percentiles_ms["50"] <= measured.latency_percentiles_ms["999"]
    assert measured.max_cpu == pytest.approx(0.5, abs=0.05)
    assert measured.max_memory_gb == 0.25
    assert measured.queries_per_second < 60


def test_a_short_measurement_has_its_cpu_as_a_whole() -> None:
    with serving() as port:
        measured = measure("127.0.0.1", port, ["200 slow"] * 3, watch(cores=2), within_s=60)
    assert measured.max_cpu == pytest.approx(2, abs=0.3)


def test_it_ends_in_time() -> None:
    with serving() as port:
        measured = measure("127.0.0.1", port, ["200 slow"] * 1000, watch(), within_s=0.3)
    assert 1 < measured.total_queries < 20


def test_memory_that_is_watched_is_not_exceeded() -> None:
    with serving() as port, pytest.raises(MemoryExceeded, match=r"used 0\.\d+ GB of memory, and may use 0\.5 GB"):
        measure("127.0.0.1", port, ["200 slow"] * 1000, watch(gb_per_s=1, most_gb=0.5), within_s=60)


def test_what_stops_it() -> None:
    with serving() as port:
        with pytest.raises(WebserviceException, match="stopped answering after 1 requests: IncompleteRead"):
            measure("127.0.0.1", port, ["200 x", "200 gone", "200 x"], watch(), within_s=60)
        with pytest.raises(WebserviceException, match=r"None of 2 requests .* first answer: 500 500 why"):
            measure("127.0.0.1", port, ["500 why", "404 x"], watch(), within_s=60)
    with pytest.raises(WebserviceException, match=r"stopped answering after 0 requests: .*refused"):
        measure("127.0.0.1", port, ["200 x"], watch(), within_s=60)
