"""Templates that write to their link what no template writes: they are ended, another one forks in their place, and
nobody else is touched."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from modelport_scoring import ServiceState
from modelport_scoring.supervision.service_lock import is_alive
from scoring_services import Services, ask, wait_until
from test_fork_start import forking, wait_for_workers

LIES_ONCE = """
import os, pathlib, socket, threading
from modelport_worker.frames import FORKED, HEADER, PHASE, READY, REAPED, pack

def link():
    for fd in range(3, 100):
        try:
            if os.readlink("/proc/self/fd/%d" % fd).startswith("socket:"):
                return socket.socket(fileno=os.dup(fd))
        except OSError:
            pass

def lie():
    channel.sendall({lie})

def without_end():
    while True:
        lie()

def init():
    global channel
    channel = link()
    if not pathlib.Path("lied").exists():
        pathlib.Path("lied").touch()
        {when}

def run(x):
    return x
"""
AT_A_FORK = "os.register_at_fork(after_in_parent=lie)"
FROM_THEN_ON = "threading.Thread(target=without_end, daemon=True).start()"


@pytest.mark.parametrize(
    ("lie", "when"),
    [
        pytest.param("pack(1, FORKED, b'no number')", AT_A_FORK, id="no number"),
        pytest.param("pack(1, FORKED, b'4' * 5000)", AT_A_FORK, id="no process id"),
        pytest.param("HEADER.pack(1, 2**32 - 1, 0, 0, 0, FORKED, 0)", AT_A_FORK, id="a frame without end"),
        pytest.param("pack(0, READY, b'{{}}')", AT_A_FORK, id="ready once more"),
        pytest.param("pack(7, 99, b'')", AT_A_FORK, id="of an unknown kind"),
        pytest.param("pack(0, PHASE, b'init') * 1000", FROM_THEN_ON, id="words without end"),
    ],
)
def test_what_is_no_answer_ends_the_template(services: Services, lie: str, when: str) -> None:
    service = services.start(LIES_ONCE.format(lie=lie, when=when), worker_start="fork")
    assert service.score("x").json == "x"
    assert "it is ended" in service.log
    assert "Traceback" not in service.supervisor_log


def test_a_process_that_is_none_of_its_children_is_not_taken_for_one(services: Services) -> None:
    with subprocess.Popen(["sleep", "600"], process_group=0) as stranger:
        lie = f"pack(1, FORKED, b'{stranger.pid}')"
        service = services.start(LIES_ONCE.format(lie=lie, when=AT_A_FORK), worker_start="fork")
        assert service.score("x").json == "x"
        service.end()
        assert is_alive(stranger.pid)
        stranger.kill()


DIES_AFTER_ITS_FORK = (
    LIES_ONCE.format(lie="b''", when="os.register_at_fork(after_in_parent=die)")
    + """
def die():
    pid = pathlib.Path("/proc/thread-self/children").read_text().strip()
    os.kill(os.getppid(), 19)
    channel.sendall(pack(1, FORKED, pid.encode()))
    pathlib.Path("died").write_text("%d %d" % (os.getppid(), os.getpid()))
    os.kill(os.getpid(), 9)
"""
)
"""The server is stopped (SIGSTOP) meanwhile, so that it hears of the fork and of the end at once."""


def test_a_template_that_dies_right_after_a_fork_costs_no_place(services: Services) -> None:
    service = services.make(DIES_AFTER_ITS_FORK, worker_start="fork", workers=2).start(until=None)
    died = service.folder / "work" / "1" / "app" / "died"
    wait_until(lambda: died.exists() and " " in died.read_text(), what="it has forked")
    server, template = map(int, died.read_text().split())
    wait_until(lambda: not is_alive(template), what="it has ended")
    os.kill(server, signal.SIGCONT)
    service.wait_for(ServiceState.RUNNING)
    wait_for_workers(service)
    assert "none of its forks" not in service.log
    assert "Traceback" not in service.supervisor_log


def test_exit_statuses_that_are_none_are_unknown(services: Services) -> None:
    script = LIES_ONCE.format(lie="pack(1, REAPED, b'no number')", when="pass").replace(
        "def run(x):", "os.waitpid = lambda *_: [lie(), os._exit(0)]\n\ndef run(x):\n    if x == 'die': os._exit(7)"
    )
    service = forking(services, script)
    assert service.score("die").status == 502
    wait_until(lambda: service.status.state is ServiceState.RUNNING, what="another one")
    assert ask(service.connect(), "POST", "/score", body="x").json == "x"
    assert "Traceback" not in service.supervisor_log
