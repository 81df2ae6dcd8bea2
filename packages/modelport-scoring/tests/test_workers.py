"""Workers that fail in every way, behind a running service."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from modelport_scoring import RevisionSettings, ServiceState, SwitchFailed, WorkerStart
from modelport_scoring.supervision.service_lock import is_alive
from modelport_worker.frames import NUMBERS, SHARED
from scoring_services import Gate, RunningService, Services, wait_until
from test_http import post, read_answers

MEBIBYTE = 1024 * 1024

CRASHES = """
import os, time
def init(): pass
def run(x):
    if x == "crash":
        os._exit(1)
    if x == "exit":
        raise SystemExit(2)
    if x == "held":
        WAIT
    return x
"""


def crashes(gate: Gate) -> str:
    """A script that keeps to what it is told: to end, to hold its worker, or to answer."""
    return CRASHES.replace("WAIT", gate.wait)


# --- it does not start ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("behaviour", "phase", "message", "exit_text"),
    [
        ("exits_in_import", "import", "ended in phase 'import'", "exit status 7"),
        ("killed_in_init", "init", "ended in phase 'init'", "killed by signal 9 (SIGKILL)"),
        ("fails_in_schema", "schema", "no schema", None),
        ("garbage_at_start", "start", "ended in phase 'start'", "killed by signal 9 (SIGKILL)"),
        ("no_text_at_start", "start", "ended in phase 'start'", "killed by signal 9 (SIGKILL)"),
        ("lists_without_end_at_start", "start", "ended in phase 'start'", "killed by signal 9 (SIGKILL)"),
    ],
)
def test_a_first_start_that_fails_is_not_retried(
    services: Services, behaviour: str, phase: str, message: str, exit_text: str | None
) -> None:
    service = services.start(behaviour, fake=True, until=ServiceState.FAILED)
    status = service.status
    assert status.failure is not None
    assert status.failure.phase == phase
    assert message in status.failure.message
    assert status.failure.exit == exit_text
    assert [worker.pid for worker in status.workers] == [None]
    health = service.ask("GET", "/")
    assert health.status == 503
    assert b"failed to start" in health.body
    assert service.score("x").message.startswith("No ready replicas for service demo")
    assert service.ask("GET", "/swagger.json").status == 503
    assert "did not start" in service.log
    assert "did not start" in service.supervisor_log
    assert "Traceback" not in service.supervisor_log


def test_a_script_that_fails_says_where(services: Services) -> None:
    service = services.start("import not_there_at_all\n", until=ServiceState.FAILED)
    failure = service.status.failure
    assert failure is not None
    assert failure.phase == "import"
    assert "not_there_at_all" in failure.message
    assert 'score.py", line 1' in failure.traceback


@pytest.mark.parametrize("how", list(WorkerStart))
def test_a_failure_without_end_is_told_shortened(services: Services, how: WorkerStart) -> None:
    script = "raise ValueError('begin' + 'x' * 5_000_000 + 'end')\n"
    service = services.start(script, until=ServiceState.FAILED, worker_start=how)
    failure = service.status.failure
    assert failure is not None
    assert failure.message.startswith("beginx")
    assert failure.message.endswith("xend")
    assert 'score.py", line 1' in failure.traceback
    assert len(failure.message) + len(failure.traceback) < 70_000


def test_a_sample_that_is_no_unicode_keeps_nobody_from_serving(services: Services) -> None:
    script = """
    from inference_schema.schema_decorators import input_schema
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

    def init(): pass

    @input_schema("data", StandardPythonParameterType({"a\\ud800": "b\\udc80ä"}))
    def run(data): return list(data)
    """
    service = services.start(script, warm_up=True)
    assert service.score('{"data": {"c": "d"}}', headers={"Content-Type": "application/json"}).json == ["c"]
    assert {"a?": "b?ä"} in service.ask("GET", "/swagger.json").json["definitions"]["ServiceInput"]["example"].values()


def test_a_start_that_takes_too_long(services: Services) -> None:
    service = services.start("silent_in_init", fake=True, limits={"start_timeout_s": 1.5}, until=ServiceState.FAILED)
    failure = service.status.failure
    assert failure is not None
    assert failure.phase == "init"
    assert "start_timeout_s" in failure.message


def test_an_interpreter_that_cannot_be_started(services: Services, tmp_path_factory: pytest.TempPathFactory) -> None:
    service = services.start()
    no_program = tmp_path_factory.mktemp("bin") / "python"
    for text in ("", "not a program"):
        if text:
            no_program.write_text(text)
        bad = RevisionSettings(number=2, bundle=service.settings.revision.bundle, interpreter=[str(no_program)])
        with pytest.raises(SwitchFailed) as raised:
            service.control.switch(bad)
        assert raised.value.failure.phase == "start"
        assert str(no_program) in raised.value.failure.message
    assert service.score("still there").status == 200
    assert not (service.folder / "work" / "2").exists()


def test_a_variable_that_no_process_can_have(services: Services) -> None:
    service = services.start(variables={"X": "a\0b"}, until=ServiceState.FAILED)
    failure = service.status.failure
    assert failure is not None
    assert (failure.phase, failure.type) == ("start", "ValueError")
    assert "null byte" in failure.message


# --- it dies, or has to -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["crash", "exit"])
def test_a_crash_costs_the_request_and_no_other(services: Services, gate: Gate, how: str) -> None:
    service = services.start(crashes(gate))
    with ThreadPoolExecutor(8) as pool:
        slow = pool.submit(service.score, "held")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        crash = pool.submit(service.score, how)
        wait_until(lambda: service.status.requests_waiting + service.status.requests_in_flight == 2, what="queued")
        later = [pool.submit(service.score, f"later {number}") for number in range(6)]
        gate.open()
        assert slow.result().status == 200
        answer = crash.result()
        assert (answer.status, answer.body) == (502, b"Replica closed connection before replying")
        assert answer.headers["x-ms-run-function-failed"] == "True"
        assert [each.result().status for each in later] == [200] * 6
    status = service.wait_for(ServiceState.RUNNING)
    assert status.workers[0].restarts == 1
    expected = "exit status 1" if how == "crash" else "exit status 2"
    assert f"({expected})" in service.log


def test_what_the_worker_had_begun_with_is_not_run_again(services: Services) -> None:
    """Four frames are with a worker that dies in the second, the answer to the first not yet sent: two are lost."""
    service = services.start("poison_holds_back", fake=True)
    for _ in range(64):
        assert service.score("warm").status == 200
    with service.raw_connection() as channel:
        channel.sendall(b"".join(post(b"%d" % number) for number in range(4)))
        channel.settimeout(10)
        received = b""
        while len(read_answers(received)) < 4:
            received += channel.recv(65536)
    assert [status for status, _ in read_answers(received)] == [502, 502, 200, 200]
    assert [body for _, body in read_answers(received)[2:]] == [b"2", b"3"]


def test_a_request_that_no_worker_survives_is_given_up(services: Services) -> None:
    service = services.start("dies_without_starting", fake=True)
    assert service.score("x").status == 502
    assert service.status.workers[0].restarts >= 2


@pytest.mark.parametrize(("behaviour", "poison"), [("garbage", "garbage"), ("wrong_id", "wrong")])
def test_a_worker_that_speaks_nonsense_is_replaced(services: Services, behaviour: str, poison: str) -> None:
    service = services.start(behaviour, fake=True)
    assert service.score(poison).status == 502
    assert service.score("good").status == 200
    assert "is ended" in service.log


@pytest.mark.parametrize(
    ("flags", "payload", "what"),
    [
        (NUMBERS, "00" * 7, "numbers without a row's length"),
        (NUMBERS, "00" * 13, "half a number"),
        (SHARED, "00" * 12, "shared memory that no request was given"),
        (SHARED | NUMBERS, "", "neither"),
    ],
)
def test_a_worker_whose_answer_cannot_be_read_is_replaced(
    services: Services, flags: int, payload: str, what: str
) -> None:
    service = services.start("odd_payloads", fake=True)
    assert service.score(f"{NUMBERS} {'00' * 8}").body == b"[]"
    assert service.score(f"{flags} {payload}").status == 502, what
    assert service.score(f"0 {b'good'.hex()}").body == b"good"
    assert "that cannot be read" in service.log


def test_what_a_worker_forked_ends_with_it(services: Services) -> None:
    service = services.start("forks_and_dies", fake=True)
    first = service.status.workers[0].pid
    child = int((service.folder / "work" / "1" / "app" / f"child-of-{first}").read_text())
    assert is_alive(child)
    assert service.score("x").status == 502
    wait_until(lambda: service.status.workers[0].pid not in (None, first), what="a new worker")
    wait_until(lambda: not is_alive(child), what="the child has ended")


@pytest.mark.parametrize(("body", "status"), [("end", 502), ("twice", 200)])
def test_answers_that_do_not_belong_to_their_body_end_the_worker(services: Services, body: str, status: int) -> None:
    service = services.start("out_of_turn", fake=True)
    first = service.status.workers[0].pid
    if status == 200:
        with pytest.raises(http.client.IncompleteRead):
            service.score(body)
    else:
        assert service.score(body).status == status
    wait_until(lambda: service.status.workers[0].pid not in (None, first), what="a new worker")
    assert service.score("x").body == b"x"
    assert "that does not belong to its body; it is ended" in service.log


# --- it is told to stop -----------------------------------------------------------------------------------------------


LEAVES_SLOWLY = """
import atexit, os, pathlib, time

