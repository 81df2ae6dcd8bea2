"""A listening socket goes from one start program of an image to the next, and no client notices."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import http.client
import json
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

from few_descriptors import room_for
from image_packages import Package
from modelport_scoring import ControlClient
from modelport_scoring.sockets import handover as handovers
from modelport_scoring.sockets import meeting
from modelport_scoring.sockets.handover import Handover
from modelport_scoring.sockets.meeting import SOCKET, HandoverFailed
from own_ports import own_port
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
        self.port = own_port()
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
        deadline = time.monotonic() + 3 * PATIENCE_S
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


@contextmanager
def probing(port: int) -> Iterator[Counter[str]]:
    """One that connects anew for each probe, as kubelets and load balancers do."""
    seen: Counter[str] = Counter()
    stop = threading.Event()

    def probe() -> None:
        while not stop.is_set():
            connection = http.client.HTTPConnection("localhost", port, timeout=PATIENCE_S)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                seen[f"{answer.status} {answer.read().decode()}"] += 1
            except Exception as error:
                seen[repr(error)] += 1
            connection.close()
            time.sleep(0.02)

    thread = threading.Thread(target=probe)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


# --- one follows another ----------------------------------------------------------------------------------------------


def test_ten_handovers_under_load_lose_no_request_and_no_probe(generations: Generations) -> None:
    health_port = own_port()
    generations.settings = {"health_port": health_port}
    generations.start()
    generations.wait_for(0)
    with probing(health_port) as probed, generations.load() as seen:
        for number in range(1, 11):
            after = generations.start()
            generations.wait_for(number)
            asked = seen.total()
            wait_until(lambda: seen.total() > asked + 200, what="load")  # noqa: B023
        assert [exit_status(package) for package in generations.made[:-1]] == [0] * 10, generations.logs
    expect_only_answers(seen, generations)
    assert set(probed) == {"200 Healthy"}, f"{probed}\n{generations.logs}"
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
        elsewhere = generations.start(port=own_port())
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
        deadline = time.monotonic() + 3 * PATIENCE_S
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
from modelport_scoring.sockets.handover import Handover
from modelport_scoring.sockets.meeting import SOCKET

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


# --- what one says to the other ---------------------------------------------------------------------------------------


class Serving:
    """The part of one that serves on a socket of its own, in a folder."""

    def __init__(self, folder: Path, *, answers: bool = True, probed: socket.socket | None = None) -> None:
        self.left: list[str] = []
        self.handover = Handover(folder)
        self.listening = self.handover.acquire(lambda: socket.create_server(("127.0.0.1", 0)), host="127.0.0.1", port=0)
        self.port: int = self.listening.getsockname()[1]
        self.handover.offer(self.listening, probed)
        self._path = folder / SOCKET
        self._thread = threading.Thread(target=self.handover.serve, args=(lambda: self.left.append("left"),))
        if answers:
            self._thread.start()

    def connect(self) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX)
        channel.settimeout(PATIENCE_S)
        channel.connect(str(self._path))
        return channel

    def end(self) -> None:
        self.handover.stop()
        offered = self.handover._offered
        assert offered is not None
        with contextlib.suppress(OSError):
            offered.shutdown(socket.SHUT_RDWR)  # which ends the waiting of the thread
        if self._thread.ident is not None:
            self._thread.join(PATIENCE_S)
        offered.close()
        self.listening.close()


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    made = Serving(tmp_path)
    yield made
    made.end()


def said(channel: socket.socket, **asked: object) -> dict[str, object]:
    """The answer. A descriptor that comes with it is closed."""
    channel.sendall(json.dumps(asked).encode() + b"\n")
    line, descriptors, _, _ = socket.recv_fds(channel, 4096, 1)
    for descriptor in descriptors:
        os.close(descriptor)
    answer: dict[str, object] = json.loads(line)
    return answer | {"descriptors": len(descriptors)}


def test_the_socket_is_ours_again_once_the_next_one_has_gone(serving: Serving) -> None:
    was_ours = serving.handover.is_ours
    with serving.connect() as channel:
        assert said(channel, do="share", host="127.0.0.1") == {"ok": True, "descriptors": 1}
        assert (was_ours, serving.handover.is_ours) == (True, False)
    wait_until(lambda: serving.handover.is_ours, what="it has noticed")
    assert serving.left == []


def test_one_leaves_once_and_gives_its_socket_to_nobody_then(serving: Serving) -> None:
    with serving.connect() as channel, serving.connect() as another:
        assert not said(another, do="greet")["ok"]  # so it is attended to
        assert said(channel, do="take") == {"ok": True, "descriptors": 0}
        wait_until(lambda: bool(serving.left), what="it leaves")
        for asked in ("share", "take"):
            answer = said(another, do=asked, host="127.0.0.1")
            assert answer == {"ok": False, "message": "it leaves already", "descriptors": 0}
        assert serving.left == ["left"]
        assert not serving.handover.is_ours


def test_one_that_stops_gives_its_socket_to_nobody(serving: Serving) -> None:
    with serving.connect() as channel:
        assert said(channel, do="share", host="127.0.0.1")["ok"]
        serving.handover.stop()
        for asked in ("share", "take"):
            answer = said(channel, do=asked, host="127.0.0.1")
            assert answer == {"ok": False, "message": "it stops", "descriptors": 0}
    assert serving.left == []


def test_what_another_version_asks_for_is_no_reason_to_leave(serving: Serving) -> None:
    with serving.connect() as channel:
        answer = said(channel, do="greet", host="127.0.0.1")
        assert answer == {"ok": False, "message": "it does not know what 'greet' is", "descriptors": 0}
        assert said(channel, do="share", host="127.0.0.1")["ok"], "it goes on to be heard"
    assert serving.left == []


@pytest.mark.parametrize(("host", "elsewhere"), [("127.0.0.2", 0), ("0.0.0.0", 0), ("127.0.0.1", 1)])
def test_one_that_is_to_listen_elsewhere_is_told(serving: Serving, tmp_path: Path, host: str, elsewhere: int) -> None:
    expected = rf"cannot be taken over: it listens on (127\.0\.0\.1|port {serving.port}), and .* start that one anew"
    port = serving.port + 1 if elsewhere else serving.port
    with pytest.raises(HandoverFailed, match=expected):
        Handover(tmp_path).acquire(nothing, host=host, port=port)


def test_the_socket_for_probes_comes_along_where_both_have_that_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probed:
        health_port = probed.getsockname()[1]
        serving = Serving(tmp_path, probed=probed)
        try:
            for wanted, comes in ((health_port, True), (health_port + 1, False), (None, False)):
                following = Handover(tmp_path)
                listening = following.acquire(nothing, host="127.0.0.1", port=serving.port, health_port=wanted)
                with listening, following.probed or contextlib.nullcontext():
                    assert listening.getsockname()[1] == serving.port
                    assert (following.probed is not None) is comes
                    if following.probed is not None:
                        assert os.fstat(following.probed.fileno()).st_ino == os.fstat(probed.fileno()).st_ino
                assert following._lease is not None
                following._lease.close()
        finally:
            serving.end()


def test_want_of_descriptors_and_threads_keeps_nobody_from_taking_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, begin = socket.socket.accept, threading.Thread.start
    wants = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ENFILE, "Too many open files in system")]
    no_thread = [RuntimeError("can't start new thread")]

    def scarce_accept(self: socket.socket) -> tuple[socket.socket, Any]:
        if wants:
            raise wants.pop()
        return accept(self)

    def scarce_begin(self: threading.Thread) -> None:
        if no_thread:
            raise no_thread.pop()
        begin(self)

    monkeypatch.setattr(socket.socket, "accept", scarce_accept)
    serving = Serving(tmp_path)
    try:
        wait_until(lambda: not wants, what="it had no descriptors")
        monkeypatch.setattr(threading.Thread, "start", scarce_begin)
        with serving.connect() as channel:
            assert said(channel, do="share", host="127.0.0.1")["ok"]
        assert not no_thread
    finally:
        serving.end()


@pytest.mark.parametrize("rest", [b"", b"}{\n"], ids=["late", "garbage"])
def test_a_descriptor_that_comes_with_half_an_answer_is_closed(rest: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listening:
        ours.settimeout(0.05)
        socket.send_fds(theirs, [b'{"ok": true'], [listening.fileno()])
        theirs.sendall(rest)
        with pytest.raises(OSError, match=r"timed out|without an answer"):
            handovers.ask(ours, handovers.Ask(do="share"))
        inode = os.fstat(listening.fileno()).st_ino
        assert descriptors_of(inode) == [listening.fileno()]


def descriptors_of(socket_inode: int) -> list[int]:
    """This process's descriptors of one socket: a count of all would change with what other tests left to collect."""
    link = f"socket:[{socket_inode}]"
    open_now = Path("/proc/self/fd").iterdir()
    return [int(each.name) for each in open_now if os.path.lexists(each) and str(each.readlink()) == link]


