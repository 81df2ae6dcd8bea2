"""Workers that write to their link what no worker writes, or touch what they share: each costs the requests that it
held, and itself. The server, its memory and its descriptors stay as they were."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator

import msgspec
import psutil
import pytest

from modelport_scoring import ServiceState
from scoring_services import RunningService, Services, wait_until
from test_http import post, resident_kb

LOST = (502, b"Replica closed connection before replying")
WITHOUT_END = "\nwhile True:\n    worker.send({frame})\n    time.sleep(0.005)"


@pytest.fixture(scope="module")
def obeying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A worker that runs the programs it is sent; shared by the tests of this module. It is late only where a test says
    so: on a machine that has other things to do, an answer may take a second."""
    made = Services(tmp_path_factory.mktemp("obeying"))
    yield made.start("obeys", fake=True, limits={"scoring_timeout_ms": 20_000, "scoring_grace_ms": 200})
    made.end()


@pytest.fixture(autouse=True)
def untouched(obeying: RunningService) -> Iterator[None]:
    """The server is the same as before, has no more descriptors and little more memory, and its next worker serves."""
    server = psutil.Process(obeying.status.pid)
    before, memory_kb = server.num_fds(), resident_kb(server.pid)
    yield
    assert obeying.score("as ever").body == b"as ever"
    assert obeying.wait_for(ServiceState.RUNNING).pid == server.pid
    wait_until(lambda: server.num_fds() <= before + 2, what="no descriptor is left")
    assert resident_kb(server.pid) < memory_kb + 32 * 1024


@contextlib.contextmanager
def late_after(service: RunningService, limit_ms: int) -> Iterator[None]:
    limits = service.settings.limits
    service.control.configure(limits=msgspec.structs.replace(limits, scoring_timeout_ms=limit_ms))
    try:
        yield
    finally:
        service.control.configure(limits=limits)


def have(service: RunningService, program: str) -> tuple[int, bytes]:
    """What the client gets whose request has the worker run the program."""
    answer = service.score("#!\n" + program)
    return answer.status, answer.body


def restarts(service: RunningService) -> int:
    return service.status.workers[0].restarts


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("worker.send(result(number + 1, b''))", id="for a request that it does not hold"),
        pytest.param("worker.send(result(2**64 - 1, b''))", id="for the last of all numbers"),
        pytest.param("worker.send(pack(number, RESULTS, b'', code=0, flags=RETURNED))", id="to no requests at once"),
        pytest.param("worker.send(pack(number, RESULTS, b'', code=65535, flags=RETURNED))", id="to more than it holds"),
        pytest.param("worker.send(pack(number, RESULTS, b'\\xff' * 4, code=1))", id="with a length that lies"),
        pytest.param(
            "worker.send(pack(number, RESULTS, b'\\1\\0\\0\\0abc', code=1, flags=64))", id="with half a number"
        ),
        pytest.param(
            "worker.send(HEADER.pack(number, 0, 0xFFFFFFFF, 0, 200, RESULT, 0))", id="with headers without end"
        ),
        pytest.param("worker.channel.shutdown(socket.SHUT_WR); time.sleep(60)", id="and says no more"),
        pytest.param("worker.stream.close(); worker.channel.close(); time.sleep(60)", id="and closes its link"),
        pytest.param("STARTED.pack_into(worker.page, 0, 0, 2**64 - 1); os._exit(1)", id="and lies in its page"),
    ],
)
def test_what_is_no_answer_is_a_lost_request(obeying: RunningService, program: str) -> None:
    before = restarts(obeying)
    assert have(obeying, program) == LOST
    wait_until(lambda: restarts(obeying) > before, what="it is replaced")


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param("pack(0, PHASE, b'init')", id="phases"),
        pytest.param("pack(0, READY, json.dumps(CONTRACT).encode())", id="ready"),
        pytest.param("pack(0, FAILED, b'{}')", id="failed"),
        pytest.param("pack(0, BATCH, b'why', code=1)", id="batches"),
        pytest.param("pack(0, BATCH, b'why', code=1, flags=1)", id="batches redone"),
    ],
)
@pytest.mark.parametrize("state", ["busy", "idle"])
def test_frames_without_end_that_are_no_answers_hold_nobody_up(obeying: RunningService, frame: str, state: str) -> None:
    """Whoever sends them was taken for somebody who gets on, and never timed out."""
    before = restarts(obeying)
    answer = "worker.send(result(number, b'first'))" if state == "idle" else ""
    assert have(obeying, answer + WITHOUT_END.format(frame=frame)) == (LOST if state == "busy" else (200, b"first"))
    wait_until(lambda: restarts(obeying) > before, what="it is replaced")


