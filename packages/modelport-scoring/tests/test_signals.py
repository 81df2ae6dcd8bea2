"""Signals to a service's processes: whose they are decides what ends."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelport_scoring import ServiceNotRunning, SwitchFailed
from modelport_scoring.supervision.service_lock import is_alive
from scoring_services import (
    PATIENCE_S,
    Gate,
    RunningService,
    Services,
    load,
    refuses,
    session_members,
    stop,
    wait_until,
)
from test_restart_faults import without_threads

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)

ENDS_ITS_PARENT = """
import os, signal
def init(): pass
def run(x):
    parent = os.getppid()  # before it has gone
    if x == "end": os.kill(parent, signal.SIGTERM)
    return parent
"""


def held(gate: Gate) -> str:
    return f"import os, time\ndef init(): pass\ndef run(x):\n    if x == 'held':\n        {gate.wait}\n    return x\n"


def servers(service: RunningService) -> set[int]:
    """Those that serve, or none while nobody can say so."""
    try:
        return {each.pid for each in service.status.servers if each.pid is not None and each.state == "running"}
    except ServiceNotRunning:
        return set()


def has_replaced(service: RunningService, ended: int, *, of: int) -> bool:
    now = servers(service)
    return len(now) == of and ended not in now


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("which", [0, 1])
def test_one_of_several_servers_ends_alone(services: Services, which: int, number: signal.Signals) -> None:
    service = services.start(server_processes=2, workers=2)
    wait_until(lambda: len(servers(service)) == 2, what="both serve")
    before = service.status
    ended, other = (before.servers[each].pid for each in (which, 1 - which))
    assert ended is not None
    with load(service) as seen:
        os.kill(ended, number)
        wait_until(lambda: has_replaced(service, ended, of=2), what="another one")
    assert {answer for answer in seen if isinstance(answer, tuple)} == {(200, b'"x"')}, seen
    assert other in servers(service)
    assert service.status.supervisor_pid == before.supervisor_pid
    said = f"scoring server {which} is started anew: it got {number.name}, and not from its supervisor"
    assert said in service.supervisor_log


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_a_script_that_ends_its_parent_does_not_end_the_service(services: Services, how: str) -> None:
    service = services.start(ENDS_ITS_PARENT, worker_start=how)
    before = service.status
    parent = service.score("x").json
    assert service.score("end").json == parent, "what it holds is finished"
    wait_until(lambda: not is_alive(parent), what="its end")
    wait_until(lambda: len(servers(service)) == 1, what="a server")
    assert service.score("x").status == 200
    assert service.status.supervisor_pid == before.supervisor_pid
    assert (service.status.pid != before.pid) == (how == "spawn"), "the parent of a fork is its template"


def test_a_single_server_is_followed_though_run_does_not_come_back(services: Services, gate: Gate) -> None:
    service = services.start(held(gate), limits={"drain_timeout_s": 0.5})
    ended = service.status.pid
    service.connect().request("POST", "/score", body="held")
    wait_until(lambda: service.status.requests_in_flight == 1, what="held")
    os.kill(ended, signal.SIGTERM)
    wait_until(lambda: has_replaced(service, ended, of=1), what="another one")
    assert service.score("x").status == 200


@pytest.mark.parametrize("processes", [1, 2])
def test_a_verb_under_way_when_its_server_ends_is_given_up(services: Services, gate: Gate, processes: int) -> None:
    service = services.start(server_processes=processes, workers=processes)
    wait_until(lambda: len(servers(service)) == processes, what="all serve")
    begun = service.folder / "begun"
    waits = f"import os, time\ndef init():\n    open('{begun}', 'w').close()\n    {gate.wait}\ndef run(x): pass\n"
    ended, *others = (server.pid for server in service.status.servers if server.pid is not None)
    with ThreadPoolExecutor(1) as pool:
        switching = pool.submit(service.control.switch, service.revision(2, waits))
        wait_until(begun.exists, what="its worker has begun")
        for other in others:  # it does not answer before the end of the first one
            stop(other)
        os.kill(ended, signal.SIGTERM)
        with pytest.raises((SwitchFailed, ServiceNotRunning), match=r"the scoring server (ends|closed)"):
            switching.result()
        wait_until(lambda: not is_alive(ended), what="its end")
        for other in others:
            os.kill(other, signal.SIGCONT)
    wait_until(lambda: has_replaced(service, ended, of=processes), what="another one")
    assert service.settings.revision.number == 1
    assert "Traceback" not in service.supervisor_log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_signal_to_all_processes_stops_the_service(
    services: Services, processes: int, number: signal.Signals
) -> None:
    """As systemd sends it, and a terminal; the servers may get it first."""
    service = services.start(server_processes=processes, workers=processes)
    wait_until(lambda: len(servers(service)) == processes, what="all serve")
    assert service.process is not None
    told = servers(service)
    with load(service) as seen:
        for pid in (*told, service.process.pid):
            os.kill(pid, number)
        assert service.process.wait(PATIENCE_S) == 0
    assert {answer for answer in seen if isinstance(answer, tuple)} == {(200, b'"x"')}, seen
    assert "ConnectionResetError" not in str(seen), "nobody who has connected is reset"
    assert "anew" not in service.supervisor_log
    assert not any(session_members(pid) for pid in (service.process.pid, *told))


@pytest.mark.parametrize("how", ["control", "signal"])
def test_a_stop_is_one_though_the_server_was_about_to_end_alone(services: Services, gate: Gate, how: str) -> None:
    service = services.start(held(gate))
    assert service.process is not None
    with ThreadPoolExecutor(1) as pool:
        held_one = pool.submit(service.score, "held")
        wait_until(lambda: service.status.requests_in_flight == 1, what="held")
        os.kill(service.status.pid, signal.SIGTERM)
        wait_until(lambda: "is started anew" in service.supervisor_log, what="it ends alone")
        if how == "control":
            service.control.stop()
        else:
            service.process.terminate()
        gate.open()
        assert held_one.result().status == 200
    assert service.process.wait(PATIENCE_S) == 0
    assert refuses(service.settings.port)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stop_is_one_though_a_server_fails_at_its_end(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    """Where no thread can be started any more, for one: the supervisor must not take it for one that died."""
    refused = without_threads(tmp_path, monkeypatch)
    service = services.start(server_processes=processes, workers=processes)
    wait_until(lambda: len(servers(service)) == processes, what="all serve")
    assert service.process is not None
    refused.touch()
    service.control.stop()
    assert service.process.wait(PATIENCE_S) == 0
    assert "can't start new thread" in service.supervisor_log
    assert refuses(service.settings.port)
