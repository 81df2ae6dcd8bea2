"""Templates that write to their link what no template writes: they are ended, another one forks in their place, and
nobody else is touched."""

from __future__ import annotations

import subprocess

import pytest

from modelport_scoring import ServiceState
from modelport_scoring.supervision.service_lock import is_alive
from scoring_services import Services, ask, wait_until
from test_fork_start import forking

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


def test_exit_statuses_that_are_none_are_unknown(services: Services) -> None:
    script = LIES_ONCE.format(lie="pack(1, REAPED, b'no number')", when="pass").replace(
        "def run(x):", "os.waitpid = lambda *_: [lie(), os._exit(0)]\n\ndef run(x):\n    if x == 'die': os._exit(7)"
    )
    service = forking(services, script)
    assert service.score("die").status == 502
    wait_until(lambda: service.status.state is ServiceState.RUNNING, what="another one")
    assert ask(service.connect(), "POST", "/score", body="x").json == "x"
    assert "Traceback" not in service.supervisor_log