def test_one_whose_queue_is_full_is_there(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    hangs = Serving(tmp_path, answers=False)
    following = Handover(tmp_path)
    with contextlib.ExitStack() as queue:
        with pytest.raises(BlockingIOError):
            while True:
                channel = queue.enter_context(socket.socket(socket.AF_UNIX))
                channel.setblocking(False)
                channel.connect(str(tmp_path / SOCKET))
        try:
            with pytest.raises(HandoverFailed, match="what serves here did not answer"):
                following.acquire(nothing, host="127.0.0.1", port=hangs.port)
            following.take_over()
            assert "the one that serves does not answer; it goes on beside this one" in capfd.readouterr().err
            assert not following.is_ours
        finally:
            following.stop()
            assert following._offered is not None
            following._offered.close()
            hangs.end()


def test_beside_one_that_does_not_answer_the_socket_is_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meeting, "PATIENCE_S", 0.05)
    hangs = Serving(tmp_path, answers=False)
    following = Handover(tmp_path)
    following.take_over()
    try:
        assert not following.is_ours
        assert not hangs.handover.is_ours
    finally:
        following.stop()
        assert following._offered is not None
        following._offered.close()
        hangs.end()


def test_one_that_cannot_ask_does_not_take_over(serving: Serving, tmp_path: Path) -> None:
    """It would serve beside the one before, which nobody has told to leave."""
    following = Handover(tmp_path)
    with room_for(0), pytest.raises(HandoverFailed, match=r"handover\.sock: Too many open files"):
        following.take_over()
    assert serving.handover.is_ours


def test_one_that_ends_removes_no_socket_that_another_is_putting_there(tmp_path: Path) -> None:
    ending = Serving(tmp_path)
    with (tmp_path / meeting.LOCK).open("w") as coming:
        fcntl.flock(coming, fcntl.LOCK_EX)
        ending.handover.stop()
        assert (tmp_path / SOCKET).is_socket()
    ending.handover.stop()
    assert not (tmp_path / SOCKET).exists()
    ending.end()


def test_one_that_waits_for_another_that_comes_tells_of_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(meeting, "say", told.append)
    with (tmp_path / meeting.LOCK).open("w") as paused:
        fcntl.flock(paused, fcntl.LOCK_EX)
        coming: list[Serving] = []
        waiting = threading.Thread(target=lambda: coming.append(Serving(tmp_path)))
        waiting.start()
        wait_until(lambda: bool(told), what="it says what it waits for")
        assert not coming
    waiting.join(PATIENCE_S)
    with coming[0].connect() as channel:
        assert said(channel, do="share", host="127.0.0.1")["ok"]
    coming[0].end()
    assert told == [
        f"--handover {tmp_path}: another one is about to take over there, and this one waits until it has: where that "
        "does not happen, end whatever holds handover.lock"
    ]
