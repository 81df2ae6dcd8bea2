"""Bodies that are sent while they are made: real services, real sockets."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import trustme
from msgspec.structs import replace

from modelport_scoring import ServiceState
from scoring_services import Gate, RunningService, Services, read_all, refuses, wait_until

SCRIPT = """
import os
import time

from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse

FOLDER = os.environ["FOLDER"]


def init():
    pass


def note(name):
    open(os.path.join(FOLDER, name), "w").close()


def wait_for(name):
    deadline = time.monotonic() + 30
    while not os.path.exists(os.path.join(FOLDER, name)):
        assert time.monotonic() < deadline
        time.sleep(0.002)


class Made:
    def two(self, args):
        yield "first"
        wait_for("go")
        yield b"second"

    def events(self, args):
        for number in range(3):
            yield "id: {0}\\ndata: event {0}\\n\\n".format(number)
            wait_for("go-{}".format(number))

    def parts(self, args):
        return iter(["", "str ", b"", b"bytes ", bytearray(b"bytearray "), memoryview(b"memoryview"), ""])

    def nothing(self, args):
        return iter([])

    def empty_parts(self, args):
        return iter(["", b""])

    def raises(self, args):
        yield "begun"
        raise ValueError("half way")

    def raises_connection_error(self, args):
        yield "begun"
        raise ConnectionResetError("of the script's own upstream")

    def raises_generator_exit(self, args):
        yield "begun"
        raise GeneratorExit

    def raises_at_once(self, args):
        raise ValueError("before the first part")
        yield

    def wrong_first(self, args):
        yield 7

    def wrong_second(self, args):
        yield "begun"
        yield {"not": "bytes"}

    def exits(self, args):
        yield "begun"
        raise SystemExit(0)

    def endless(self, args):
        note("started")
        try:
            while True:
                yield b"x" * int(args.get("size", 1000))
                time.sleep(float(args.get("pause", 0.005)))
        finally:
            note("closed")

    def late(self, args):
        note("asked")
        wait_for("go")
        yield from self.endless(args)

    def stubborn(self, args):
        try:
            while True:
                yield b"x" * 1000
                time.sleep(0.005)
        finally:
            raise RuntimeError("from its finally clause")

    def held(self, args):
        try:
            yield b"x" * 1000
            wait_for("go")
            yield b"never sent"
        finally:
            note("closed")

    def slow(self, args):
        for _ in range(int(args["count"])):
            yield "."
            time.sleep(float(args["pause"]))

    def large(self, args):
        for _ in range(int(args["megabytes"])):
            yield b"m" * (1 << 20)
        note("produced")

    def whole(self, args):
        yield b"m" * int(args["size"])

    def one_piece(self, args):
        yield b"m" * (int(args["megabytes"]) << 20)


@rawhttp
def run(request):
    args = request.args
    name = args.get("make")
    if name is None:
        return {"pid": os.getpid()}
    headers = {"Content-Type": args.get("type", "text/plain"), "X-Script": "yes", "Content-Length": "3"}
    return AMLResponse(getattr(Made(), name)(args), int(args.get("status", 200)), headers)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("marks")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("streams"))
    yield made.start(SCRIPT, variables={"FOLDER": str(folder)}, error_mode="json")
    made.end()


@pytest.fixture(autouse=True)
def marks(folder: Path) -> Iterator[Path]:
    """The folder by whose files script and test tell each other how far they are."""
    yield folder
    for path in folder.iterdir():
        path.unlink()


def open_stream(service: RunningService, query: str, *, version: str = "1.1", more: str = "") -> socket.socket:
    """A connection that has asked for a body, and has not read anything yet."""
    channel = service.raw_connection(patience_s=20)
    channel.sendall(f"GET /score?{query} HTTP/{version}\r\nHost: x\r\n{more}\r\n".encode())
    return channel


def read_until(channel: socket.socket, marker: bytes, *, already: bytes = b"") -> bytes:
    received = already
    while marker not in received:
        more = channel.recv(65536)
        assert more, f"the connection ended; it had brought {received!r}"
        received += more
    return received


def read_to_the_end(channel: socket.socket) -> tuple[int, bytes]:
    """How many bytes still come, and the last five of them."""
    received, last = 0, b""
    while chunk := channel.recv(1 << 20):
        received += len(chunk)
        last = (last + chunk)[-5:]
    return received, last


def worker_pid(service: RunningService) -> int:
    return int(service.ask("GET", "/score").json["pid"])


def connections(service: RunningService) -> int:
    """How many there are, with the one that asks."""
    text = service.ask("GET", "/metrics").body.decode()
    return int(float(text.partition("\nmodelport_connections ")[2].split("\n")[0]))