def leave(who):
    time.sleep(1)
    (pathlib.Path(os.environ["MARKS"]) / who).touch()

def init():
    atexit.register(leave, "init")

def run(x):
    atexit.register(leave, "run")
    return x
"""


@pytest.mark.parametrize("start", ["spawn", "fork"])
def test_who_is_told_to_stop_may_take_leave(services: Services, tmp_path: Path, start: str) -> None:
    service = services.start(LEAVES_SLOWLY, variables={"MARKS": str(tmp_path)}, worker_start=start)
    assert service.score("x").status == 200
    service.end()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["init", "run"]


def test_who_is_told_to_stop_and_does_not_leave_is_ended(services: Services) -> None:
    script = "import threading, time\ndef init(): threading.Thread(target=time.sleep, args=(600,)).start()\n"
    service = services.start(script + "def run(x): return x\n", workers=2)
    wait_until(lambda: all(worker.state == "ready" for worker in service.status.workers), what="two are ready")
    service.control.configure(workers=1)
    wait_until(lambda: len(service.status.workers) == 1, what="one has gone")
    assert service.score("x").status == 200


# --- it is started again ----------------------------------------------------------------------------------------------


def starts_again_at(gate: Gate) -> str:
    """A script whose worker ends when it is told to, and the next one is not ready before the gate is open."""
    return f"""
    import os, pathlib, time
    def init():
        marker = pathlib.Path(os.environ["AML_APP_ROOT"], "second")
        if marker.exists():
            {gate.wait}
        marker.touch()
    def run(x): return x if x != "die" else os._exit(1)
    """


def test_unhealthy_while_the_worker_is_started_again(services: Services, gate: Gate) -> None:
    service = services.start(starts_again_at(gate))
    assert service.score("die").status == 502
    service.wait_for(ServiceState.UNHEALTHY)
    assert service.ask("GET", "/").status == 503
    gate.open()
    service.wait_for(ServiceState.RUNNING)


def test_a_worker_that_cannot_be_started_again_is_told_at_once_and_tried_on(services: Services) -> None:
    script = """
    import os, pathlib
    def init():
        marker = pathlib.Path(os.environ["AML_APP_ROOT"], "broken")
        if marker.exists():
            raise RuntimeError("no licence any more")
    def run(x):
        if x == "die":
            pathlib.Path("broken").touch()
            os._exit(1)
        return x
    """
    service = services.start(script)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(service.score, "die"), pool.submit(service.score, "die")]
        assert sorted(each.result().status for each in waiting) == [502, 503], "the second waited for a new worker"
    status = service.status
    assert status.state is ServiceState.UNHEALTHY
    assert status.failure is not None
    assert (status.failure.phase, status.failure.message) == ("init", "no licence any more")
    answer = service.score("x")  # whose client waits less long than limits.queue_wait_ms
    assert (answer.status, answer.message) == (
        503,
        "No ready replicas for service demo: the worker died and cannot be started again, phase init failed; it is "
        "tried on, and the log says why",
    )
    (service.folder / "work" / "1" / "app" / "broken").unlink()
    service.wait_for(ServiceState.RUNNING)
    assert service.score("x").json == "x"


# --- it works ---------------------------------------------------------------------------------------------------------


def test_large_bodies_against_large_answers_do_not_deadlock(services: Services) -> None:
    """Both sides of the worker's socket have more to say than its buffers hold."""
    service = services.start("def init(): pass\ndef run(x): return x\n")
    body = b"x" * 1_500_000
    with service.raw_connection(patience_s=30) as channel:
        sender = threading.Thread(target=channel.sendall, args=(post(body) * 30,))
        sender.start()
        received = bytearray()
        while received.count(b"HTTP/1.1 200") < 30 or len(received) < 30 * len(body):
            chunk = channel.recv(1 << 20)
            assert chunk
            received += chunk
        sender.join()


