"""Large bodies on their way through server and worker: they arrive whole, and are in memory about once in each."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import itertools
import os
import re
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from scoring_services import RunningService, Services, read_all, wait_until
from tls_services import with_certificate

SCRIPT = """
import hashlib

from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse

CONTENT = None


def init():
    global CONTENT
    CONTENT = b"0123456789abcdef" * (4 << 20)


def digest(data):
    return hashlib.sha256(data).hexdigest()


@rawhttp
def run(request):
    way = request.args["way"]
    if way == "up":
        return [type(request.get_data()).__name__, digest(request.get_data())]
    if way == "file":
        return digest(request.files["image"].stream.getbuffer())
    if way == "down":
        return AMLResponse(CONTENT, 200)
    if way == "echo":
        return AMLResponse(request.get_data(), 200, {"Content-Type": "image/png"})
"""

MB = 1 << 20
SIZE = 64 * MB
SLACK = 12 * MB


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("large"))
    running = made.start(SCRIPT)
    assert running.ask("POST", "/score?way=up", body=b"x").status == 200
    yield running
    made.end()


class Peaks:
    """What the scoring server and the worker take at most, beside what they had."""

    def __init__(self, service: RunningService) -> None:
        status = service.status
        self._pids = {"server": status.pid, "worker": status.workers[0].pid}
        for pid in self._pids.values():
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # forget the peak until now
        self._before = {name: self._read(name, "VmRSS") for name in self._pids}

    def __getitem__(self, name: str) -> int:
        return self._read(name, "VmHWM") - self._before[name]

    def _read(self, name: str, field: str) -> int:
        found = re.search(rf"{field}:\s+(\d+) kB", Path(f"/proc/{self._pids[name]}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024


def test_a_large_body_is_held_once_in_each(service: RunningService) -> None:
    body = Random(1).randbytes(SIZE)
    peaks = Peaks(service)
    assert service.ask("POST", "/score?way=up", body=body).json == ["bytes", hashlib.sha256(body).hexdigest()]
    assert peaks["server"] < SIZE + SLACK
    assert peaks["worker"] < SIZE + SLACK


def test_a_large_body_in_chunks_is_held_once_in_each(service: RunningService) -> None:
    piece = Random(2).randbytes(MB)
    connection = service.connect()
    peaks = Peaks(service)
    connection.request("POST", "/score?way=up", body=iter([piece] * 64))
    assert hashlib.sha256(piece * 64).hexdigest() in connection.getresponse().read().decode()
    assert peaks["server"] < SIZE + SLACK
    assert peaks["worker"] < SIZE + SLACK


def test_an_uploaded_file_is_read_where_it_lies(service: RunningService) -> None:
    content = Random(3).randbytes(SIZE)
    head = b'--B\r\nContent-Disposition: form-data; name="image"; filename="x.png"\r\n\r\n'
    body = head + content + b"\r\n--B--\r\n"
    peaks = Peaks(service)
    headers = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = service.ask("POST", "/score?way=file", body=body, headers=headers)
    assert answer.json == hashlib.sha256(content).hexdigest()
    assert peaks["server"] < SIZE + SLACK
    assert peaks["worker"] < SIZE + SLACK


def test_a_large_answer_is_held_once_by_the_server(service: RunningService) -> None:
    peaks = Peaks(service)
    answer = service.ask("POST", "/score?way=down")
    assert answer.body == b"0123456789abcdef" * (4 << 20)
    assert peaks["server"] < SIZE + SLACK
    assert peaks["worker"] < SLACK, "the script has it already"


def shared_by_server(service: RunningService) -> int:
    found = re.search(r"RssShmem:\s+(\d+) kB", Path(f"/proc/{service.status.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def wait_until_given_back(service: RunningService, *, before: int) -> None:
    def is_given_back() -> bool:
        assert service.ask("POST", "/score?way=up", body=b"x").status == 200
        return shared_by_server(service) - before < MB

    wait_until(is_given_back, what="the memory is given back")


def test_memory_for_large_bodies_is_given_back_while_small_ones_come(service: RunningService) -> None:
    body = Random(4).randbytes(12 * MB)
    before = shared_by_server(service)
    for _ in range(2):
        assert service.ask("POST", "/score?way=echo", body=body).body == body
        assert shared_by_server(service) - before >= 12 * MB, "the next one would have to get each page anew"
    wait_until_given_back(service, before=before)


def test_a_body_arrives_where_the_worker_reads_it(service: RunningService) -> None:
    """It is nowhere else in the server: neither before nor beside that."""
    body = Random(5).randbytes(12 * MB)
    peaks = Peaks(service)
    assert service.ask("POST", "/score?way=up", body=body).json == ["bytes", hashlib.sha256(body).hexdigest()]
    assert peaks["server"] < len(body) + 4 * MB


def test_no_body_keeps_the_memory_that_it_arrived_in(service: RunningService) -> None:
    """Whether its client gets an answer, or goes before the body is whole or before it is answered."""
    before = shared_by_server(service)
    body = Random(6).randbytes(3 * MB)
    head = b"POST /score?way=echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    for number in range(30):
        assert service.ask("POST", f"/score?way=echo&number={number}", body=body).body == body
        with service.raw_connection() as leaves:
            leaves.sendall(head + body[: 2 * MB])
        with service.raw_connection() as leaves:
            leaves.sendall(head + body)
    assert shared_by_server(service) - before < 9 * len(body), "30 of them would be half of what there is"
    wait_until_given_back(service, before=before)


def test_a_worker_dies_while_a_body_arrives_in_its_memory(services: Services) -> None:
    service = services.start(SCRIPT)
    body = Random(7).randbytes(12 * MB)
    with service.raw_connection() as channel:
        head = b"POST /score?way=up HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        channel.sendall(head % len(body) + body[: 10 * MB])
        first = service.status.workers[0].pid
        assert first is not None
        wait_until(lambda: shared_by_server(service) > 8 * MB, what="most of it has arrived")
        os.kill(first, signal.SIGKILL)
        wait_until(
            lambda: any(each.state == "ready" and each.pid != first for each in service.status.workers),
            what="another worker is ready",
        )
        channel.sendall(body[10 * MB :])
        answer = read_all(channel)
    assert b" 200 OK" in answer
    assert hashlib.sha256(body).hexdigest().encode() in answer
    assert service.ask("POST", "/score?way=echo", body=body).body == body


@pytest.mark.parametrize("is_tls", [False, True])
def test_bodies_of_many_clients_arrive_whole(services: Services, is_tls: bool) -> None:
    """In pieces of any size, with heads that are known and that are not, for more workers than one."""
    service, context = (
        with_certificate(services, SCRIPT, workers=3) if is_tls else (services.start(SCRIPT, workers=3), None)
    )
    sizes = [70_000, 70_001, 100_000, 300_000, 1_000_001, 5 * MB, 16 * MB, 16 * MB + 1]

    def talk(number: int) -> list[int]:
        """The sizes of the bodies that did not come back as they were."""
        own, differing = Random(number), list[int]()
        connection = http.client.HTTPConnection("localhost", service.settings.port, timeout=60)
        if context is not None:
            connection = http.client.HTTPSConnection("localhost", service.settings.port, timeout=60, context=context)
        with contextlib.closing(connection):
            for _ in range(6):
                body = own.randbytes(own.choice(sizes))
                cuts = sorted(own.randrange(len(body)) for _ in range(own.randrange(4)))
                pieces = [body[start:end] for start, end in itertools.pairwise([0, *cuts, len(body)])]
                path = own.choice(["/score?way=echo", f"/score?way=echo&number={own.random()}"])
                connection.request("POST", path, body=iter(pieces), headers={"Content-Length": str(len(body))})
                if connection.getresponse().read() != body:
                    differing.append(len(body))
        return differing

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(talk, range(6))) == [[]] * 6


@pytest.mark.parametrize(
    "size",
    [0, 1, 64 * 1024 - 1, 64 * 1024, 256 * 1024 - 25, 256 * 1024 - 24, 256 * 1024, 512 * 1024 - 1, 512 * 1024, 3 * MB],
)
def test_bodies_about_as_large_as_the_buffers(service: RunningService, size: int) -> None:
    body = Random(size).randbytes(size)
    connection = service.connect()
    for _ in range(3):
        connection.request("POST", "/score?way=echo", body=body)
        answer = connection.getresponse()
        assert (answer.getheader("content-type"), answer.read() == body) == ("image/png", True)
