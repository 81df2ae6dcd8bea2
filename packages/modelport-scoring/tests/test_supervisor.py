"""The supervisor: lock, port, respawn, stop, logs."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import cast

import msgspec
import pytest

import modelport_scoring
from few_descriptors import room_for
from modelport_scoring import (
    Limits,
    RequestRefused,
    RevisionSettings,
    ServiceNotRunning,
    ServiceSettings,
    ServiceState,
    SettingsInvalid,
    read_failure,
    read_settings,
    supervisor_command,
    supervisor_log_path,
    supervisor_pid,
    write_settings,
)
from modelport_scoring.logs import journal
from modelport_scoring.logs.journal import Journal, cut, cut_logs, move
from modelport_scoring.processes.exit_statuses import STATUS_CANNOT_SERVE
from modelport_scoring.settings.telemetry import LogFormat, TelemetrySettings
from modelport_scoring.supervision import supervisor as supervisors
from modelport_scoring.supervision.orphans import end_orphans
from modelport_scoring.supervision.server_process import ServerProcess
from modelport_scoring.supervision.service_lock import acquire, is_alive
from modelport_scoring.supervision.supervisor import Supervisor
from scoring_services import (
    PATIENCE_S,
    Gate,
    RunningService,
    Services,
    has_pending,
    kill_session,
    load,
    read_all,
    refuses,
    session_members,
    stop,
    wait_until,
)


def exit_status(service: RunningService) -> int:
    assert service.process is not None
    return service.process.wait(PATIENCE_S)


# --- its end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["control", "signal"])
def test_a_stop_leaves_nothing(services: Services, how: str) -> None:
    service = services.start()
    process = service.process
    assert process is not None
    assert supervisor_pid(service.folder) == process.pid == service.status.supervisor_pid
    if how == "control":
        service.control.stop()
    else:
        process.terminate()
    assert exit_status(service) == 0
    assert session_members(process.pid) == []
    assert supervisor_pid(service.folder) is None
    assert not (service.folder / "control.sock").exists()
    assert list((service.folder / "work").iterdir()) == []
    with pytest.raises(ServiceNotRunning):
        service.control.status()
    service.start()
    assert service.score("again").status == 200


def test_a_service_ends_when_its_folder_is_removed(services: Services) -> None:
    """Nobody could tell it to stop any more, and it would keep its port for ever."""
    service = services.start()
    assert service.process is not None
    shutil.rmtree(service.folder)
    assert exit_status(service) == 0
    assert session_members(service.process.pid) == []


def test_a_stop_finishes_what_is_held(services: Services, gate: Gate) -> None:
    service = services.start(f"import os, time\ndef init(): pass\ndef run(x):\n    {gate.wait}\n    return x\n")
    connection = service.connect()
    connection.request("POST", "/score", body="held")
    wait_until(lambda: service.status.requests_in_flight == 1, what="held")
    port = service.settings.port
    service.control.stop()
    wait_until(lambda: refuses(port), what="it has begun to: before, an answer may not say that it is the last one")
    gate.open()
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b'"held"')
    assert response.getheader("connection") == "close"
    assert exit_status(service) == 0


def test_a_stop_waits_for_the_rest_of_a_request(services: Services) -> None:
    service = services.start(limits={"drain_timeout_s": 20})
    with service.raw_connection() as channel:
        channel.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert channel.recv(100).startswith(b"HTTP/1.1 100 ")
        assert service.process is not None
        service.process.terminate()
        wait_until(lambda: refuses(service.settings.port), what="the stop")
        channel.sendall(b"late")
        answer = read_all(channel)
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b'"late"') and is_last(answer)
    assert exit_status(service) == 0


def test_a_client_that_has_just_connected_is_still_answered(services: Services) -> None:
    """The loop may have accepted its connection as the stop came, and it knows nothing of that."""
    service = services.make()
    answers = [ask_while_it_stops(service.start())]
    while not is_last(answers[-1]) and len(answers) < 10:  # a busy machine can be too early, or too late
        answers.append(ask_while_it_stops(service.start()))
    assert is_last(answers[-1]), answers
    assert all(not answer or answer.startswith(b"HTTP/1.1 200 ") for answer in answers)


def test_who_waits_to_be_accepted_is_answered_before_the_stop(services: Services) -> None:
    service = services.start()
    server = service.status.pid
    wait_until(lambda: stop(server) == "T", what="it is stopped: until then it would still take the signal")
    with service.raw_connection() as channel:
        channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert service.process is not None
        service.process.terminate()
        wait_until(lambda: has_pending(server, signal.SIGTERM), what="the stop")
        os.kill(server, signal.SIGCONT)
        assert read_all(channel).startswith(b"HTTP/1.1 200 ")
    assert exit_status(service) == 0


def is_last(answer: bytes) -> bool:
    """Whether the server knew that it stops."""
    return b"\r\nconnection: close\r\n" in answer.lower()


def ask_while_it_stops(service: RunningService) -> bytes:
    """What a connection gets that first asks once nobody can connect any more; nothing where it was closed."""
    with service.raw_connection() as channel:
        wait_until(lambda: connections(service) == 1, what="the connection")
        assert service.process is not None
        service.process.terminate()
        while can_connect(service.settings.port):
            pass
        try:
            channel.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = read_all(channel)
        except ConnectionError:
            answer = b""
    assert exit_status(service) == 0
    return answer


def connections(service: RunningService) -> float:
    """How many are open, besides the one that asks."""
    (line,) = re.findall(r"^modelport_connections(?:{.*})? (\S+)$", service.ask("GET", "/metrics").body.decode(), re.M)
    return float(line) - 1


def can_connect(port: int) -> bool:
    with socket.socket() as channel:
        channel.settimeout(0.01)
        return channel.connect_ex(("127.0.0.1", port)) == 0


# --- what it is given -------------------------------------------------------------------------------------------------


def test_the_socket_tells_the_port_whatever_the_file_says(services: Services) -> None:
    """Somebody may write the file anew while the supervisor starts a scoring server."""
    service = services.start()
    pid, port = service.status.pid, service.settings.port
    write_settings(service.folder, msgspec.structs.replace(service.settings, port=0))
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: _pid(service) not in (None, pid), what="another scoring server")
    assert service.status.port == port > 0


def _pid(service: RunningService) -> int | None:
    try:
        return service.status.pid
    except ServiceNotRunning:
        return None


def test_the_chosen_port_is_written_down(services: Services) -> None:
    """So that it is the same at the next start, which is not tried here: somebody else may have been given it."""
    service = services.make(port=0)
    service.start()
    assert service.settings.port > 0
    assert (service.folder / "service.json").stat().st_mode & 0o777 == 0o600
    assert service.score("1").status == 200


def test_a_taken_port_is_told_at_once(services: Services) -> None:
    service = services.make()
    port = service.settings.port
    with socket.create_server(("127.0.0.1", port)):
        begun = time.monotonic()
        service.start(until=None)
        assert exit_status(service) == 1
        told_s = time.monotonic() - begun
    failure = read_failure(service.folder)
    assert failure is not None
    assert failure.phase == "start"
    assert f"port {port} is taken" in failure.message
    assert f"port {port} is taken" in service.supervisor_log
    begun = time.monotonic()
    service.start()
    assert told_s < max(3.0, 3 * (time.monotonic() - begun)), "0.15 s on a quiet machine, where a start takes 0.35"
    assert read_failure(service.folder) is None


def test_settings_that_cannot_be(services: Services) -> None:
    service = services.make()
    path = service.folder / "service.json"
    wanted = json.loads(path.read_text())
    for change, named in (
        ({"format": 9}, "format 9"),
        ({"workers": 0}, "workers"),
        ({"unknown": 1}, "unknown"),
        ({"port": 70000}, "70000"),
        ({"health_port": 70000}, "health_port 70000 is not between 1 and 65535"),  # the system would take 4464
        ({"health_port": 0}, "health_port 0 is not between 1 and 65535"),
        ({"port": 5001, "health_port": 5001}, "health_port is 5001, as port is"),
        ({"limits": {"max_body_bytes": 0}}, "max_body_bytes"),
        ({"limits": {"max_header_bytes": 0}}, "limits.max_header_bytes must be above 0, not 0"),  # it is not raised
        ({"limits": {"queue_wait_ms": 10**400}}, "limits.queue_wait_ms must be at most 10000000000000; leave it out"),
        ({"limits": {"start_timeout_s": 1e300}}, "limits.start_timeout_s must be at most 10000000000; leave it out"),
        ({"limits": {"max_connections": 10**18}}, "limits.max_connections must be at most 9007199254740992; leave it"),
        ({"auth": {"enabled": True}}, "key digest"),
    ):
        path.write_text(json.dumps({**wanted, **change}))
        with pytest.raises(SettingsInvalid, match=named):
            read_settings(service.folder)
    service.start(until=None)
    assert exit_status(service) == 1
    failure = read_failure(service.folder)
    assert failure is not None
    assert "key digest" in failure.message


def test_limits_that_were_kept_before_they_had_a_least(services: Services) -> None:
    """The service was there before, and serves on; whoever changes the settings is told."""
    limits = {"max_header_bytes": 10, "idle_timeout_s": 1e-300}
    service = services.make(limits=limits)
    written = json.loads((service.folder / "service.json").read_text())
    written["revision"]["limits"] = {"log_bytes": 1}
    (service.folder / "service.json").write_text(json.dumps(written))
    service.start()
    assert service.score("x").status == 200
    assert service.settings.limits == Limits(max_header_bytes=1000, idle_timeout_s=0.01)
    assert service.settings.revision.limits == {"log_bytes": 1000}
    for said in (
        "service.json: limits.max_header_bytes is 10, below its least: 1000 is in force",
        "service.json: limits.idle_timeout_s is 1e-300, below its least: 0.01 is in force",
        "service.json: revision 1: limits.log_bytes is 1, below its least: 1000 is in force",
    ):
        assert said in service.supervisor_log
    with pytest.raises(RequestRefused, match=r"limits\.max_header_bytes must be at least 1000, not 10"):
        service.control.configure(limits=Limits(max_header_bytes=10))


def test_too_small_files_are_told_of_at_the_start(services: Services) -> None:
    """The memory that server and workers share counts as a file."""
    service = services.make()
    limited = ["sh", "-c", 'ulimit -f 200 && exec "$@"', "sh", *supervisor_command(service.folder)]
    service.process = subprocess.Popen(limited, start_new_session=True)
    assert exit_status(service) == 1
    failure = read_failure(service.folder)
    assert failure is not None
    assert re.match(r"files may have 102400 bytes here, .*: allow \d+ at least .ulimit -f unlimited", failure.message)
    assert "Traceback" not in service.supervisor_log


def test_a_second_supervisor_is_refused_and_harms_nothing(services: Services) -> None:
    service = services.start()
    server = service.status.pid
    second = subprocess.run(supervisor_command(service.folder), capture_output=True, text=True, timeout=PATIENCE_S)
    assert second.returncode == 1
    assert "running already" in second.stderr
    assert service.score("x").status == 200
    assert service.status.pid == server, "it is not killed and started again, either"
    assert read_failure(service.folder) is None


def test_what_runs_on_in_a_session_of_a_living_leader_is_not_left_behind(tmp_path: Path) -> None:
    """It is a service that a script of this one has deployed, say, and has the variables of that."""
    environment = {**os.environ, "AML_APP_ROOT": f"{tmp_path.resolve()}/work/1/app"}

    def start(command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["sh", "-c", command], env=environment, start_new_session=True, stdout=subprocess.PIPE, text=True
        )

    with start("sleep 60 & echo $!; wait") as living, start("sleep 60 & echo $!") as left:
        try:
            of_living, of_left = (int(each.stdout.readline()) for each in (living, left) if each.stdout is not None)
            left.wait(PATIENCE_S)
            for pid in (of_living, of_left):  # until its program has begun, it may show no variables
                command = Path(f"/proc/{pid}/cmdline")
                wait_until(lambda command=command: command.read_bytes().startswith(b"sleep"), what="it sleeps")  # type: ignore[misc]
            end_orphans(tmp_path)
            wait_until(lambda: not is_alive(of_left), what="who has lost its leader is ended")
            assert is_alive(of_living)
        finally:
            for each in (living, left):
                kill_session(each.pid)


def test_who_has_ended_and_whom_nobody_has_waited_for_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(ended.pid)
    assert not is_alive(ended.pid)
    assert is_alive(os.getpid())


def test_the_lock_names_its_holder_alone_whatever_stood_there(tmp_path: Path) -> None:
    (tmp_path / "service.lock").write_text(f"{2**40}\nand more\n")
    descriptor = acquire(tmp_path)
    try:
        assert (tmp_path / "service.lock").read_text() == f"{os.getpid()}\n"
    finally:
        os.close(descriptor)


# --- who dies ---------------------------------------------------------------------------------------------------------


def test_a_hangup_is_nothing_to_a_service_without_a_terminal(services: Services) -> None:
    service = services.start()
    before = service.status
    for pid in (before.supervisor_pid, before.pid):
        os.kill(pid, signal.SIGHUP)
        wait_until(lambda: not has_pending(pid, signal.SIGHUP), what="it has been taken")  # noqa: B023
    assert service.score("x").status == 200
    after = service.status
    assert (after.supervisor_pid, after.pid) == (before.supervisor_pid, before.pid)


def test_a_service_at_a_terminal_stops_with_it(services: Services) -> None:
    service = services.make()
    service.process = subprocess.Popen(supervisor_command(service.folder), process_group=0)
    service.wait_for(ServiceState.RUNNING)
    with load(service) as seen:
        os.killpg(service.process.pid, signal.SIGHUP)
        assert exit_status(service) == 0
    assert {answer[0] for answer in seen if isinstance(answer, tuple)} == {200}, seen
    assert "the service has stopped" in service.supervisor_log


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """One of two servers, neither of which has been started, that looks a hundred times a second and is impatient."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(supervisors, "TICK_S", 0.01)
    monkeypatch.setattr(supervisors, "KILL_AFTER_S", 0.1)
    monkeypatch.setattr(supervisors, "end_descendants", lambda: None)  # ours are those of all tests
    monkeypatch.setattr(supervisors, "reap_others", lambda _: None)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        made = Supervisor(listening, lock=-1, processes=2, parent=None)
        made._limits = Limits(drain_timeout_s=0.1)
        yield made
    for descriptor in (made._lifeline, made._life, made._metrics):
        os.close(descriptor)


