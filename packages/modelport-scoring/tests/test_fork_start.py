"""Workers that are forked from one process after ``init()``, behind a running service."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from modelport_scoring import ServiceState, SwitchFailed
from modelport_scoring.processes.status import PARENT, read_status
from modelport_scoring.supervision.service_lock import is_alive
from scoring_services import PATIENCE_S, Gate, RunningService, Services, load, session_members, wait_until

REACHES_INIT_S = 4.0
"""A template has reached ``init()`` by then, also on a machine that has other things to do; 0.2 s on a quiet one."""

COUNTS = """
import os, pathlib, time
def init():
    global model
    with pathlib.Path("inits").open("a") as file:
        file.write("x")
    model = os.getpid()
def run(x):
    if x == "crash":
        os._exit(7)
    if x.startswith("sleep"):
        time.sleep(float(x[5:]))
    return {"x": x, "model": model, "pid": os.getpid()}
"""


def forking(
    services: Services, script: str = COUNTS, *, until: ServiceState = ServiceState.RUNNING, **more: Any
) -> RunningService:
    """A service of which the workers are forked, and all are ready."""
    service = services.start(script, worker_start="fork", until=until, **more)
    if until is ServiceState.RUNNING:
        wait_for_workers(service)
    return service


def wait_for_workers(service: RunningService, *, without: tuple[int, ...] = ()) -> None:
    """Wait until every worker is ready, and none is one of those."""

    def are_ready() -> bool:
        workers = service.status.workers
        return all(each.state == "ready" and each.pid not in without for each in workers)

    wait_until(are_ready, what=f"all workers are ready, none is one of {without}")


def inits(service: RunningService) -> int:
    """How often ``init()`` was called."""
    return len((service.folder / "work" / "1" / "app" / "inits").read_text())


def worker_pids(service: RunningService) -> list[int]:
    return [worker.pid for worker in service.status.workers if worker.pid is not None]


def template_pid(service: RunningService) -> int:
    """The process that the workers are children of."""
    return parent(worker_pids(service)[0])


def parent(pid: int) -> int:
    return int(read_status(pid)[PARENT])


def answers_of_each(service: RunningService) -> dict[int, Any]:
    """What each of the workers answers, by process id. Of requests that are held at once, each goes to another one."""
    size = service.settings.workers
    answers: dict[int, Any] = {}

    def ask_all() -> bool:
        with ThreadPoolExecutor(size) as pool:
            for answer in pool.map(service.score, ["sleep0.2"] * size):
                answers[answer.json["pid"]] = answer.json
        return len(answers) >= size

    wait_until(ask_all, what="an answer of each worker")
    return answers


def test_workers_share_one_init_and_each_answers(services: Services) -> None:
    service = forking(services, workers=4)
    answers = answers_of_each(service)
    assert set(answers) == set(worker_pids(service))
    assert len(answers) == 4
    assert {answer["model"] for answer in answers.values()} == {template_pid(service)}
    assert inits(service) == 1
    assert "Workers are forked from" not in service.log, "there is nothing that a fork does not survive"


def test_each_worker_leads_a_group_and_has_no_descriptor_of_another(services: Services) -> None:
    service = forking(services, workers=3)
    sockets = [open_sockets(pid) for pid in worker_pids(service)]
    assert [len(each) for each in sockets] == [1, 1, 1]
    assert len(sockets[0] | sockets[1] | sockets[2]) == 3
    assert open_sockets(template_pid(service)).isdisjoint(sockets[0] | sockets[1] | sockets[2])
    assert [os.getpgid(pid) for pid in worker_pids(service)] == worker_pids(service)


def open_sockets(pid: int) -> set[str]:
    targets = {str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()}
    return {target for target in targets if target.startswith("socket:")}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_worker_is_replaced_without_init(services: Services, workers: int) -> None:
    service = forking(services, workers=workers)
    victim = worker_pids(service)[0]
    os.kill(victim, signal.SIGKILL)
    wait_for_workers(service, without=(victim,))
    assert service.score("x").status == 200
    assert inits(service) == 1
    assert f"worker {victim} ended (killed by signal 9 (SIGKILL)); another one is started" in service.log
    assert sum(worker.restarts for worker in service.status.workers) == 1
    assert not Path(f"/proc/{victim}").exists(), "its exit status has been collected"


def test_a_crash_costs_the_request_and_says_how_the_fork_ended(services: Services) -> None:
    service = forking(services)
    crash = service.score("crash")
    assert (crash.status, crash.body) == (502, b"Replica closed connection before replying")
    assert service.score("after").json["x"] == "after"
    assert "ended (exit status 7)" in service.log
    assert inits(service) == 1


def test_workers_outlive_their_template_and_the_next_start_makes_another(services: Services) -> None:
    service = forking(services, workers=2)
    before = worker_pids(service)
    template = template_pid(service)
    os.kill(template, signal.SIGKILL)
    wait_until(lambda: f"the template {template}, which workers are forked from, ended" in service.log, what="noticed")
    assert not is_alive(template)
    assert set(answers_of_each(service)) == set(before)
    assert inits(service) == 1
    os.kill(before[0], signal.SIGKILL)
    wait_until(lambda: inits(service) == 2, what="init() of the second template")
    wait_for_workers(service, without=(before[0],))
    assert before[1] in worker_pids(service)
    answers = answers_of_each(service)
    assert len({answer["model"] for answer in answers.values()}) == 2
    assert f"worker {before[0]} ended (nobody knows how" in service.log


def test_a_template_that_does_not_answer_is_replaced(services: Services) -> None:
    service = forking(services, limits={"start_timeout_s": 3.0})
    template, victim = template_pid(service), worker_pids(service)[0]
    os.kill(template, signal.SIGSTOP)
    os.kill(victim, signal.SIGKILL)
    assert service.score("x").status in (200, 502), "it waits for the new worker, or was on its way to the dead one"
    wait_for_workers(service, without=(victim,))
    assert not is_alive(template)
    assert f"the template {template} did not fork within 3 s; it is ended" in service.log
    assert inits(service) == 2


def test_forks_that_take_long_have_their_time_one_after_another(services: Services) -> None:
    script = """
    import os, time
    os.register_at_fork(before=lambda: time.sleep(0.5))
    def init(): print("init")
    def run(data): return os.getpid()
    """
    service = services.start(script, worker_start="fork", workers=8, limits={"start_timeout_s": 3})
    wait_until(lambda: [worker.state for worker in service.status.workers] == ["ready"] * 8, what="all are ready")
    assert service.log.count("init\n") == 1


def test_template_and_workers_killed_at_once(services: Services) -> None:
    service = forking(services, workers=2)
    dead = (template_pid(service), *worker_pids(service))
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    answer = service.score("x")
    assert answer.status in (200, 502), "it waits for a new worker, or was on its way to a dead one"
    wait_for_workers(service, without=dead)
    assert inits(service) == 2, "all workers come from one template"


def test_no_request_fails_while_forked_revisions_are_switched(services: Services) -> None:
    script = "def init(): pass\ndef run(x): return {number!r}\n"
    service = forking(services, script.format(number="1"), workers=2)
    with load(service, clients=6) as seen:
        for number in (2, 3):
            old = {*worker_pids(service), template_pid(service)}
            service.control.switch(service.revision(number, script.format(number=str(number))))
            key = (200, f'"{number}"'.encode())
            wait_until(lambda key=key: seen[key] > 100, what=f"answers of {number}")  # type: ignore[misc]
            wait_until(lambda old=old: not any(map(is_alive, old)), what="the old have ended")  # type: ignore[misc]
    assert set(seen) == {(200, f'"{number}"'.encode()) for number in (1, 2, 3)}


def test_stop_answers_what_is_held_and_leaves_no_process(services: Services, gate: Gate) -> None:
    service = forking(services, COUNTS.replace("time.sleep(float(x[5:]))", gate.wait), workers=2)
    assert service.process is not None
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(service.score, "sleep until told") for _ in range(2)]
        wait_until(lambda: service.status.requests_in_flight == 2, what="both workers are busy")
        members = session_members(service.process.pid)
        assert len(members) == 5, "supervisor, server, template and two workers"
        service.control.stop()
        gate.open()
        assert [each.result().status for each in held] == [200, 200]
    assert service.process.wait(PATIENCE_S) == 0
    assert not [pid for pid in members if is_alive(pid)]


@pytest.mark.parametrize("who", ["server", "supervisor"])
def test_a_killed_server_leaves_neither_template_nor_workers(services: Services, who: str) -> None:
    service = forking(services, workers=2)
    status = service.status
    old = [*worker_pids(service), template_pid(service)]
    os.kill(status.pid if who == "server" else status.supervisor_pid, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, old)), what="all have ended")
    if who == "server":
        wait_until(lambda: service.score("x").status == 200, what="the next server serves")
        assert inits(service) in (1, 2), "the working folder may have been made anew"


def test_a_template_ends_by_itself_when_nothing_but_the_server_is_killed(services: Services) -> None:
    """The supervisor ends what a dead server leaves behind; here it cannot."""
    service = forking(services, workers=2)
    status = service.status
    old = [*worker_pids(service), template_pid(service)]
    os.kill(status.supervisor_pid, signal.SIGSTOP)
    try:
        os.kill(status.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, old)), what="all have ended")
    finally:
        os.kill(status.supervisor_pid, signal.SIGCONT)


def test_stop_while_init_runs(services: Services) -> None:
    script = "import time\ndef init(): time.sleep(600)\ndef run(x): return x\n"
    limits = {"drain_timeout_s": 600}
    service = services.start(script, worker_start="fork", workers=2, limits=limits, until=ServiceState.STARTING)
    assert service.process is not None
    process = service.process
    wait_until(lambda: len(session_members(process.pid)) == 3, what="the template runs")
    members = session_members(process.pid)
    service.control.stop()
    assert process.wait(PATIENCE_S) == 0, "neither init() nor the drain is waited for"
    assert not [pid for pid in members if is_alive(pid)]


@pytest.mark.parametrize(
    "script",
    [
        "import not_there_at_all\n",
        "def init(): raise OSError('no model')\ndef run(x): return x\n",
        "import os, signal\ndef init(): os.kill(os.getpid(), signal.SIGKILL)\ndef run(x): return x\n",
    ],
)
def test_a_start_that_fails_reports_as_with_spawn(services: Services, script: str) -> None:
    failures, folders = [], []
    for way in ("fork", "spawn"):
        service = services.start(script, worker_start=way, workers=2, until=ServiceState.FAILED)
        failure = service.status.failure
        assert failure is not None
        failures.append(failure)
        folders.append(str(service.folder))
        assert service.process is not None
        assert len(session_members(service.process.pid)) == 2, "supervisor and server"
        assert "did not start" in service.log
    assert without(failures[0].traceback, folders) == without(failures[1].traceback, folders)
    assert (failures[0].phase, failures[0].type, failures[0].exit) == (
        failures[1].phase,
        failures[1].type,
        failures[1].exit,
    )
    assert failures[0].message == failures[1].message


def without(text: str, folders: list[str]) -> str:
    for folder in folders:
        text = text.replace(folder, "")
    return text


def test_a_start_that_takes_too_long(services: Services) -> None:
    script = "import time\ndef init(): time.sleep(600)\ndef run(x): return x\n"
    limits = {"start_timeout_s": REACHES_INIT_S}
    service = forking(services, script, limits=limits, workers=2, until=ServiceState.FAILED)
    failure = service.status.failure
    assert failure is not None
    assert (failure.phase, failure.type) == ("init", "TimeoutError")
    assert "start_timeout_s" in failure.message


@pytest.mark.parametrize(
    ("hook", "message"),
    [("after_in_child", "does not survive a fork"), ("before", "ended when it was told to fork")],
)
def test_a_fork_that_hangs_is_given_up(services: Services, hook: str, message: str) -> None:
    script = f"""
    import os, time
    def init(): os.register_at_fork({hook}=lambda: time.sleep(600))
    def run(x): return x
    """
    service = forking(services, script, limits={"start_timeout_s": REACHES_INIT_S}, until=ServiceState.FAILED)
    failure = service.status.failure
    assert failure is not None
    assert message in failure.message
    assert "spawn" in failure.message
    assert service.process is not None
    process = service.process
    wait_until(lambda: len(session_members(process.pid)) == 2, what="only supervisor and server are left")


def test_a_switch_to_what_does_not_start_changes_nothing(services: Services) -> None:
    service = forking(services, workers=2)
    before = worker_pids(service)
    with pytest.raises(SwitchFailed) as raised:
        service.control.switch(service.revision(2, "def init(): raise OSError('no model')\ndef run(x): return x\n"))
    assert raised.value.failure.phase == "init"
    assert worker_pids(service) == before
    assert service.score("x").status == 200
