"""What scripts and machines do to a service: it degrades as documented, recovers, and its neighbours notice nothing.

A second service on the machine is scored all the while. What is tested elsewhere: crashes in ``run`` and what is held
then (test_workers), a killed scoring server and a killed supervisor (test_supervisor).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from modelport_scoring import Limits, ServiceState, log_path, supervisor_command, supervisor_pid
from modelport_scoring.supervision.service_lock import is_alive
from scoring_services import RunningService, Services, ask, wait_until
from test_http import post, resident_kb

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def neighbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("neighbour"))
    yield made.start()
    made.end()


@pytest.fixture(autouse=True)
def untouched(neighbour: RunningService) -> Iterator[None]:
    """The neighbour answers every request, and with the same worker as before."""
    before = neighbour.status.workers
    ended = threading.Event()
    statuses: list[int] = []

    def client() -> None:
        connection = neighbour.connect()
        while not ended.wait(0.02):
            statuses.append(ask(connection, "POST", "/score", body="x").status)
        connection.close()

    thread = threading.Thread(target=client)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    assert statuses
    assert set(statuses) == {200}
    assert neighbour.status.workers == before


# --- scripts that end or stop their worker ----------------------------------------------------------------------------

DOES = """
import ctypes, faulthandler, gc, mmap, os, resource, signal, sys, threading, time

def descend(depth):
    return max([depth + 1], key=descend)  # by way of C, so that it takes the stack

def init():
    pass

def run(data):
    if data == "harmless":
        return data
    exec(data)
    return "done"
"""

DEADLY = {
    "a segmentation fault": "ctypes.string_at(0)",
    "an abort": "os.abort()",
    "an illegal instruction": "os.kill(os.getpid(), signal.SIGILL)",
    "the end, from a thread": "threading.Thread(target=os._exit, args=(0,)).start(); time.sleep(60)",
    "all descriptors closed": "os.closerange(0, 1000)",
    "all but the standard ones closed": "os.closerange(3, 1000)",
    "its own process group killed": "os.killpg(0, signal.SIGKILL)",
    "memory used up, as the kernel ends it": "resource.setrlimit(resource.RLIMIT_AS, (0, 0)); os.kill(os.getpid(), 9)",
    "memory used up, in a library that gives up": (
        "resource.setrlimit(resource.RLIMIT_AS, (2 ** 30,) * 2)\\n"
        "try:\\n    held = [bytearray(2 ** 26) for _ in range(99)]\\n"
        "except MemoryError:\\n    os.abort()"
    ).replace("\\n", "\n"),
    "signals blocked, and then killed": (
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); os.kill(os.getpid(), signal.SIGKILL)"
    ),
    "its frames written into": "[os.write(fd, b'rubbish' * 99) for fd in range(3, 30) if is_socket(fd)]",
}
if sys.version_info < (3, 12):  # later ones raise RecursionError before the stack has ended
    DEADLY["a recursion without end"] = "sys.setrecursionlimit(10**9); threading.stack_size(); descend(0)"
IS_SOCKET = """
def is_socket(fd):
    try:
        return os.readlink("/proc/self/fd/%d" % fd).startswith("socket:")
    except OSError:
        return False