def test_a_stop_ends_a_server_that_does_not_end(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ServerProcess, "end_if_hung", lambda _: None)  # that takes half a minute
    command = ["sh", "-c", "trap '' TERM; echo ready; sleep 60 & wait; wait"]
    with subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE) as hangs:
        try:
            assert hangs.stdout is not None
            assert hangs.stdout.readline() == b"ready\n"
            supervisor._servers[1].process = hangs
            supervisor._stop()
            assert supervisor.run() == 0
            assert hangs.returncode == -signal.SIGKILL
        finally:
            kill_session(hangs.pid)


def test_what_one_of_several_servers_leaves_behind_is_ended(supervisor: Supervisor) -> None:
    """A worker whose run() does not come back does not notice that its server has gone."""
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!"], start_new_session=True, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            left = int(server.stdout.readline())
            supervisor._servers[1].process = server
            wait_until(lambda: supervisor._servers[1].collect() == 0, what="it has ended")
            wait_until(lambda: not is_alive(left), what="so has the other one")
        finally:
            kill_session(server.pid)


def test_a_server_that_follows_another_one_may_take_as_long_to_start(supervisor: Supervisor) -> None:
    server = supervisor._servers[1]
    os.pwrite(supervisor._metrics, b"another", server._pulse._offset)
    server._pulse.has_stopped()
    had_beaten = server._pulse._has_beaten
    server.start(["true"], descriptors=())
    assert (had_beaten, server._pulse._has_beaten) == (True, False)
    wait_until(lambda: server.collect() is not None, what="it has ended")