def get(service: RunningService, query: str) -> bytes:
    answer = service.ask("GET", f"/score?{query}")
    assert answer.status == 200, answer.body
    return answer.body


# --- what a client sees -----------------------------------------------------------------------------------------------


def test_the_first_chunk_is_there_before_the_second_is_made(shared: RunningService, marks: Path) -> None:
    with open_stream(shared, "make=two", more="Connection: close\r\n") as channel:
        seen = read_until(channel, b"5\r\nfirst\r\n")
        head = seen.split(b"\r\n\r\n")[0].lower()
        assert head.startswith(b"http/1.1 200 ok\r\n")
        assert b"\r\ntransfer-encoding: chunked" in head
        assert b"\r\ncontent-length" not in head
        assert b"\r\nx-script: yes" in head
        assert b"\r\nconnection: close" in head
        (marks / "go").touch()
        assert read_all(channel) == b"6\r\nsecond\r\n0\r\n\r\n"


def test_server_sent_events_arrive_one_by_one(shared: RunningService, marks: Path) -> None:
    connection = shared.connect()
    connection.request("GET", "/score?make=events&type=text/event-stream")
    response = connection.getresponse()
    assert response.getheader("content-type") == "text/event-stream"
    for number in range(3):
        expected = f"id: {number}\ndata: event {number}\n\n".encode()
        assert response.read(len(expected)) == expected
        (marks / f"go-{number}").touch()
    assert response.read() == b""


@pytest.mark.parametrize(
    ("made", "body"),
    [("parts", b"str bytes bytearray memoryview"), ("nothing", b""), ("empty_parts", b"")],
)
def test_parts_of_each_type(shared: RunningService, made: str, body: bytes) -> None:
    assert get(shared, f"make={made}") == body


def test_a_connection_goes_on_after_a_body_that_was_streamed(shared: RunningService) -> None:
    connection = shared.connect()
    for _ in range(3):
        connection.request("GET", "/score?make=parts")
        assert connection.getresponse().read() == b"str bytes bytearray memoryview"
    connection.request("HEAD", "/")
    head = connection.getresponse()
    assert (head.status, head.getheader("content-length"), head.read()) == (200, "7", b"")
    connection.request("GET", "/score")
    assert b"pid" in connection.getresponse().read()


def test_a_client_of_http_1_0_reads_until_the_end_of_the_connection(shared: RunningService) -> None:
    with open_stream(shared, "make=parts", version="1.0", more="Connection: keep-alive\r\n") as channel:
        head, _, body = read_all(channel).partition(b"\r\n\r\n")
    assert body == b"str bytes bytearray memoryview"
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head


def test_a_request_behind_a_stream_is_answered_after_it(shared: RunningService, marks: Path) -> None:
    with open_stream(shared, "make=two") as channel:
        channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /score HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        seen = read_until(channel, b"first")
        assert b"Healthy" not in seen
        (marks / "go").touch()
        rest = seen + read_all(channel)
    assert [rest.find(text) for text in (b"second\r\n0\r\n\r\n", b"Healthy", b'"pid"')] == sorted(
        rest.find(text) for text in (b"second\r\n0\r\n\r\n", b"Healthy", b'"pid"')
    )
    assert rest.count(b"HTTP/1.1 200 OK") == 3


def test_a_refusal_behind_a_stream_costs_no_worker(shared: RunningService, marks: Path) -> None:
    """With the end of the stream, the server answers the second request and refuses the third one, and nothing more is
    said on that connection: not that the third one's body may be sent, either."""
    before = worker_pid(shared)
    expecting = b"POST /score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n"
    with shared.raw_connection(patience_s=20) as channel:
        asked = b"GET /score?make=two HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"
        channel.sendall(asked + expecting + b"no size\r\n")
        seen = read_until(channel, b"first")
        (marks / "go").touch()
        seen += read_all(channel)
    assert [seen.count(text) for text in (b"second\r\n0\r\n\r\n", b"Healthy", b"HTTP/1.1 400 ")] == [1, 1, 1]
    assert b"100 Continue" not in seen
    assert worker_pid(shared) == before


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_gets_none(shared: RunningService, marks: Path, status: int) -> None:
    with open_stream(shared, f"make=endless&status={status}") as channel:
        channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        seen = read_all(channel)
    head, _, rest = seen.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"transfer-encoding" not in head
    assert rest.startswith(b"HTTP/1.1 200 OK")
    wait_until((marks / "closed").exists, what="the generator is closed")