def test_several_workers_share_the_work(services: Services) -> None:
    """Each request waits for the other two to be worked on."""
    script = """
    import os, pathlib, time
    def init(): pass
    def run(x):
        pathlib.Path(f"meets-{os.getpid()}").touch()
        while len(list(pathlib.Path().glob("meets-*"))) < 3: time.sleep(0.005)
        return os.getpid()
    """
    service = services.start(script, workers=3)
    service_pids = {worker.pid for worker in service.status.workers}
    wait_until(lambda: all(w.state == "ready" for w in service.status.workers), what="three are ready")
    with ThreadPoolExecutor(3) as pool:
        pids = {each.result().json for each in [pool.submit(service.score, "x") for _ in range(3)]}
    assert len(pids) == 3
    assert len(service_pids) == 3


def kill_worker(service: RunningService) -> None:
    pid = service.status.workers[0].pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)


def test_the_environment_of_a_worker(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYTHONHOME", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIRTUAL_ENV", "/nowhere")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    monkeypatch.setenv("AZUREML_MODEL_DIR", "/nowhere")
    script = """
    import os, sys
    def init(): pass
    def run(x): return [dict(os.environ), os.getcwd(), open("azureml-models/m/1/model.txt").read(), sys.path]
    """
    service = services.start(script, models={"m": "hello"}, variables={"MINE": "1", "SERVICE_NAME": "not this"})
    variables, cwd, model, path = service.score("x").json
    app = str(service.folder / "work" / "1" / "app")
    assert variables["AML_APP_ROOT"] == cwd == app
    assert variables["AZUREML_ENTRY_SCRIPT"] == "source/score.py"
    assert variables["AZUREML_SOURCE_DIRECTORY"] == "source"
    assert variables["AZUREML_MODEL_DIR"] == f"{app}/azureml-models/m/1"
    assert variables["SERVICE_NAME"] == "demo"
    assert variables["WORKSPACE_NAME"] == "tests"
    assert variables["MODELPORT_REVISION"] == "1"
    assert variables["MINE"] == "1"
    assert variables["FROM_BUNDLE"] == "yes"
    assert "VIRTUAL_ENV" not in variables
    assert "PYTHONPATH" not in variables
    assert model == "hello"
    assert path[0] == app