def test_only_the_first_server_may_end_the_service_for_settings_that_cannot_be(supervisor: Supervisor) -> None:
    """Later ones are tried again: somebody may mend the file."""
    first, second = supervisor._servers
    supervisor._ended(second, -signal.SIGKILL)
    supervisor._ended(first, STATUS_CANNOT_SERVE)
    assert not supervisor._stopping
    supervisor._has_served = False
    supervisor._ended(first, STATUS_CANNOT_SERVE)
    assert (supervisor._stopping, supervisor._status) == (True, 1)


def test_changed_settings_and_a_flood_of_lines_are_noticed(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_stamp", journal.as_text)
    log = supervisor_log_path(Path())
    log.parent.mkdir()
    log.write_bytes(b"x\n" * 6_000)
    revision = RevisionSettings(number=1, bundle="/b", interpreter=["python"])
    telemetry = TelemetrySettings(log_format=LogFormat.JSON)
    limits = Limits(log_bytes=1_000)
    write_settings(
        Path(),
        ServiceSettings(name="n", workspace="w", revision=revision, port=5001, limits=limits, telemetry=telemetry),
    )
    supervisor._tick_s = 0.0
    with room_for(0):
        supervisor._cut_logs()
    assert supervisor._limits.log_bytes == Limits().log_bytes, "they could not be read"
    supervisor._cut_logs()
    assert log.stat().st_size < 1_000
    assert json.loads(journal.stamped("said"))["message"] == "said"
    assert supervisor._tick_s == supervisors.FLOODED_TICK_S
    supervisor._cut_logs()
    assert supervisor._tick_s == supervisors.TICK_S


REAP = """
import os, subprocess, sys
from modelport_scoring.supervision.supervisor import reap_others
server = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
os.waitid(os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)
reap_others({server.pid})
assert server.wait() == 7, server.returncode
other = subprocess.Popen([sys.executable, "-c", ""])
os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
reap_others({server.pid})
assert not os.path.exists(f"/proc/{other.pid}")
"""


def test_the_end_of_a_server_is_not_taken_from_whoever_waits_for_it() -> None:
    """A status that is gone counts as 0, which would stop the service."""
    subprocess.run([sys.executable, "-c", REAP], check=True)


def test_the_scoring_server_is_started_again(services: Services) -> None:
    service = services.start("import time\ndef init(): pass\ndef run(x): time.sleep(float(x)); return x\n")
    process = service.process
    assert process is not None
    before = service.status
    with service.raw_connection() as held:
        held.sendall(b"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n600")
        wait_until(lambda: service.status.requests_in_flight == 1, what="the worker is busy")
        os.kill(before.pid, signal.SIGKILL)
        wait_until(lambda: running(service) and service.status.pid != before.pid, what="another server")
    assert service.score("0").status == 200
    assert service.settings.port == before.port
    assert before.workers[0].pid not in session_members(process.pid)
    assert "killed by signal 9 (SIGKILL)" in service.supervisor_log


def test_a_supervisor_survives_a_system_that_has_nothing_left(services: Services) -> None:
    service = services.start()
    assert service.process is not None
    before, limits = service.status.pid, resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, (0, limits[1]))
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: "could not be started" in service.supervisor_log, what="a start that failed")
    resource.prlimit(service.process.pid, resource.RLIMIT_NOFILE, limits)
    assert service.wait_for(ServiceState.RUNNING).pid != before
    assert service.score("again").status == 200