def test_of_a_205_that_is_made_while_it_is_sent_nothing_is_made(shared: RunningService, marks: Path) -> None:
    with open_stream(shared, "make=endless&status=205") as channel:
        channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, rest = read_all(channel).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 205 ")
    assert b"\r\ncontent-length: 0\r\n" in head
    assert rest.startswith(b"HTTP/1.1 200 OK")
    wait_until((marks / "closed").exists, what="the generator is closed")


@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_head_is_not_told_the_length_of_a_body_that_nobody_knows(
    shared: RunningService, marks: Path, version: str
) -> None:
    """RFC 9110, 8.6: the length that GET would have been told, or none."""
    asked = b"HEAD /score?make=endless HTTP/%b\r\nHost: x\r\n\r\n" % version.encode()
    with shared.raw_connection() as channel:
        channel.sendall(asked + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, _, rest = read_all(channel).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert b"content-length" not in head
    assert b"transfer-encoding" not in head
    assert rest.startswith(b"HTTP/1.1 200 OK") if version == "1.1" else not rest
    wait_until((marks / "closed").exists, what="the generator is closed")


# --- bodies that fail -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", ["raises", "wrong_second", "raises_connection_error", "raises_generator_exit"])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_a_body_that_fails_half_way_is_seen_to_be_cut_off(shared: RunningService, made: str, version: str) -> None:
    pid = worker_pid(shared)
    with open_stream(shared, f"make={made}", version=version) as channel:
        if version == "1.0":
            with pytest.raises(ConnectionResetError):
                while channel.recv(65536):
                    pass
        else:
            seen = read_all(channel)
            assert b"5\r\nbegun\r\n" in seen
            assert not seen.endswith(b"0\r\n\r\n")
    assert worker_pid(shared) == pid, "the worker has not noticed"


def test_a_stream_that_ends_for_want_of_room_behind_it_is_seen_to_be_cut_off(services: Services, gate: Gate) -> None:
    """A client of HTTP/1.0 takes the end of the connection for that of the body."""
    script = f"""
import os, time
def init(): pass
def run(data):
    yield data
    if data == "first":
        {gate.wait}
    for _ in range(20): yield "x" * 1_000_000
"""
    service = services.start(script, workers=2)
    with service.raw_connection() as channel:
        for body in (b"first", b"other"):
            channel.sendall(b"POST /score HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\n" + body)
        with pytest.raises(ConnectionResetError):
            read_all(channel)


def test_a_client_library_notices_the_cut(shared: RunningService) -> None:
    connection = shared.connect()
    connection.request("GET", "/score?make=raises")
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    assert "half way" in shared.log
    assert "could not be made to its end" in shared.log


@pytest.mark.parametrize(
    ("made", "text"),
    [("raises_at_once", "ValueError: before the first part"), ("wrong_first", "is int, not str or bytes")],
)
def test_a_body_that_cannot_begin_is_an_error_like_any_other(shared: RunningService, made: str, text: str) -> None:
    answer = shared.ask("GET", f"/score?make={made}")
    assert (answer.status, answer.headers["x-ms-run-function-failed"]) == (500, "True")
    assert text in shared.log


def test_the_error_of_a_part_of_a_wrong_type_says_what_is_accepted(shared: RunningService) -> None:
    with open_stream(shared, "make=wrong_second") as channel:
        read_all(channel)
    assert "is dict, not str or bytes" in shared.log


def test_a_script_that_leaves_half_way(services: Services, folder: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(folder)})
    pid = worker_pid(service)
    with open_stream(service, "make=exits") as channel:
        assert not read_all(channel).endswith(b"0\r\n\r\n")
    assert worker_pid(service) != pid


# --- clients that go away, or do not keep up --------------------------------------------------------------------------


def test_a_client_that_goes_away_ends_the_generator(shared: RunningService, marks: Path) -> None:
    pid = worker_pid(shared)
    with open_stream(shared, "make=endless") as channel:
        read_until(channel, b"xxx")
    wait_until((marks / "closed").exists, what="the generator is closed")
    assert worker_pid(shared) == pid


@pytest.mark.parametrize("resets", [True, False], ids=["reset", "end"])
def test_a_client_that_goes_away_before_the_first_chunk_ends_the_generator(
    shared: RunningService, marks: Path, *, resets: bool
) -> None:
    """One that ends its side may read still: that it does not is seen once there is something to send."""
    before = connections(shared)
    with open_stream(shared, "make=late") as channel:
        wait_until((marks / "asked").exists, what="the script has the request")
        if resets:
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if resets:
        wait_until(lambda: connections(shared) == before, what="the server has seen that the client is gone")
    (marks / "go").touch()
    wait_until((marks / "closed").exists, what="the generator is closed")
    wait_until(lambda: connections(shared) == before, what="the connection has ended")
    assert worker_pid(shared) > 0