"""


@pytest.mark.parametrize("deed", DEADLY.values(), ids=list(DEADLY))
def test_what_ends_a_worker_costs_one_request(services: Services, deed: str) -> None:
    service = services.start(DOES + IS_SOCKET)
    answer = service.score(deed)
    assert (answer.status, answer.body) == (502, b"Replica closed connection before replying")
    wait_until(lambda: service.status.state is ServiceState.RUNNING, what="a new worker")
    assert service.score("harmless").status == 200
    assert service.status.workers[0].restarts == 1


@pytest.mark.parametrize("lowest", [0, 3])
def test_a_script_that_closes_what_it_did_not_open_is_told_so(services: Services, lowest: int) -> None:
    """Some libraries that make daemons do."""
    service = services.start(DOES)
    assert service.score(f"os.closerange({lowest}, 1000)").status == 502
    wait_until(lambda: service.status.state is ServiceState.RUNNING, what="a new worker")
    assert "ended (exit status 1: its script has closed the socket by which requests come" in service.log


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_an_init_that_closes_what_it_did_not_open_is_told_so(services: Services, start: str) -> None:
    script = "import os\ndef init(): os.closerange(0, 1000)\ndef run(data): return data\n"
    service = services.start(script, worker_start=start, until=ServiceState.FAILED)
    failure = service.status.failure
    assert failure is not None
    assert "closed the socket by which requests come" in f"{failure.message} {failure.exit}"


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param("os.kill(os.getpid(), signal.SIGSTOP)", id="stopped"),
        pytest.param("signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(600)", id="signals blocked"),
        pytest.param("[signal.signal(n, signal.SIG_IGN) for n in (1, 2, 15)]; time.sleep(600)", id="signals ignored"),
        pytest.param("list(iter(int, 1))", id="a loop in C that nothing interrupts"),
        pytest.param("os.setpgid(0, os.getpgid(os.getppid())); time.sleep(600)", id="in the server's process group"),
    ],
)
def test_a_worker_that_does_not_come_back_is_replaced(services: Services, deed: str) -> None:
    service = services.start(DOES, limits={"scoring_timeout_ms": 300, "scoring_grace_ms": 200})
    answer = service.score(deed)
    assert answer.status == 504
    assert "scoring_timeout_ms is 300" in answer.message
    wait_until(lambda: service.status.workers[0].restarts == 1, what="it is replaced")
    service.control.configure(limits=Limits())
    assert service.score("harmless").status == 200
    assert "run() did not end within 500 ms" in service.log


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param("descend(0)", id="recursion error"),
        pytest.param("resource.setrlimit(resource.RLIMIT_AS, (2**30, -1)); bytearray(2**31)", id="memory error"),
        pytest.param("raise BaseException('gone')", id="base exception"),
    ],
)
def test_errors_that_leave_the_worker_alive(services: Services, deed: str) -> None:
    service = services.start(DOES)
    assert service.score(deed).status == 502
    assert service.score("harmless").status == 200
    assert service.status.workers[0].restarts == 0


@pytest.mark.parametrize(
    "deed",
    [
        pytest.param("sys.settrace(lambda *_: None)", id="tracer"),
        pytest.param("sys.setprofile(lambda *_: None)", id="profiler"),
        pytest.param("faulthandler.disable(); faulthandler.dump_traceback_later(0.05, repeat=True)", id="faulthandler"),
        pytest.param("gc.disable(); sys.setswitchinterval(1e-6)", id="switches"),
        pytest.param("sys.stdout = sys.stderr = None", id="streams replaced"),
        pytest.param("sys.stdout.close(); sys.stderr.close()", id="streams closed"),
        pytest.param("os.close(0); os.close(1); os.close(2)", id="standard descriptors closed"),
        pytest.param("os.chdir('/'); os.environ.clear(); os.umask(0o777)", id="surroundings changed"),
        pytest.param("signal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(0, 0.001, 0.001)", id="alarms"),
    ],
)
def test_what_a_worker_survives(services: Services, deed: str) -> None:
    service = services.start(DOES)
    assert service.score(deed).json == "done"
    for _ in range(50):
        assert service.score("harmless").json == "harmless"
    assert service.status.workers[0].restarts == 0


def test_an_error_is_answered_where_the_working_folder_is_gone(services: Services) -> None:
    script = """
    import os, tempfile
    run = None
    def init(): pass
    exec(compile("def run(x): raise ValueError('told')", "relative.py", "exec"))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
    """
    service = services.start(script)
    answer = service.score("x")
    assert (answer.status, answer.body) == (502, b"told")
    assert service.status.workers[0].restarts == 0


@pytest.mark.parametrize("deed", ["sys.stdout = sys.stderr = None", "sys.stderr.close()", "os.closerange(0, 3)"])
def test_an_error_is_answered_where_it_cannot_be_logged(services: Services, deed: str) -> None:
    service = services.start(DOES)
    assert service.score(deed).json == "done"
    answer = service.score("raise ValueError('told')")
    assert (answer.status, answer.body) == (502, b"told")
    assert service.status.workers[0].restarts == 0


DAEMON = """
import ctypes, os, time

