"""A listening socket goes from one start program of an image to the next, and no client notices."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import trustme

from image_packages import Package
from modelport_scoring import ControlClient
from modelport_scoring.sockets.handover import Handover, HandoverFailed
from routers import free_port
from scoring_services import PATIENCE_S, has_pending, kill_session, read_all, refuses, stop, wait_until

SCRIPT = """
import os, time
def init():
    if os.environ.get("FAIL"):
        raise ValueError("no such luck")
    time.sleep(float(os.environ.get("SLOW", 0)))
def run(data):
    if data.startswith("sleep"):
        time.sleep(float(data.split()[1]))
    return os.environ["GENERATION"]
"""


class Generations:
    """Start programs that follow each other on one port, each with its own folder, as containers have."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.shared = folder / "shared"
        self.folder = folder
        self.made: list[Package] = []
        self.trusting: ssl.SSLContext | None = None
        self.settings: dict[str, Any] = {}

    def start(self, *, variables: Mapping[str, str] | None = None, **settings: Any) -> Package:
        number = len(self.made)
        folder = self.folder / str(number)
        folder.mkdir()
        package = Package(folder, SCRIPT)
        package.write(**{"port": self.port, **self.settings, **settings})
        self.made.append(package)
        package.start({"GENERATION": str(number), **(variables or {})}, options=("--handover", str(self.shared)))
        return package

    def end(self) -> None:
        for package in self.made:
            package.end()

    def connect(self) -> http.client.HTTPConnection:
        if self.trusting is not None:
            return http.client.HTTPSConnection("localhost", self.port, timeout=PATIENCE_S, context=self.trusting)
        return http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE_S)

    def generation(self, body: str = "x") -> str:
        connection = self.connect()
        try:
            connection.request("POST", "/score", body=body)
            return connection.getresponse().read().decode().strip('"')
        finally:
            connection.close()

    def wait_for(self, generation: int) -> None:
        """Until that one answers."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.generation() == str(generation):
                    return
            assert time.monotonic() < deadline, self.logs
            time.sleep(0.02)

    @property
    def logs(self) -> str:
        return "\n".join(f"--- {number}\n{package.log}" for number, package in enumerate(self.made))

    @contextmanager
    def load(self) -> Iterator[Counter[str]]:
        """Two clients that keep their connections as long as they may, one that makes a new one for each request, one
        that lets its connection rest in between, and one that sends its requests in pieces."""
        seen: Counter[str] = Counter()
        stop = threading.Event()

        def client(*, keep: bool, rest_s: float, in_pieces: bool = False) -> None:
            connection = self.connect()
            while not stop.is_set():
                try:
                    if in_pieces:
                        connection.putrequest("POST", "/score")
                        connection.putheader("Content-Length", "1")
                        connection.endheaders()
                        time.sleep(0.05)
                        connection.send(b"x")
                    else:
                        connection.request("POST", "/score", body="x")
                    answer = connection.getresponse()
                    seen[f"{answer.status} {answer.read().decode()}"] += 1
                except Exception as error:
                    seen[repr(error)] += 1
                    connection.close()
                if not keep:
                    connection.close()
                time.sleep(rest_s)
            connection.close()

        kinds: list[dict[str, Any]] = [
            {"keep": True, "rest_s": 0.002},
            {"keep": True, "rest_s": 0.005},
            {"keep": False, "rest_s": 0.002},
            {"keep": True, "rest_s": 0.3},
            {"keep": True, "rest_s": 0, "in_pieces": True},
        ]
        threads = [threading.Thread(target=client, kwargs=kind) for kind in kinds]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            stop.set()
            for thread in threads:
                thread.join()


@pytest.fixture
def generations(tmp_path: Path) -> Iterator[Generations]:
    made = Generations(tmp_path)
    yield made
    made.end()


def expect_only_answers(seen: Counter[str], generations: Generations) -> None:
    answers = {f'200 "{number}"' for number in range(len(generations.made))}
    assert set(seen) == answers, f"{seen}\n{generations.logs}"


def exit_status(package: Package) -> int:
    assert package.process is not None
    return package.process.wait(PATIENCE_S)


# --- one follows another ----------------------------------------------------------------------------------------------


def test_ten_handovers_under_load_lose_no_request(generations: Generations) -> None:
    generations.start()
    generations.wait_for(0)
    with generations.load() as seen:
        for number in range(1, 11):
            after = generations.start()
            generations.wait_for(number)
            asked = seen.total()
            wait_until(lambda: seen.total() > asked + 200, what="load")  # noqa: B023
        assert [exit_status(package) for package in generations.made[:-1]] == [0] * 10, generations.logs
    expect_only_answers(seen, generations)
    assert "another one serves now; this one finishes what it holds, and ends" in generations.made[0].log
    assert "this one serves now, in the place of the one before" in after.log
    assert stat.S_IMODE((generations.shared / "handover.sock").stat().st_mode) == 0o660


def test_several_server_processes_with_tls_are_followed_by_others(generations: Generations, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "tls.crt"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "tls.key"))
    generations.trusting = ssl.create_default_context()
    authority.configure_trust(generations.trusting)
    generations.settings = {"tls": {"certificate": str(tmp_path / "tls.crt"), "key": str(tmp_path / "tls.key")}}
    generations.start(server_processes=2, workers=2)
    generations.wait_for(0)
    with generations.load() as seen:
        for number, processes in enumerate((2, 1, 2), 1):
            generations.start(server_processes=processes, workers=2)
            generations.wait_for(number)
        assert [exit_status(package) for package in generations.made[:-1]] == [0] * 3, generations.logs
    expect_only_answers(seen, generations)


def test_one_that_fails_leaves_the_other_one_alone(generations: Generations) -> None:
    generations.start()
    generations.wait_for(0)
    with generations.load() as seen:
        broken = generations.start(variables={"FAIL": "yes"})
        assert exit_status(broken) == 3
        assert "this one ends without having served; another one serves still" in broken.log
        assert "serves now" not in broken.log
        elsewhere = generations.start(port=free_port())
        assert exit_status(elsewhere) == 1
        assert "cannot be taken over: it listens on port" in elsewhere.log
        assert "start that one anew" in elsewhere.log
        slow = generations.start(variables={"SLOW": "30"})
        wait_for_log(slow, "takes over once its workers are ready")
        slow.end()
        killed = generations.start(variables={"SLOW": "30"})
        wait_for_log(killed, "takes over once its workers are ready")
        assert killed.process is not None
        kill_session(killed.process.pid)
        killed.process.wait()
    assert set(seen) == {'200 "0"'}, f"{seen}\n{generations.logs}"
    assert generations.generation() == "0"


def wait_for_log(package: Package, text: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while text not in package.log:
        assert time.monotonic() < deadline, package.log
        time.sleep(0.02)


def test_what_the_one_before_holds_is_finished(generations: Generations) -> None:
    before = generations.start()
    generations.wait_for(0)
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(generations.generation("sleep 2")))
    thread.start()
    generations.start()
    slow = generations.connect()
    slow.putrequest("POST", "/score")
    slow.putheader("Content-Length", "2")
    slow.endheaders(b"x")
    generations.wait_for(1)
    time.sleep(6)  # longer than a connection without a request is kept
    slow.send(b"x")
    answer = slow.getresponse()
    assert (answer.read(), answer.getheader("connection")) == (b'"0"', "close")
    slow.close()
    thread.join()
    assert answers == ["0"]
    assert exit_status(before) == 0


@pytest.mark.parametrize("is_stopped_too", [False, True])
def test_one_that_hangs_while_it_is_followed_leaves_its_successor_the_socket(
    generations: Generations, *, is_stopped_too: bool
) -> None:
    """It hears of the change once it goes on; or it is told to stop by then, which must not end the socket of both."""
    before = generations.start()
    generations.wait_for(0)
    after = generations.start(variables={"SLOW": "1"})
    wait_for_log(after, "takes over once its workers are ready")
    assert before.process is not None
    wait_until(lambda: stop(before.process.pid) == "T", what="it hangs")  # type: ignore[union-attr]
    wait_until(lambda: "does not answer; it goes on beside this one" in after.log, what="the ten seconds")
    wait_for_log(after, "this one serves now")
    if is_stopped_too:
        before.process.terminate()
    before.process.send_signal(signal.SIGCONT)
    assert exit_status(before) == 0
    assert [generations.generation() for _ in range(5)] == ["1"] * 5
    generations.start()
    generations.wait_for(2)
    assert exit_status(after) == 0


def test_one_that_hangs_before_it_is_followed_is_named(generations: Generations) -> None:
    hangs = generations.start()
    generations.wait_for(0)
    assert hangs.process is not None
    wait_until(lambda: stop(hangs.process.pid) == "T", what="it hangs")  # type: ignore[union-attr]
    after = generations.start()
    wait_until(lambda: "did not answer" in after.log, what="the ten seconds")
    assert exit_status(after) == 1
    assert "end that one first" in after.log
    hangs.process.send_signal(signal.SIGCONT)
    assert generations.generation() == "0"


# --- one ends before another is ready ---------------------------------------------------------------------------------


def test_one_that_ends_before_its_successor_is_ready_keeps_connections_waiting(generations: Generations) -> None:
    before = generations.start()
    generations.wait_for(0)
    after = generations.start(variables={"SLOW": "2"})
    wait_for_log(after, "takes over once its workers are ready")
    assert before.process is not None
    before.process.terminate()
    assert before.process.wait(PATIENCE_S) == 0
    assert generations.generation() == "1", "it waited in the queue of the socket"


def test_one_without_a_successor_answers_who_waits_to_be_accepted(generations: Generations) -> None:
    only = generations.start()
    generations.wait_for(0)
    assert only.process is not None
    (server,) = (child.pid for child in psutil.Process(only.process.pid).children())
    wait_until(lambda: stop(server) == "T", what="its server accepts nobody for now")
    with socket.create_connection(("127.0.0.1", generations.port), timeout=PATIENCE_S) as channel:
        channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        only.process.terminate()
        wait_until(lambda: has_pending(server, signal.SIGTERM), what="the stop")
        os.kill(server, signal.SIGCONT)
        assert read_all(channel).startswith(b"HTTP/1.1 200 ")
    assert exit_status(only) == 0
    assert refuses(generations.port)


def takes_leave(connection: http.client.HTTPConnection) -> bool:
    """Whether the connection ends with its answer, or has ended."""
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
    except (OSError, http.client.HTTPException):
        return True
    return response.getheader("connection") == "close"


def test_one_that_is_told_to_stop_in_its_folder_answers_who_still_comes(generations: Generations) -> None:
    only = generations.start()
    generations.wait_for(0)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(generations.generation, "sleep 1.5")
        control = ControlClient(only.folder)
        wait_until(lambda: control.status().requests_in_flight == 1, what="it is held")
        kept = generations.connect()
        kept.connect()
        control.stop()
        wait_until(lambda: takes_leave(kept), what="the stop has begun")
        assert generations.generation() == "0", "its worker is still there"
        assert held.result() == "0"
    assert exit_status(only) == 0
    assert refuses(generations.port)


# --- what is in the way -----------------------------------------------------------------------------------------------


def test_a_socket_that_a_killed_one_left_behind_is_no_obstacle(generations: Generations) -> None:
    before = generations.start()
    generations.wait_for(0)
    assert before.process is not None
    kill_session(before.process.pid)
    before.process.wait()
    assert (generations.shared / "handover.sock").exists()
    generations.start()
    generations.wait_for(1)
    generations.start()
    generations.wait_for(2)


def test_several_that_come_at_once_follow_each_other(generations: Generations) -> None:
    generations.start()
    generations.wait_for(0)
    with generations.load() as seen:
        later = [generations.start() for _ in range(2)]
        deadline = time.monotonic() + PATIENCE_S
        while sum(package.process is not None and package.process.poll() is None for package in generations.made) > 1:
            assert time.monotonic() < deadline, generations.logs
            time.sleep(0.05)
        last = [package for package in later if package.process is not None and package.process.poll() is None]
        assert len(last) == 1
    assert all(answer.startswith("200 ") for answer in seen), f"{seen}\n{generations.logs}"


@contextmanager
def as_user(number: int) -> Iterator[None]:
    os.setegid(number)
    os.seteuid(number)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def test_a_folder_of_another_user_is_named(generations: Generations) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    with tempfile.TemporaryDirectory() as name:
        generations.shared = Path(name)
        generations.start()
        generations.wait_for(0)
        generations.shared.chmod(0o777)
        with as_user(10002), pytest.raises(HandoverFailed, match="Permission denied: user 10002 must be able to write"):
            Handover(generations.shared)
        (generations.shared / "handover.lock").chmod(0o666)
        with (
            as_user(10002),
            pytest.raises(HandoverFailed, match=r"belongs to user 0 and .* this is user 10002"),
        ):
            Handover(generations.shared).acquire(nothing, host="127.0.0.1", port=generations.port)


def nothing() -> socket.socket:
    raise AssertionError("nothing is opened")


DIES = """
import socket, sys, threading
from pathlib import Path
from modelport_scoring.sockets.handover import SOCKET, Handover

folder = Path(sys.argv[1])
serving = Handover(folder)
serving.offer(serving.acquire(lambda: socket.create_server(("127.0.0.1", 0)), host="127.0.0.1", port=0))
with socket.socket(socket.AF_UNIX) as dies:
    dies.connect(str(folder / SOCKET))
    dies.sendall(b'{"do":"take"}\\n')
left = threading.Event()
threading.Thread(target=serving.serve, args=(left.set,), daemon=True).start()
successor = Handover(folder)
successor.acquire(lambda: sys.exit("nobody serves"), host="127.0.0.1", port=0)
assert not left.is_set(), "it has left for one that is not there"
successor.take_over()
assert left.wait(10)
"""


def test_a_successor_that_dies_while_it_takes_over_takes_nothing(tmp_path: Path) -> None:
    """What serves goes on, and the next one can take over."""
    subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=True, timeout=30)