@pytest.mark.parametrize(
    "program",
    [
        pytest.param("worker.send(result(number, b'abc')[:10]); time.sleep(60)", id="half a head"),
        pytest.param("worker.send(result(number, b'abc')[:-1]); time.sleep(60)", id="half an answer"),
        pytest.param(
            "worker.send(HEADER.pack(number, 0xFFFFFFFF, 0, 0, 200, RESULT, 1))" + WITHOUT_END.format(frame="bytes(9)"),
            id="four gigabytes, slowly",
        ),
    ],
)
def test_half_an_answer_is_late(obeying: RunningService, program: str) -> None:
    before = restarts(obeying)
    with late_after(obeying, 400):
        status, body = have(obeying, program)
        wait_until(lambda: restarts(obeying) > before, what="it is replaced")
    assert status == 504
    assert b"scoring_timeout_ms is 400" in body


def test_what_is_redone_alone_has_its_whole_time(obeying: RunningService) -> None:
    """What it took together with others does not count, once. Else it would always be late; so it is where the machine
    holds the worker up, too, but that does not happen each time."""
    program = """
time.sleep(0.5)
worker.send(pack(0, BATCH, b"why", code=1, flags=1))
time.sleep(0.5)
worker.send(result(number, b"in time"))
"""
    with late_after(obeying, 800):
        assert (200, b"in time") in (have(obeying, program) for _ in range(10))


def test_a_second_answer_reaches_nobody(obeying: RunningService) -> None:
    before = restarts(obeying)
    assert have(obeying, "worker.send(2 * result(number, b'once'))") == (200, b"once")
    wait_until(lambda: restarts(obeying) > before, what="it is replaced")


def test_a_hundred_thousand_wrong_answers_are_one_line_of_the_log(obeying: RunningService) -> None:
    before = len(obeying.log)
    assert have(obeying, "worker.send(100_000 * result(number + 9, b''))") == LOST
    assert obeying.log[before:].count("which was not the next") == 1


def test_a_body_that_nobody_wants_any_more_and_that_does_not_end(obeying: RunningService) -> None:
    """A worker of ours looks whether it is still wanted. One that does not goes, as one that hangs."""
    before = restarts(obeying)
    begin = "worker.send(pack(number, RESULT, b'', flags=RETURNED | MORE, code=200))"
    program = "#!\n" + begin + WITHOUT_END.format(frame="pack(number, CHUNK, b'more')")
    with obeying.raw_connection() as channel:
        channel.sendall(post(program.encode()))
        assert channel.recv(1000).startswith(b"HTTP/1.1 200 ")
    with late_after(obeying, 400):
        wait_until(lambda: restarts(obeying) > before, what="it is replaced")


def test_a_body_that_has_begun_is_not_begun_again(obeying: RunningService) -> None:
    """By the page, the worker that ends has not begun with it, and another one would have to answer."""
    program = """#!
worker.send(pack(number, RESULT, b"", flags=RETURNED | MORE, code=200) + pack(number, CHUNK, b"a part"))
STARTED.pack_into(worker.page, 0, 0, 0)
os._exit(1)
"""
    received = obeying.raw(post(program.encode()))
    assert received.count(b"HTTP/1.1") == 1
    assert received.endswith(b"\r\na part\r\n")


def test_a_body_of_nothing_without_end(obeying: RunningService) -> None:
    before = restarts(obeying)
    begin = "worker.send(pack(number, RESULT, b'', flags=RETURNED | MORE, code=200))"
    with late_after(obeying, 400):
        with pytest.raises(http.client.IncompleteRead):
            have(obeying, begin + WITHOUT_END.format(frame="pack(number, CHUNK, b'')"))
        wait_until(lambda: restarts(obeying) > before, what="it is replaced")


def test_descriptors_that_come_with_an_answer_are_dropped(obeying: RunningService) -> None:
    program = "socket.send_fds(worker.channel, [result(number, b'here')], [0, 1, 2] * 20)"
    for _ in range(5):
        assert have(obeying, program) == (200, b"here")


def test_what_is_shared_keeps_its_size(obeying: RunningService) -> None:
    """The server would end with a bus error at its next look."""
    program = """
page = int(sys.argv[sys.argv.index("--page") + 1])
refused = 0
for size in (0, 1 << 40):
    try:
        os.ftruncate(page, size)
    except PermissionError:
        refused += 1
worker.send(result(number, b"refused %d" % refused))
"""
    assert have(obeying, program) == (200, b"refused 2")
