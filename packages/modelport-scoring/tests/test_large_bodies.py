"""Large bodies on their way through server and worker: they arrive whole, and are in memory about once in each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from scoring_services import RunningService, Services, wait_until

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


def test_memory_for_large_bodies_is_given_back_while_small_ones_come(service: RunningService) -> None:
    def shared_by_server() -> int:
        found = re.search(r"RssShmem:\s+(\d+) kB", Path(f"/proc/{service.status.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    body = Random(4).randbytes(12 * MB)
    before = shared_by_server()
    for _ in range(2):
        assert service.ask("POST", "/score?way=echo", body=body).body == body
        assert shared_by_server() - before >= 12 * MB, "the next one would have to get each page anew"

    def is_given_back() -> bool:
        assert service.ask("POST", "/score?way=up", body=b"x").status == 200
        return shared_by_server() - before < MB

    wait_until(is_given_back, what="the memory is given back")


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