def test_nothing_outlives_a_killed_supervisor_and_the_next_one_takes_over(services: Services) -> None:
    service = services.start()
    first = service.process
    assert first is not None
    first.kill()
    first.wait()
    service.start(until=None)
    assert service.process is not None
    second = service.process.pid
    wait_until(lambda: running(service) and service.status.supervisor_pid == second, what="the next one serves")
    assert service.score("x").status == 200
    wait_until(lambda: session_members(first.pid) == [], what="the first one's processes have ended")


def test_the_next_supervisor_does_not_wait_for_a_revision_that_was_retired(services: Services, gate: Gate) -> None:
    """It still finished what it held when the supervisor was killed."""
    service = services.start(f"import os, time\ndef init(): pass\ndef run(x):\n    {gate.wait}\n")
    service.connect().request("POST", "/score", body="x")
    wait_until(lambda: service.status.requests_in_flight == 1, what="it runs")
    service.control.switch(service.revision(2, "def init(): pass\ndef run(x): return 'two'"))
    assert service.process is not None
    service.process.kill()
    service.process.wait()
    assert service.start().score("x").json == "two"


def test_the_next_supervisor_ends_servers_that_hang(services: Services) -> None:
    """Their supervisor was killed, and cannot do it any more; and they have its lock."""
    service = services.start(server_processes=2, workers=2)
    bystander = services.start()
    servers = [server.pid for server in service.status.servers if server.pid is not None]
    for server in servers:
        os.kill(server, signal.SIGSTOP)
    assert service.process is not None
    service.process.kill()
    service.process.wait()
    assert service.start().score("x").status == 200
    assert not any(is_alive(server) for server in servers)
    assert bystander.score("x").status == 200


