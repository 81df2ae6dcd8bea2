"""Workers that are forked from one process after ``init()``, behind a running service."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelport_scoring import ServiceState, SwitchFailed, write_settings
from modelport_scoring.service_lock import is_alive
from scoring_services import RunningService, Services, session_members, wait_until
from test_switch import load

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

JSON = {"Content-Type": "application/json"}


def forking(services: Services, script: str = COUNTS, **more: Any) -> RunningService:
    """A service of which the workers are forked."""
    return services.start(script, worker_start="fork", **more)


def inits(service: RunningService) -> int:
    """How often ``init()`` was called."""
    return len((service.folder / "work" / "1" / "app" / "inits").read_text())


def worker_pids(service: RunningService) -> list[int]:
    return [worker.pid for worker in service.status.workers if worker.pid is not None]


def template_pid(service: RunningService) -> int:
    """The process that the workers are children of."""
    return parent(worker_pids(service)[0])


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def wait_for_restart(service: RunningService, dead: list[int]) -> None:
    size = service.settings.workers
    wait_until(
        lambda: (
            len(set(worker_pids(service)) - set(dead)) == size
            and [worker.state for worker in service.status.workers] == ["ready"] * size
        ),
        what="all workers are new and ready",
    )


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
    wait_until(lambda: victim not in worker_pids(service), what="the worker is missed")
    wait_for_restart_of_one(service, workers)
    assert service.score("x").status == 200
    assert inits(service) == 1
    assert f"worker {victim} ended (killed by signal 9 (SIGKILL)); another one is started" in service.log
    assert sum(worker.restarts for worker in service.status.workers) == 1
    assert not Path(f"/proc/{victim}").exists(), "its exit status has been collected"


def wait_for_restart_of_one(service: RunningService, workers: int) -> None:
    wait_until(
        lambda: [each.state for each in service.status.workers] == ["ready"] * workers, what="all workers are ready"
    )


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
    wait_for_restart_of_one(service, 2)
    assert before[1] in worker_pids(service)
    answers = answers_of_each(service)
    assert len({answer["model"] for answer in answers.values()}) == 2
    assert f"worker {before[0]} ended (nobody knows how" in service.log


def test_template_and_workers_killed_at_once(services: Services) -> None:
    service = forking(services, workers=2)
    dead = [template_pid(service), *worker_pids(service)]
    for pid in dead:
        os.kill(pid, signal.SIGKILL)
    answer = service.score("x")
    assert answer.status in (200, 502), "it waits for a new worker, or was on its way to a dead one"
    wait_for_restart(service, dead)
    assert inits(service) == 2, "all workers come from one template"


def test_no_request_fails_while_forked_revisions_are_switched(services: Services) -> None:
    script = "def init(): pass\ndef run(x): return {number!r}\n"
    service = forking(services, script.format(number="1"), workers=2)
    with load(service) as seen:
        for number in (2, 3):
            old = {*worker_pids(service), template_pid(service)}
            service.control.switch(service.revision(number, script.format(number=str(number))))
            key = (200, f'"{number}"'.encode())
            wait_until(lambda key=key: seen[key] > 100, what=f"answers of {number}")  # type: ignore[misc]
            wait_until(lambda old=old: not any(map(is_alive, old)), what="the old have ended")  # type: ignore[misc]
    assert set(seen) == {(200, f'"{number}"'.encode()) for number in (1, 2, 3)}


def test_stop_answers_what_is_held_and_leaves_no_process(services: Services) -> None:
    service = forking(services, workers=2)
    assert service.process is not None
    with ThreadPoolExecutor(2) as pool:
        held = [pool.submit(service.score, "sleep0.5") for _ in range(2)]
        wait_until(lambda: service.status.requests_in_flight == 2, what="both workers are busy")
        members = session_members(service.process.pid)
        assert len(members) == 5, "supervisor, server, template and two workers"
        service.control.stop()
        assert [each.result().status for each in held] == [200, 200]
    assert service.process.wait(10) == 0
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
    service = services.start(script, worker_start="fork", workers=2, until=ServiceState.STARTING)
    assert service.process is not None
    process = service.process
    wait_until(lambda: len(session_members(process.pid)) == 3, what="the template runs")
    members = session_members(process.pid)
    begun = time.monotonic()
    service.control.stop()
    assert process.wait(10) == 0
    assert time.monotonic() - begun < 3
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
    limits = {"start_timeout_s": 1.0}
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
    service = forking(services, script, limits={"start_timeout_s": 1.5}, until=ServiceState.FAILED)
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


def test_what_scripts_print_and_what_they_leave_stands_in_the_log(services: Services) -> None:
    script = """
    import os, socket, sys, threading, time
    print("imported by", os.getpid())
    def init():
        global channel
        print("init in", os.getpid())
        channel = socket.socket()
        threading.Thread(target=time.sleep, args=(600,), name="refresher", daemon=True).start()
    def run(x):
        print("run in", os.getpid(), x)
        return threading.active_count()
    """
    service = forking(services, script, workers=2)
    template = template_pid(service)
    assert service.score("a").json == 1, "the thread is not in the fork"
    log = service.log
    assert log.count(f"imported by {template}\n") == log.count("imported by") == 1
    assert log.count(f"init in {template}\n") == log.count("init in") == 1
    assert sum(log.count(f"run in {pid} a\n") for pid in worker_pids(service)) == 1
    assert log.count("threads of Python (refresher); open sockets (1)") == 1
    assert "set worker_start to spawn" in log


def test_random_numbers_differ_between_workers(services: Services) -> None:
    script = """
    import os, random, time, numpy
    def init(): numpy.random.rand(); random.random()
    def run(x):
        time.sleep(0.3)
        return {"pid": os.getpid(), "random": random.random(), "numpy": numpy.random.rand()}
    """
    service = forking(services, script, workers=3)
    answers = answers_of_each(service).values()
    assert len(answers) == len({answer["random"] for answer in answers}) == 3
    assert len({answer["numpy"] for answer in answers}) == 3


def test_what_init_made_is_given_up_once_and_by_the_template(services: Services, tmp_path: Path) -> None:
    script = f"""
    import atexit, os, pathlib, tempfile
    def write(who): pathlib.Path({str(tmp_path / "ends")!r}).open("a").write(who + str(os.getpid()) + " ")
    def init():
        global folder
        folder = tempfile.TemporaryDirectory()
        atexit.register(write, "init ")
    def run(x):
        atexit.register(write, "run ")
        return [os.getpid(), os.path.isdir(folder.name), folder.name]
    """
    service = forking(services, script, workers=2)
    first, exists, folder = service.score("x").json
    assert exists
    os.kill(first, signal.SIGTERM)  # it leaves in good order
    wait_until(lambda: first not in worker_pids(service) and len(worker_pids(service)) == 2, what="replaced")
    second, exists, _ = service.score("x").json
    assert exists, "the folder that init() made is still there"
    template = template_pid(service)
    service.end()
    ends = (tmp_path / "ends").read_text()
    assert ends == f"run {first} run {second} init {template} "
    assert not Path(folder).exists()
    assert "ended (exit status 0)" in service.log


def test_a_worker_that_leaves_by_sys_exit_says_its_status(services: Services) -> None:
    script = "import sys\ndef init(): pass\ndef run(x): sys.exit(int(x))\n"
    service = forking(services, script)
    assert service.score("5").status == 502
    wait_until(lambda: "ended (exit status 5)" in service.log, what="the status")


def test_a_script_that_collects_every_child(services: Services) -> None:
    """The template cannot tell how a worker ended, and that is all."""
    script = (
        "import os, signal\ndef init(): signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n" + "def run(x): os._exit(1)\n"
    )
    service = forking(services, script, workers=2)
    assert service.score("x").status == 502
    wait_until(lambda: "(nobody knows how" in service.log, what="its end")
    wait_for_restart_of_one(service, 2)


def test_warm_up_happens_once(services: Services) -> None:
    script = """
    import os, pathlib
    from inference_schema.schema_decorators import input_schema
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
    def init(): pass
    @input_schema("x", StandardPythonParameterType("sample"))
    def run(x):
        with pathlib.Path("inits").open("a") as file:
            file.write("x")
        return x
    """
    service = forking(services, script, workers=3, warm_up=True)
    assert inits(service) == 1
    assert service.score(json.dumps({"x": "real"}), headers=JSON).json == "real"
    assert service.ask("GET", "/swagger.json").status == 200


def test_batches_are_scored_by_forks(services: Services) -> None:
    script = """
    import numpy as np, os
    from inference_schema.schema_decorators import input_schema
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    def init(): pass
    @input_schema("rows", NumpyParameterType(np.zeros((1, 2))))
    def run(rows): return rows.sum(axis=1).tolist()
    """
    service = forking(services, script, workers=2, batching={"max_requests": 8})
    bodies = [json.dumps({"rows": [[number, 1.0]]}) for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        answers = [each.json for each in pool.map(lambda body: service.score(body, headers=JSON), bodies)]
    assert answers == [[number + 1.0] for number in range(64)]


@pytest.mark.parametrize("version", ["3.6", "3.13"])
def test_other_pythons(services: Services, version: str) -> None:
    interpreter = shutil.which(f"python{version}")
    variables = {"PYENV_VERSION": version}  # where that is one of pyenv's shims
    if interpreter is None or subprocess.run([interpreter, "-V"], env={**os.environ, **variables}).returncode:
        pytest.skip(f"there is no Python {version} on this machine")
    service = services.make(COUNTS, worker_start="fork", workers=2, variables=variables)
    revision = msgspec.structs.replace(service.settings.revision, interpreter=[interpreter])
    write_settings(service.folder, msgspec.structs.replace(service.settings, revision=revision))
    service.start()
    assert len(answers_of_each(service)) == 2
    assert service.score("crash").status == 502
    assert service.score("x").json["x"] == "x"
    assert inits(service) == 1
    assert "ended (exit status 7)" in service.log
    assert service.process is not None
    members = session_members(service.process.pid)
    service.end()
    assert not [pid for pid in members if is_alive(pid)]
    assert "Traceback" not in service.log
