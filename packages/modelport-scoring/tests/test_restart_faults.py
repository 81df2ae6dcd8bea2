"""What was up once comes up again, whatever is in the way when its scoring server has to be replaced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import msgspec
import pytest

from modelport_scoring import ServiceNotRunning, ServiceState, Traffic, supervisor_command, write_settings
from scoring_services import PATIENCE_S, Gate, RunningService, Services, kill_session, wait_until, write_bundle
from split_services import answering, hosting


def script(obstacle: Path) -> str:
    return f"""
    import os

    def init():
        if os.path.exists({str(obstacle)!r}):
            raise OSError("the database is away")

    def run(data):
        return data
    """


def kill_server(service: RunningService) -> None:
    os.kill(service.status.pid, signal.SIGKILL)


def in_trouble(services: Services, obstacle: Path) -> RunningService:
    """A service that was up, and whose new server cannot start its workers."""
    service = services.start(script(obstacle))
    obstacle.touch()
    kill_server(service)
    service.wait_for(ServiceState.UNHEALTHY)
    return service


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_a_start_that_fails_after_a_servers_end_is_tried_again(services: Services, tmp_path: Path, how: str) -> None:
    obstacle = tmp_path / "obstacle"
    service = services.start(script(obstacle), worker_start=how, workers=2)
    obstacle.touch()
    kill_server(service)
    status = service.wait_for(ServiceState.UNHEALTHY)
    assert status.failure is not None
    assert status.failure.message == "the database is away"
    wait_until(lambda: service.score("x").status == 503, what="it is said at once")
    obstacle.unlink()
    assert service.wait_for(ServiceState.RUNNING).failure is None
    wait_until(lambda: sum(worker.state == "ready" for worker in service.status.workers) == 2, what="both are back")
    assert service.score("x").json == "x"
    assert re.search(r"worker \d+ is ready, after \d+ that did not start", service.log)


def test_a_stop_does_not_wait_for_the_next_try(services: Services, tmp_path: Path) -> None:
    service = in_trouble(services, tmp_path / "obstacle")
    service.control.stop()
    assert service.process is not None
    assert service.process.wait(10) == 0
    assert "failed to start" not in service.log, "it was ended"


def test_a_switch_heals_it_too(services: Services, tmp_path: Path) -> None:
    service = in_trouble(services, tmp_path / "obstacle")
    service.control.switch(service.revision(2, "def init(): pass\ndef run(data): return 'two'"))
    assert service.score("x").json == "two"
    assert len(service.status.revisions) == 1


def test_files_that_cannot_be_had_for_a_while(services: Services, tmp_path: Path) -> None:
    """A full disk does the same: the working folder of a server that starts anew cannot be made."""
    service = services.start(script(tmp_path / "obstacle"))
    bundle = service.bundles / "1"
    bundle.rename(bundle.with_name("away"))
    kill_server(service)
    status = service.wait_for(ServiceState.UNHEALTHY)
    assert status.failure is not None
    assert "bundle.json" in status.failure.message
    bundle.with_name("away").rename(bundle)
    service.wait_for(ServiceState.RUNNING)
    assert service.score("x").json == "x"


def test_requests_that_wait_for_files_keep_no_place_of_clients_that_go(services: Services, tmp_path: Path) -> None:
    service = services.start(script(tmp_path / "obstacle"), limits={"max_queue_length": 1})
    bundle = service.bundles / "1"
    bundle.rename(bundle.with_name("away"))
    kill_server(service)
    service.wait_for(ServiceState.UNHEALTHY)
    gone = service.connect()
    gone.request("POST", "/score", body="gone")
    wait_until(lambda: service.status.requests_waiting == 1, what="it waits")
    assert service.score("too many").status == 503
    gone.close()
    wait_until(lambda: service.status.requests_waiting == 0, what="its place is free")
    connection = service.connect()
    connection.request("POST", "/score", body="stays")
    wait_until(lambda: service.status.requests_waiting == 1, what="the next one waits")
    bundle.with_name("away").rename(bundle)
    assert connection.getresponse().read() == b'"stays"'


def test_a_worker_that_dies_while_another_one_has_not_started_yet_is_replaced(services: Services, gate: Gate) -> None:
    started = gate.path.with_name("started")
    begins = f"""
    import os, time

    def init():
        try:
            os.mkdir({str(started)!r})
        except FileExistsError:
            {gate.wait}

    def run(data):
        if data == "die":
            os._exit(1)
        return data
    """
    service = services.start(begins, workers=2)
    first = next(worker.pid for worker in service.status.workers if worker.state == "ready")
    assert service.score("die").status == 502
    wait_until(lambda: all(worker.pid != first for worker in service.status.workers), what="it is replaced")
    gate.open()
    wait_until(lambda: [worker.state for worker in service.status.workers] == ["ready"] * 2, what="both are ready")
    assert service.score("x").json == "x"


NO_THREADS = """
import os, threading

