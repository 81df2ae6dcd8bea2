"""What scripts may do, and what becomes of it, where their workers are forked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from modelport_scoring import ServiceState, SwitchFailed, write_settings
from modelport_scoring.supervision.service_lock import is_alive
from scoring_services import Services, session_members, wait_until
from test_fork_start import COUNTS, answers_of_each, forking, inits, template_pid, wait_for_workers, worker_pids

JSON = {"Content-Type": "application/json"}


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
    import atexit, os, pathlib, tempfile, threading
    def write(who): pathlib.Path({str(tmp_path / "ends")!r}).open("a").write(who + str(os.getpid()) + " ")
    def init():
        global folder
        folder = tempfile.TemporaryDirectory()
        atexit.register(write, "init ")
    def work():
        threading.main_thread().join()
        write("thread ")
    def run(x):
        atexit.register(write, "run ")
        threading.Thread(target=work).start()  # it is waited for, as at any end of Python
        return [os.getpid(), os.path.isdir(folder.name), folder.name]
    """
    service = forking(services, script, workers=2)
    first, exists, folder = service.score("x").json
    assert exists
    os.kill(first, signal.SIGTERM)  # it leaves in good order
    wait_for_workers(service, without=(first,))
    second, exists, _ = service.score("x").json
    assert exists, "the folder that init() made is still there"
    template = template_pid(service)
    service.end()
    ends = (tmp_path / "ends").read_text()
    assert ends == f"thread {first} run {first} thread {second} run {second} init {template} "
    assert not Path(folder).exists()
    assert "ended (exit status 0)" in service.log


def test_a_worker_that_leaves_by_sys_exit_says_its_status(services: Services) -> None:
    """As Python has it: a text is printed, and its status is 1, an empty one's too."""
    script = "import sys\ndef init(): pass\ndef run(x): sys.exit(int(x) if x.isdigit() else x)\n"
    service = forking(services, script)
    for code, said in (("5", "ended (exit status 5)"), ("no licence", "\nno licence\n"), ("", "ended (exit status 1)")):
        assert service.score(code).status == 502
        wait_until(lambda said=said: said in service.log, what=said)  # type: ignore[misc]
    wait_until(lambda: service.log.count("ended (exit status 1)") == 2, what="the status of both")


def test_a_script_that_collects_every_child(services: Services) -> None:
    """The template cannot tell how a worker ended, and that is all."""
    script = (
        "import os, signal\ndef init(): signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n" + "def run(x): os._exit(1)\n"
    )
    service = forking(services, script, workers=2)
    assert service.score("x").status == 502
    wait_until(lambda: "(nobody knows how" in service.log, what="its end")
    wait_for_workers(service)


def test_each_worker_warms_up_and_the_template_does_not(services: Services) -> None:
    """What the first call of ``run()`` sets up, OpenMP's threads for one, would not survive a fork."""
    script = """
    import os, pathlib
    from inference_schema.schema_decorators import input_schema
    from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
    def init(): pass
    @input_schema("x", StandardPythonParameterType("sample"))
    def run(x):
        if x == "fail":
            raise ValueError("cold")
        with pathlib.Path("warm").open("a") as file:
            file.write(str(os.getpid()) + " ")
        return x
    """
    service = forking(services, script, workers=3, warm_up=True)
    warm = (service.folder / "work" / "1" / "app" / "warm").read_text().split()
    assert sorted(warm) == sorted(map(str, worker_pids(service)))
    assert service.score(json.dumps({"x": "real"}), headers=JSON).json == "real"
    assert service.ask("GET", "/swagger.json").status == 200
    with pytest.raises(SwitchFailed) as raised:
        service.control.switch(service.revision(2, textwrap.dedent(script).replace('"sample"', '"fail"')))
    failure = raised.value.failure
    assert (failure.phase, failure.type, failure.message) == ("warm-up", "ValueError", "cold")
    assert "in run" in failure.traceback


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


def test_a_system_that_refuses_to_fork(services: Services) -> None:
    script = """
    import errno, os
    def refuse(): raise OSError(errno.EAGAIN, "no more processes")
    def init(): os.fork = refuse
    def run(x): return x
    """
    service = forking(services, script, until=ServiceState.FAILED)
    failure = service.status.failure
    assert failure is not None
    assert (failure.phase, failure.type) == ("start", "BlockingIOError")
    assert failure.message == "a worker could not be forked: Resource temporarily unavailable"
    assert service.process is not None
    assert len(session_members(service.process.pid)) == 2, "the template has ended"


def test_what_a_forked_worker_started_ends_with_it_and_with_no_other(services: Services) -> None:
    script = """
    import os, subprocess
    def init(): pass
    def run(x): return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]
    """
    service = forking(services, script, workers=2)
    started = dict(service.score("x").json for _ in range(2))
    victim, child = started.popitem()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: not is_alive(child), what="its child has ended")
    wait_for_workers(service, without=(victim,))
    assert all(map(is_alive, started.values()))


def test_large_bodies_reach_forks_and_come_back(services: Services) -> None:
    service = forking(services, "def init(): pass\ndef run(x): return x\n", workers=2)
    body = "0123456789abcdef" * 200_000
    with ThreadPoolExecutor(4) as pool:
        assert [each.json == body for each in pool.map(service.score, [body] * 8)] == [True] * 8