def test_a_client_that_resets_ends_the_generator(shared: RunningService, marks: Path) -> None:
    channel = open_stream(shared, "make=endless&size=1000000&pause=0")
    read_until(channel, b"xxx")
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    channel.close()
    wait_until((marks / "closed").exists, what="the generator is closed")
    assert worker_pid(shared) > 0


def test_an_error_while_the_generator_is_closed_does_not_end_the_worker(shared: RunningService) -> None:
    pid = worker_pid(shared)
    with open_stream(shared, "make=stubborn") as channel:
        read_until(channel, b"xxx")
    wait_until(lambda: "from its finally clause" in shared.log, what="the error is in the log")
    assert worker_pid(shared) == pid


def memory_of(service: RunningService) -> dict[str, int]:
    """Resident bytes of the scoring server and of its worker."""
    status = service.status
    worker = status.workers[0].pid
    assert worker is not None
    return {"server": psutil.Process(status.pid).memory_info().rss, "worker": psutil.Process(worker).memory_info().rss}


def test_a_stalled_client_stalls_the_generator_and_costs_no_memory(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)})
    limits = service.settings.limits
    before = memory_of(service)
    with open_stream(service, "make=large&megabytes=300", more="Connection: close\r\n") as channel:
        read_until(channel, b"mmm")
        service.control.configure(limits=replace(limits, scoring_timeout_ms=300))
        most = dict(before)
        deadline = time.monotonic() + 1.0  # three times as long as the script may take: it is not the script that does
        while time.monotonic() < deadline:
            most = {name: max(most[name], size) for name, size in memory_of(service).items()}
            time.sleep(0.02)
        assert not (marks / "produced").exists()
        service.control.configure(limits=limits)  # the rest takes as long as the machine needs
        received, last = read_to_the_end(channel)
    assert received > 299 << 20
    assert last == b"0\r\n\r\n"
    most = {name: max(most[name], size) for name, size in memory_of(service).items()}
    assert most["server"] - before["server"] < 12 << 20, "the server holds what the client has not read"
    assert most["worker"] - before["worker"] < 12 << 20


def test_the_end_of_a_body_that_arrives_while_the_client_stalls(shared: RunningService) -> None:
    for size in range(2_500_000, 6_000_000, 100_000):  # about what the buffers on the way hold
        with open_stream(shared, f"make=whole&size={size}", more="Connection: close\r\n") as channel:
            read_until(channel, b"mmm")
            time.sleep(0.005)
            assert read_all(channel).endswith(b"0\r\n\r\n")
        assert shared.ask("GET", "/score").status == 200, f"the worker answers no more after {size} bytes"


def test_one_huge_part_is_held_by_the_worker_alone(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)})
    server = psutil.Process(service.status.pid)
    before = server.memory_info().rss
    most = 0
    with open_stream(service, "make=one_piece&megabytes=100", more="Connection: close\r\n") as channel:
        while channel.recv(1 << 20):
            most = max(most, server.memory_info().rss)
    assert most - before < 16 << 20


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_long_stream_with_small_gaps_lives_on(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)}, limits={"scoring_timeout_ms": 1000})
    assert get(service, "make=slow&count=12&pause=0.1") == b"." * 12


def test_a_gap_longer_than_the_limit_breaks_the_stream(services: Services, marks: Path) -> None:
    limits = {"scoring_timeout_ms": 300, "scoring_grace_ms": 30_000}
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)}, limits=limits)
    pid = worker_pid(service)
    with open_stream(service, "make=held") as channel:
        seen = read_all(channel)
    assert b"x" * 1000 in seen
    assert not seen.endswith(b"0\r\n\r\n")
    (marks / "go").touch()
    wait_until((marks / "closed").exists, what="the generator is closed although it goes on")
    assert worker_pid(service) == pid, "it came back within the grace period"


def test_a_generator_that_hangs_costs_its_worker(services: Services, marks: Path) -> None:
    limits = {"scoring_timeout_ms": 200, "scoring_grace_ms": 200}
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)}, limits=limits)
    pid = worker_pid(service)
    with open_stream(service, "make=two") as channel:
        assert not read_all(channel).endswith(b"0\r\n\r\n")
    assert worker_pid(service) != pid


# --- workers and revisions that end -----------------------------------------------------------------------------------