def test_somebody_who_has_the_supervisors_number_by_now_is_not_taken_for_it(services: Services) -> None:
    """Nor signalled, where the service is to stop: the system gives numbers again."""
    service = services.start()
    server = service.status.pid
    os.kill(server, signal.SIGSTOP)
    assert service.process is not None
    service.process.kill()
    service.process.wait()
    other = subprocess.Popen(["sleep", "600"])
    try:
        (service.folder / "service.lock").write_text(f"{other.pid}\n")
        assert supervisor_pid(service.folder) is None
        assert service.start().score("x").status == 200
        assert not is_alive(server)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("how", ["spawn", "fork"])
def test_the_next_supervisor_ends_what_does_not_end_by_itself(services: Services, how: str) -> None:
    """Where the supervisor and the scoring server were killed at once, while ``run()`` does not come back."""
    service = services.start("import time\ndef init(): pass\ndef run(x): time.sleep(600)\n", worker_start=how)
    status, supervisor = service.status, service.process
    assert supervisor is not None
    service.connect().request("POST", "/score", body="x")
    wait_until(lambda: service.status.requests_in_flight == 1, what="it runs")
    members = session_members(supervisor.pid)
    for pid in (supervisor.pid, status.pid):
        os.kill(pid, signal.SIGKILL)
    supervisor.wait()
    wait_until(lambda: not is_alive(status.pid), what="the server's end")
    left = set(members) - {supervisor.pid, status.pid}
    worker = status.workers[0].pid
    assert worker in left
    assert worker is not None
    assert is_alive(worker)
    service.start()
    assert not any(is_alive(pid) for pid in left)