def init():
    pass

def run(data):
    if data != "fork":
        return data
    child = ctypes.CDLL(None).fork()  # no hook of Python's sees this one
    if child == 0:
        os.setsid()
        time.sleep(30)
        os._exit(0)
    with open("child", "w") as file:
        file.write(str(child))
    while os.getsid(child) != child:  # what is in the worker's group yet ends with it
        time.sleep(0.01)
    os._exit(1)
"""


def test_a_daemon_that_holds_the_workers_socket_keeps_nothing_alive(services: Services) -> None:
    service = services.start(DAEMON)
    assert service.score("fork").status == 502
    child = int((service.folder / "work" / "1" / "app" / "child").read_text())
    try:
        wait_until(lambda: service.status.state is ServiceState.RUNNING, what="a new worker")
        assert service.score("after").json == "after"
        service.control.configure(limits=Limits(drain_timeout_s=600))
        service.end()
        assert not is_alive(child), "nothing of a service outlives its stop"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


LEAVES_MUCH_BEHIND = """
import os, subprocess, sys, time

def init():
    started = [
        subprocess.Popen(["sleep", "600"], start_new_session=True).pid,
        int(subprocess.check_output(["sh", "-c", "env -i setsid sleep 600 >/dev/null 2>&1 & echo $!"])),
    ]
    subprocess.Popen(COMMAND, start_new_session=True)
    with open("started.new", "w") as file:
        file.write(" ".join(map(str, started)))
    os.rename("started.new", "started")

def run(data):
    return data
"""


@pytest.mark.parametrize("how", ["spawn", "fork"])
@pytest.mark.parametrize("processes", [1, 2])
def test_no_daemon_of_a_script_outlives_the_service(services: Services, how: str, processes: int) -> None:
    """In whichever session, and however orphaned. What outlives it is another service that the script has deployed."""
    deployed = services.make()
    script = LEAVES_MUCH_BEHIND.replace("COMMAND", repr(supervisor_command(deployed.folder)))
    service = services.start(script, server_processes=processes, workers=processes, worker_start=how)

    def started() -> list[Path]:
        return list((service.folder / "work").rglob("started"))

    wait_until(lambda: len(started()) == processes, what="all of them")
    daemons = [int(pid) for path in started() for pid in path.read_text().split()]
    deployed.wait_for(ServiceState.RUNNING)
    try:
        assert all(map(is_alive, daemons))
        service.end()
        assert not any(map(is_alive, daemons))
        assert deployed.score("x").status == 200
    finally:
        for pid in filter(is_alive, daemons):
            os.kill(pid, signal.SIGKILL)
        deployed.control.stop()
        wait_until(lambda: supervisor_pid(deployed.folder) is None, what="the stop of the other one")


def test_the_whole_group_of_a_worker_is_killed(services: Services) -> None:
    """As ``kill -9 -GROUP`` does, with a child of the script in it."""
    script = """
    import subprocess, time
    def init(): subprocess.Popen(["sleep", "60"])
    def run(data):
        print("begins with", data)
        time.sleep(30 if data == "slow" else 0)
        return data
    """
    service = services.start(script)
    pid = service.status.workers[0].pid
    assert pid is not None
    group = [process.pid for process in psutil.process_iter() if group_of(process.pid) == pid]
    assert len(group) == 2
    with service.raw_connection(patience_s=10) as channel:
        channel.sendall(post(b"slow"))
        wait_until(lambda: "begins with slow" in service.log, what="it runs")
        os.killpg(pid, signal.SIGKILL)
        assert channel.recv(1000).startswith(b"HTTP/1.1 502 ")
    assert service.score("after").json == "after"
    assert service.status.workers[0].pid not in group


def group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


# --- both sides have more to say than their buffers hold --------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "pipelined", "connections"),
    [
        pytest.param(1_000_000, 3, 64, id="through shared memory"),
        pytest.param(60_000, 30, 64, id="through the socket"),
        pytest.param(17_000_000, 2, 4, id="each larger than all buffers"),
    ],
)
def test_large_bodies_against_large_answers_from_many_sides(
    services: Services, size: int, pipelined: int, connections: int
) -> None:
    """Neither side of a worker's link may wait for the other to read, nor may a client that sends before it reads."""
    service = services.start("def init(): pass\ndef run(data): return data\n", workers=3)

    async def client(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.settings.port, limit=MIB)
        bodies = [bytes([97 + (number + turn) % 26]) * size for turn in range(pipelined)]
        for body in bodies:
            writer.write(post(body))
        for body in bodies:
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(size + 2) == b'"%b"' % body
        writer.close()
        await writer.wait_closed()

    async def run() -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*(client(number) for number in range(connections)))

    asyncio.run(run())