begin = threading.Thread.start

def start(self):
    if os.path.exists({file!r}) and threading.active_count() >= int(open({file!r}).read() or 1):
        raise RuntimeError("can't start new thread")
    begin(self)

threading.Thread.start = start
"""


def without_threads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever is started from now on gets no thread from the system while that file is there, or no more than it says:
    as where there are as many processes as there may be, from which root is exempt."""
    refused = folder / "refused"
    (folder / "sitecustomize.py").write_text(NO_THREADS.format(file=str(refused)))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    return refused


def test_a_server_that_gets_no_thread_from_the_system_is_started_again(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = without_threads(tmp_path, monkeypatch)
    service = services.start()
    refused.touch()
    kill_server(service)
    wait_until(lambda: "can't start new thread" in service.supervisor_log, what="it is said")
    refused.unlink()
    service.wait_for(ServiceState.RUNNING)
    assert service.score("x").json == "x"


def test_revisions_that_get_no_thread_each_come_up_one_after_the_other(
    services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To fill the folders of several at once takes as many threads, and to remove again what was not filled, too."""
    refused = without_threads(tmp_path, monkeypatch)
    service = hosting(services, *map(answering, "12"), traffic=Traffic(version_header="x-revision"))
    refused.write_text("2")
    kill_server(service)
    wait_until(lambda: "does not start yet, but in 0.1 s: can't start new thread" in service.supervisor_log, what="so")
    wait_until(lambda: status_of(service) == [ServiceState.RUNNING] * 2, what="both are there")
    assert [service.score("x", headers={"x-revision": each}).json for each in "12"] == ["1", "2"]
    assert service.supervisor_log.count("it is started again in") == 1


def test_a_bundle_whose_path_cannot_be_is_a_failed_start(services: Services) -> None:
    service = services.make()
    settings = service.settings
    revision = msgspec.structs.replace(settings.revision, bundle="/a\0b")
    write_settings(service.folder, msgspec.structs.replace(settings, revision=revision))
    failure = service.start(until=ServiceState.FAILED).status.failure
    assert failure is not None
    assert "null byte" in failure.message


def test_what_was_up_before_the_machine_was_started_again_comes_back(services: Services, tmp_path: Path) -> None:
    obstacle = tmp_path / "away"
    service = services.start(script(obstacle))
    assert service.process is not None
    kill_session(service.process.pid)
    service.process.wait()
    obstacle.touch()
    failure = service.start(until=ServiceState.FAILED).status.failure
    assert failure is not None
    assert (failure.phase, failure.message) == ("init", "the database is away")
    assert service.score("x").status == 503
    kill_server(service)
    service.wait_for(ServiceState.FAILED)
    obstacle.unlink()
    service.wait_for(ServiceState.RUNNING)
    assert service.score("x").status == 200
    obstacle.touch()
    kill_server(service)
    service.wait_for(ServiceState.UNHEALTHY)


def test_another_bundle_has_to_come_up_by_itself(services: Services, tmp_path: Path) -> None:
    """Under the number of one that was up once."""
    obstacle = tmp_path / "away"
    service = services.start(script(obstacle))
    service.end()
    other = write_bundle(tmp_path / "other", script(obstacle))
    revision = msgspec.structs.replace(service.settings.revision, bundle=str(other))
    write_settings(service.folder, msgspec.structs.replace(service.settings, revision=revision))
    obstacle.touch()
    service.start(until=ServiceState.FAILED)
    wait_until(lambda: "the service failed to start" in service.log, what="it is given up")
    service.control.switch(service.revision(2, "def init(): pass\ndef run(x): return 2"))
    assert sorted(file.name for file in (service.folder / "started").iterdir()) == ["1", "2"]


def test_what_never_came_up_is_not_tried_again(services: Services, tmp_path: Path) -> None:
    obstacle = tmp_path / "obstacle"
    obstacle.touch()
    service = services.start(script(obstacle), until=ServiceState.FAILED)
    server = service.status.pid
    kill_server(service)
    wait_until(lambda: another_is(service, ServiceState.FAILED, before=server), what="it has failed as before")


def status_of(service: RunningService) -> list[ServiceState]:
    """Of each revision; none where nobody answers."""
    try:
        return [revision.state for revision in service.status.revisions]
    except ServiceNotRunning:
        return []


def another_is(service: RunningService, state: ServiceState, *, before: int) -> bool:
    """Whether a server process that is not that of ``before`` is in the state."""
    try:
        status = service.status
    except ServiceNotRunning:
        return False
    return status.pid != before and status.state is state


def test_folders_that_a_script_has_locked_keep_nobody_from_starting(services: Services) -> None:
    script = """
    import os
    def init():
        os.makedirs("cache/inner/innermost")
        for folder, mode in (("cache/inner", 0o000), ("cache", 0o555)):
            os.chmod(folder, mode)
    def run(data): return data
    """
    service = services.make(script)
    rights = "-dac_override,-dac_read_search"
    unprivileged = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"] if os.geteuid() == 0 else []
    command = [*unprivileged, *supervisor_command(service.folder)]
    for _ in range(2):
        service.process = subprocess.Popen(command, start_new_session=True)
        server = service.wait_for(ServiceState.RUNNING).pid
        kill_server(service)
        wait_until(partial(another_is, service, ServiceState.RUNNING, before=server), what="the next server")
        service.process.terminate()
        assert service.process.wait(PATIENCE_S) == 0
        assert list((service.folder / "work").iterdir()) == []


IMPATIENT = """
import sys
from pathlib import Path
from modelport_scoring.supervision import pulse, supervisor
pulse.PATIENCE_S = 3.0
sys.exit(supervisor.supervise(Path(sys.argv[1])))
"""


def start_impatient(service: RunningService) -> int:
    """With a supervisor that takes a server for hung after three seconds; returns its process id."""
    service.process = subprocess.Popen([sys.executable, "-c", IMPATIENT, str(service.folder)], start_new_session=True)
    service.wait_for(ServiceState.RUNNING)
    return service.process.pid


@pytest.mark.parametrize("processes", [1, 2])
def test_a_server_that_hangs_is_ended_and_followed(services: Services, processes: int) -> None:
    service = services.make(server_processes=processes, workers=processes)
    start_impatient(service)
    wait_until(lambda: len(service.status.workers) == processes, what="all are there")
    hung, *others = [server.pid for server in service.status.servers]
    assert hung is not None
    os.kill(hung, signal.SIGSTOP)
    wait_until(lambda: f"(process {hung}) does not do anything" in service.supervisor_log, what="it is noticed")
    status = service.wait_for(ServiceState.RUNNING)
    assert hung not in [server.pid for server in status.servers]
    assert service.score("again").status == 200
    assert set(others) <= {server.pid for server in service.status.servers}


def test_a_server_that_was_stopped_together_with_its_supervisor_is_no_hung_one(services: Services) -> None:
    """As where a whole container is paused."""
    service = services.make()
    supervisor = start_impatient(service)
    server = service.status.pid
    for pid in (supervisor, server):
        os.kill(pid, signal.SIGSTOP)
    paused = time.monotonic()
    wait_until(lambda: time.monotonic() - paused > 4, what="the pause")
    for pid in (supervisor, server):
        os.kill(pid, signal.SIGCONT)
    resumed = time.monotonic()
    wait_until(lambda: time.monotonic() - resumed > 2, what="the supervisor has looked")
    assert service.status.pid == server


def test_folders_of_servers_that_are_not_there_any_more_are_removed(services: Services) -> None:
    service = services.make()
    left = [service.folder / "work" / name for name in ("1.1", "7.12", "7")]
    kept = service.folder / "work" / "mine"
    for folder in (*left, kept):
        folder.mkdir(parents=True)
    service.start()
    assert not any(folder.exists() for folder in left)
    assert kept.exists()