# --- its folder and logs ----------------------------------------------------------------------------------------------


def test_a_folder_with_a_long_path(services: Services, tmp_path: Path) -> None:
    service = services.start(folder=tmp_path / ("long" * 40) / "service")
    assert len(str(service.folder)) > 150
    assert service.status.state is ServiceState.RUNNING
    assert service.score("x").status == 200


def test_logs_are_cut_while_they_are_written(services: Services) -> None:
    script = "def init(): pass\ndef run(x):\n    for n in range(2000): print(x, n, '.' * 40)\n    return x\n"
    service = services.start(script, limits={"log_bytes": 100_000})
    log = service.folder / "logs" / "1.log"
    for number in range(5):
        assert service.score(f"call {number}").status == 200
    wait_until(lambda: log.stat().st_size <= 100_000, what="the log is cut")
    assert service.score("after").status == 200
    text = log.read_text()
    assert "\x00" not in text
    assert "after 1999" in text
    assert "limits.log_bytes" in text


def test_a_cut_keeps_whole_lines(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("".join(f"line {number}\n" for number in range(10_000)))
    with log.open("a") as writer:
        cut(log, keep=1005)
        writer.write("more\n")
    lines = log.read_text().splitlines()
    assert "cut here" in lines[0]
    assert lines[-2:] == ["line 9999", "more"]
    assert all(line.startswith("line ") for line in lines[1:-1])
    assert log.stat().st_size < 1200


def test_a_log_that_grew_tenfold_between_two_looks_is_to_be_looked_at_again_soon(tmp_path: Path) -> None:
    def is_flooded(*sizes: int) -> bool:
        logs = [tmp_path / f"{number}.log" for number in range(len(sizes))]
        for log, size in zip(logs, sizes, strict=True):
            log.write_bytes(bytes(size))
        return cut_logs(cast(Path, SimpleNamespace(glob=lambda _: logs)), limit=1000)

    assert not is_flooded(10_000, 10_000)
    assert is_flooded(10_001, 10_000)
    assert is_flooded(10_000, 10_001)


def test_a_folder_of_logs_that_was_cleared_away_is_made_anew(tmp_path: Path) -> None:
    Journal(tmp_path / "logs" / "1.log").write("here")
    assert (tmp_path / "logs" / "1.log").read_text().endswith("] here\n")


def test_a_cut_does_not_run_after_what_is_written_without_end(tmp_path: Path) -> None:
    """By a script that writes faster than its log can be copied: the supervisor would do nothing else any more."""
    log = tmp_path / "a.log"
    log.write_bytes(bytes(1_000_000) + b"a" * 600_000 + b"b" * 600_000)
    with log.open("r+b", buffering=0) as file:
        assert move(file.fileno(), source=1_000_000, target=10, most=600_000) == 600_010
    assert log.read_bytes()[:600_011] == bytes(10) + b"a" * 600_000 + b"\0"


# --- the package ------------------------------------------------------------------------------------------------------


def test_a_server_without_workers_and_its_supervisor_are_small(services: Services) -> None:
    service = services.start()
    status = service.status
    assert memory_mb(status.pid) < 60
    assert memory_mb(status.supervisor_pid) < 25


def test_the_public_door() -> None:
    names = {name for name in vars(modelport_scoring) if not name.startswith("_")}
    modules = {name for name in names if isinstance(getattr(modelport_scoring, name), ModuleType)}
    assert sorted(modelport_scoring.__all__) == modelport_scoring.__all__
    assert {*(names - modules), "__version__"} == set(modelport_scoring.__all__)
    assert modelport_scoring.__version__ == importlib.metadata.version("modelport-scoring")


def test_the_door_loads_neither_loop_nor_parser() -> None:
    unwanted = ("asyncio", "uvloop", "httptools", "orjson")
    code = f"import sys, modelport_scoring; print([name for name in {unwanted} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_settings_are_written_whole_or_not_at_all(services: Services, tmp_path: Path) -> None:
    service = services.make()
    before = (service.folder / "service.json").read_bytes()
    with pytest.raises(FileNotFoundError):
        write_settings(service.folder / "nowhere", service.settings)
    assert (service.folder / "service.json").read_bytes() == before
    assert read_settings(service.folder).limits == Limits()
    assert sorted(path.name for path in service.folder.iterdir()) == ["service.json"]


def running(service: RunningService) -> bool:
    try:
        return service.status.state is ServiceState.RUNNING
    except ServiceNotRunning:
        return False


def memory_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