# --- too much ---------------------------------------------------------------------------------------------------------

CHATTERBOX = """
import threading

def talk():
    while True:
        print("x" * 10_000)

def init():
    for _ in range(2):
        threading.Thread(target=talk, daemon=True).start()

def run(data):
    return data
"""


def test_a_script_that_writes_without_end_fills_no_disk_and_slows_nobody(services: Services) -> None:
    service = services.start(CHATTERBOX, limits={"log_bytes": MIB})
    log = log_path(service.folder, 1)
    connection = service.connect()
    sizes: list[int] = []
    took_s: list[float] = []

    def is_cut_and_answers() -> bool:
        begun = time.monotonic()
        assert ask(connection, "POST", "/score", body="x").status == 200
        took_s.append(time.monotonic() - begun)
        sizes.append(log.stat().st_size)
        return len(sizes) > 50 and sum(later < earlier for earlier, later in itertools.pairwise(sizes)) >= 2

    wait_until(is_cut_and_answers, what="fifty answers, and a log that is cut twice")
    assert statistics.median(took_s) < 1.0, "it waits for what is written"


def test_a_very_large_answer_passes_and_its_memory_is_given_back(services: Services) -> None:
    """The server holds it once more than it must, for a moment."""
    service = services.start("def init(): pass\ndef run(data): return 'y' * int(data)\n")
    server, size = service.status.pid, 256 * MIB
    assert service.score("10").status == 200
    before = resident_kb(server)
    answer = service.score(str(size))
    assert (answer.status, len(answer.body)) == (200, size + 2)
    assert service.score("10").status == 200
    wait_until(lambda: resident_kb(server) < before + 40_000, what="the memory is back")


def test_an_answer_that_is_too_large_for_a_frame_is_an_error_that_says_so(services: Services) -> None:
    """4 GiB, which take no memory as long as nobody looks at them."""
    script = """
    from azureml.contrib.services.aml_request import rawhttp
    from azureml.contrib.services.aml_response import AMLResponse
    def init(): pass

    @rawhttp
    def run(request):
        if request.get_data() == b"small":
            return AMLResponse(b"small", 200)
        return AMLResponse(bytes(2**32), 200)
    """
    service = services.start(script)
    answer = service.score("huge")
    assert answer.status in (500, 502)
    wait_until(lambda: service.status.state is ServiceState.RUNNING, what="it goes on")
    assert service.score("small").body == b"small"


# --- the machine ------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


PRINTS = """
import os

def init():
    print("a worker starts", flush=True)

def run(data):
    print("scoring", "x" * 5000, flush=True)
    if data == "fail":
        raise ValueError("told")
    if data == "die":
        os._exit(1)
    return data
"""