def test_worker_death_under_load(services: Services) -> None:
    """Only requests that were held are lost, each with a 502; the others never notice."""
    service = services.start("import time\ndef init(): pass\ndef run(x): time.sleep(0.001); return x\n", workers=2)
    stop = threading.Event()
    statuses: list[int] = []

    def client() -> None:
        connection = service.connect()
        while not stop.is_set():
            connection.request("POST", "/score", body="x")
            response = connection.getresponse()
            response.read()
            statuses.append(response.status)
        connection.close()

    with ThreadPoolExecutor(6) as pool:
        clients = [pool.submit(client) for _ in range(6)]
        for kill in range(4):
            before = len(statuses)
            wait_until(lambda before=before: len(statuses) > before + 100, what="load")  # type: ignore[misc]
            kill_worker(service)
            wait_until(lambda kill=kill: service.status.workers[0].restarts > kill, what="respawn")  # type: ignore[misc]
            wait_until(lambda: service.status.workers[0].state == "ready", what="ready again")
        stop.set()
        for each in clients:
            each.result()
    assert set(statuses) <= {200, 502}
    assert statuses.count(502) <= 4 * 2
    assert len(statuses) > 400


def test_a_worker_does_not_interrupt_the_server_that_wakes_it(services: Services) -> None:
    service = services.start()
    (worker,) = service.status.workers
    assert worker.pid is not None
    assert os.sched_getscheduler(worker.pid) == os.SCHED_BATCH
    assert os.sched_getscheduler(service.status.pid) == os.SCHED_OTHER