def test_a_worker_that_is_killed_cuts_the_body_off(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)})
    pid = worker_pid(service)
    with open_stream(service, "make=two") as channel:
        read_until(channel, b"first")
        os.kill(pid, signal.SIGKILL)
        assert not read_all(channel).endswith(b"0\r\n\r\n")
    assert worker_pid(service) != pid


def test_a_worker_that_is_killed_while_its_client_stalls(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)})
    pid = worker_pid(service)
    with open_stream(service, "make=endless&size=1000000&pause=0") as channel:
        read_until(channel, b"xxx")
        os.kill(pid, signal.SIGKILL)
        assert worker_pid(service) != pid
        assert not read_all(channel).endswith(b"0\r\n\r\n")


def test_a_stream_ends_on_the_revision_that_it_began_on(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)})
    with open_stream(service, "make=two", more="Connection: close\r\n") as channel:
        read_until(channel, b"first")
        service.control.switch(service.revision(2, "def init(): pass\ndef run(data): return 'new'"))
        assert service.ask("GET", "/score").json == "new"
        (marks / "go").touch()
        assert read_all(channel).endswith(b"second\r\n0\r\n\r\n")


def test_a_service_that_is_stopped_finishes_its_streams(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)})
    with open_stream(service, "make=two") as channel:
        read_until(channel, b"first")
        stopping = threading.Thread(target=service.control.stop)
        stopping.start()
        wait_until(lambda: refuses(service.settings.port), what="no new connections are accepted")
        (marks / "go").touch()
        assert read_all(channel).endswith(b"second\r\n0\r\n\r\n")
        stopping.join(20)


def test_the_end_of_the_drain_cuts_streams_off(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)}, limits={"drain_timeout_s": 0.3})
    with open_stream(service, "make=endless&size=1000000&pause=0") as channel:  # a client that does not even read
        wait_until((marks / "started").exists, what="the stream has begun")
        service.control.stop()
        assert service.process is not None
        assert service.process.wait(20) == 0
        with pytest.raises((ConnectionResetError, AssertionError)):
            read_until(channel, b"0\r\n\r\n")


def test_a_stream_keeps_no_other_worker_from_answering(services: Services, marks: Path) -> None:
    service = services.start(SCRIPT, variables={"FOLDER": str(marks)}, workers=2)
    for _ in range(200):  # fast answers open the windows: many requests would be sent ahead
        connection = service.connections[0] if service.connections else service.connect()
        connection.request("GET", "/score")
        connection.getresponse().read()
    with open_stream(service, "make=two") as channel:
        read_until(channel, b"first")
        assert [service.ask("GET", "/score").status for _ in range(20)] == [200] * 20
        (marks / "go").touch()
        read_until(channel, b"0\r\n\r\n")
    assert service.wait_for(ServiceState.RUNNING).requests_in_flight == 0


def test_a_generator_without_a_response_around_it(services: Services) -> None:
    service = services.start("def init(): pass\ndef run(data):\n    for word in data.split(): yield word + ' '")
    answer = service.score("one two")
    assert (answer.status, answer.body) == (200, b"one two ")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["transfer-encoding"] == "chunked"


# --- over TLS ---------------------------------------------------------------------------------------------------------


def test_back_pressure_and_cuts_over_tls(services: Services, marks: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    service = services.make(
        SCRIPT, variables={"FOLDER": str(marks)}, tls={"certificate": "tls/cert.pem", "key": "tls/key.pem"}
    )
    (service.folder / "tls").mkdir()
    certificate.private_key_and_cert_chain_pem.write_to_path(str(service.folder / "tls/cert.pem"))
    certificate.private_key_pem.write_to_path(str(service.folder / "tls/key.pem"))
    service.start()
    before = memory_of(service)["server"]

    def ask(query: str) -> ssl.SSLSocket:
        channel = context.wrap_socket(service.raw_connection(patience_s=20), server_hostname="localhost")
        channel.sendall(f"GET /score?{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        return channel

    with ask("make=large&megabytes=100") as channel:
        read_until(channel, b"mmm")
        wait_until(lambda: sleeps(service), what="the worker waits for the client")
        assert memory_of(service)["server"] - before < 12 << 20
        assert not (marks / "produced").exists()
        received, last = read_to_the_end(channel)
        assert (received > 99 << 20, last) == (True, b"0\r\n\r\n")
    with ask("make=raises") as channel:
        assert not read_all(channel).endswith(b"0\r\n\r\n")


def sleeps(service: RunningService) -> bool:
    """Whether the worker has used no processor time for a moment."""
    pid = service.status.workers[0].pid
    assert pid is not None
    process = psutil.Process(pid)
    used = process.cpu_times()[:2]
    time.sleep(0.2)
    return process.cpu_times()[:2] == used