def test_a_full_disk_stops_nothing(services: Services, small_disk: Path) -> None:
    """What is logged is lost; scores, errors and new workers are not."""
    service = services.make(PRINTS, folder=small_disk / "service").start()
    assert service.score("before").json == "before"
    with contextlib.suppress(OSError), (small_disk / "filler").open("wb", buffering=0) as filler:
        while True:
            filler.write(bytes(4096))
    for _ in range(20):
        assert service.score("full").json == "full"
    failed = service.score("fail")
    assert (failed.status, failed.body) == (502, b"told")
    assert service.score("die").status == 502
    wait_until(lambda: service.status.state is ServiceState.RUNNING, what="a new worker")
    assert service.score("again").json == "again"
    (small_disk / "filler").unlink()
    assert service.score("room").json == "room"
    wait_until(lambda: "scoring" in service.log[-6000:], what="it is logged again")
    service.end()


def test_a_worker_starts_where_there_can_be_no_log(services: Services) -> None:
    service = services.start(PRINTS)
    logs = service.folder / "logs"
    logs.rename(service.folder / "away")
    logs.write_text("no folder")
    assert service.score("die").status == 502
    assert service.score("again").json == "again"
    logs.unlink()
    assert service.score("die").status == 502
    assert service.score("once more").json == "once more"
    assert "scoring" in service.log, "the folder is made again"


def test_a_working_folder_that_was_removed_is_named(services: Services) -> None:
    service = services.start(PRINTS)
    shutil.rmtree(service.folder / "work")
    assert service.score("die").status == 502
    wait_until(lambda: service.status.failure is not None, what="it is told")
    failure = service.status.failure
    assert failure is not None
    assert "work/1/app has been removed: reload the service" in failure.message
    service.control.switch(service.revision(2, PRINTS))
    assert service.score("again").json == "again"


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_where_memory_runs_out_a_worker_is_ended_before_its_server(services: Services, start: str) -> None:
    service = services.start(worker_start=start)
    status = service.status
    scores = [
        int(Path(f"/proc/{pid}/oom_score_adj").read_text())
        for pid in (status.supervisor_pid, status.pid, status.workers[0].pid)
    ]
    assert scores[0] == scores[1]
    assert scores[2] == min(scores[1] + 500, 1000)


def test_no_descriptors_left(services: Services) -> None:
    """Who is connected is served, who is not is turned away, and all is well once there are some again."""
    service = services.start()
    server = psutil.Process(service.status.pid)
    connected = service.connect()
    assert ask(connected, "POST", "/score", body="first").status == 200
    limits = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (server.num_fds() + 4, limits[1]))
    crowd = [service.raw_connection() for _ in range(40)]
    try:
        for number in range(20):
            assert ask(connected, "POST", "/score", body=str(number)).json == str(number)
        turned_away = [channel for channel in crowd if is_closed(channel)]
        assert len(turned_away) >= 30
        used = server.cpu_times().user
        time.sleep(0.5)
        assert server.cpu_times().user - used < 0.3, "it turns in circles"
    finally:
        for channel in crowd:
            channel.close()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, limits)
    wait_until(lambda: can_score(service), what="new connections are served")
    assert ask(connected, "POST", "/score", body="last").json == "last"
    assert service.status.workers[0].restarts == 0


def test_a_process_that_may_open_few_files_says_so(services: Services) -> None:
    """Half of what it may open is for connections, and who is refused is told the limit that it was."""
    service = services.make()
    command = ["prlimit", "--nofile=64:64", "--", *supervisor_command(service.folder)]
    service.process = subprocess.Popen(command, start_new_session=True)
    service.wait_for(ServiceState.RUNNING)
    connected = service.connect()
    assert ask(connected, "POST", "/score", body="first").status == 200
    with contextlib.ExitStack() as crowd:
        for _ in range(34):
            crowd.enter_context(service.raw_connection())
        refused = service.raw(b"")
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"ulimit -n" in refused
        assert ask(connected, "POST", "/score", body="still").json == "still"


def is_closed(channel: socket.socket) -> bool:
    """Whether the other side ends the connection within half a second, without a word."""
    channel.settimeout(0.5)
    try:
        return channel.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


def can_score(service: RunningService) -> bool:
    with contextlib.suppress(OSError):
        return service.score("x").status == 200
    return False
