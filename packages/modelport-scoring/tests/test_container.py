"""The start program of an image, as a process: variables, logs on its output, exit statuses, and what it leaves."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from image_packages import Package
from modelport_scoring import SettingsInvalid, WorkerStart, read_failure
from modelport_scoring.container.packaged import UNLIMITED_MS, notes_on
from modelport_scoring.service_folder import read_settings
from modelport_scoring.supervision.service_lock import is_alive
from modelport_scoring.version import server_line
from scoring_services import PATIENCE_S, Services, session_members, takes_leave, wait_until


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Package]:
    package = Package(tmp_path)
    yield package
    package.end()


def test_an_image_is_served_where_it_lies(package: Package) -> None:
    variables = {"AML_APP_INSIGHTS_ENABLED": "true", "AZUREML_CONFIG_FILE": "x", "AZUREML_LOG_LEVEL": "INFO"}
    process = package.start({"SERVICE_NAME": "renamed", **variables})
    package.healthy()
    assert package.folder.stat().st_mode & 0o777 == 0o700, "the folder for temporary files is everybody's"
    assert "x-ms-server-version" in package.header_names()
    status, body = package.ask("POST", "/score", "1")
    assert (status, json.loads(body)) == (
        200,
        {
            "AML_APP_ROOT": str(package.app),
            "AZUREML_MODEL_DIR": str(package.app / "azureml-models/answer/1"),
            "AZUREML_ENTRY_SCRIPT": "source/score.py",
            "SERVICE_NAME": "renamed",
            "FROM_BUNDLE": "yes",
        },
    )
    assert package.ask("POST", "/score", "fail") == (500, b"no such luck")
    assert json.loads(package.ask("GET", "/swagger.json")[1])["info"]["title"] == "renamed"
    process.terminate()
    assert process.wait(PATIENCE_S) == 0
    assert (package.app / "written_beside").exists(), "the app root is not a copy"
    assert (package.app / "azureml-models/answer/1/model.txt").read_text() == "42"
    assert f"init in {package.app}" in package.log
    assert "AZUREML_CONFIG_FILE has no effect" in package.log
    assert "AZUREML_LOG_LEVEL has no effect" not in package.log, "the worker heeds it"
    assert '"path":"/score"' in package.log, "the access log goes to the output too"


@pytest.mark.parametrize("value", ["false", "0", "yes"])
def test_answers_name_no_version_where_the_variable_is_not_true(value: str) -> None:
    assert server_line(value) == b""
    assert server_line(None) == server_line("true") == server_line("True") != b""


def test_a_container_keeps_its_version_to_itself(package: Package) -> None:
    package.start({"SERVER_VERSION_LOG_RESPONSE_ENABLED": "false"})
    package.healthy()
    assert "x-ms-server-version" not in package.header_names()


def test_a_client_that_keeps_its_connection_is_told_of_the_end(package: Package) -> None:
    process = package.start()
    package.healthy()
    connection = http.client.HTTPConnection("127.0.0.1", read_settings(package.folder).port, timeout=PATIENCE_S)
    connection.request("POST", "/score", body="1")
    assert connection.getresponse().read()
    idle = http.client.HTTPConnection("127.0.0.1", read_settings(package.folder).port, timeout=PATIENCE_S)
    idle.request("GET", "/")  # which a connection that was accepted answers
    assert idle.getresponse().read() == b"Healthy"
    begun = time.monotonic()
    process.terminate()
    wait_until(lambda: takes_leave(read_settings(package.folder).port), what="new clients are told of the end too")
    connection.request("POST", "/score", body="1")
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("connection")) == (200, "close")
    connection.close()
    assert process.wait(PATIENCE_S) == 0
    assert time.monotonic() - begun > 4, "the idle one was kept for a while"
    idle.close()


def test_a_script_that_cannot_be_started_ends_the_container(tmp_path: Path) -> None:
    package = Package(tmp_path, "def init():\n    raise ValueError('broken')\n\ndef run(data): return data\n")
    try:
        assert package.start().wait(PATIENCE_S) == 3
        assert "ValueError: broken" in package.log
        assert "the service ends" in package.log
        failure = read_failure(package.folder)
        assert failure is not None
        assert (failure.phase, failure.type, failure.message) == ("init", "ValueError", "broken")
    finally:
        package.end()


def test_variables_name_another_script(package: Package) -> None:
    (package.app / "other.py").write_text("def init(): pass\n\ndef run(data): return 'other'\n")
    package.start({"AZUREML_ENTRY_SCRIPT": "other.py"})
    package.healthy()
    assert package.ask("POST", "/score", "1") == (200, b'"other"')


def test_without_an_output_that_can_be_opened_again_logs_are_files(package: Package) -> None:
    import socket

    ours, theirs = socket.socketpair()
    with ours, theirs:
        package.start(output=theirs)
        package.healthy()
        assert "init in" in (package.folder / "logs/1.log").read_text()


def test_settings_that_cannot_be_are_named(package: Package) -> None:
    assert package.start({"WORKER_COUNT": "many"}).wait(PATIENCE_S) == 1
    assert "WORKER_COUNT must be a whole number of at least 1, not 'many'" in package.log
    assert package.start({"AML_APP_ROOT": "/nowhere"}).wait(PATIENCE_S) == 1
    assert "The package cannot be served: the app root of revision 1: /nowhere is no folder here" in package.log
    with pytest.raises(SettingsInvalid, match="WORKER_TIMEOUT must be a whole number"):
        package.placed({"WORKER_TIMEOUT": "9" * 5000})


def test_the_variables_of_v1_change_settings(package: Package, tmp_path: Path) -> None:
    package.write(port=5001)
    variables = {
        "SERVICE_VERSION": "7",
        "SERVICE_PATH_PREFIX": "/api/v1/service/demo",
        "WORKSPACE_NAME": "ws",
        "WORKER_COUNT": "3",
        "SCORING_TIMEOUT_MS": "90000",
        "WORKER_TIMEOUT": "30",
        "WORKER_PRELOAD": "true",
        "AML_APP_ROOT": str(tmp_path),
        "HEALTH_PORT": "5003",
        "SEPERATE_HEALTH_ENDPOINT": "true",
        "AZUREML_DEBUG_PORT": "5678",
    }
    settings = package.placed(variables)
    assert (settings.version, settings.path_prefix, settings.workspace) == ("7", "/api/v1/service/demo", "ws")
    assert (settings.workers, settings.worker_start) == (3, WorkerStart.FORK)
    assert settings.limits.scoring_timeout_ms == 30_000
    assert settings.revision.app_root == str(tmp_path)
    assert settings.health_port == 5003
    assert notes_on(variables) == ["AZUREML_DEBUG_PORT has no effect on this server"]
    plain = package.placed({"SCORING_TIMEOUT_MS": "90000", "HEALTH_PORT": "5003"})
    assert plain.health_port is None
    assert plain.limits.scoring_timeout_ms == 90_000
    assert plain.revision.app_root == str(package.app)
    assert plain.revision.bundle == str(package.server)
    assert Path(plain.revision.interpreter[0]).samefile(sys.executable)
    assert plain.port == 5001


@pytest.mark.parametrize(
    ("variables", "scoring_timeout_ms"),
    [
        ({"SCORING_TIMEOUT_MS": "0"}, UNLIMITED_MS),
        ({"SCORING_TIMEOUT_MS": "0", "WORKER_TIMEOUT": "30"}, 30_000),
        ({"SCORING_TIMEOUT_MS": "500", "WORKER_TIMEOUT": "0"}, 500),
        ({"SCORING_TIMEOUT_MS": " 500 ", "WORKER_TIMEOUT": " "}, 500),
    ],
)
def test_a_timeout_of_0_is_none(package: Package, variables: dict[str, str], scoring_timeout_ms: int) -> None:
    package.write(port=5001)
    assert package.placed(variables).limits.scoring_timeout_ms == scoring_timeout_ms
    with pytest.raises(SettingsInvalid, match="SCORING_TIMEOUT_MS must be a whole number of at least 0, not '-1'"):
        package.placed({"SCORING_TIMEOUT_MS": "-1"})


def test_a_service_ends_with_the_process_that_it_is_for(services: Services) -> None:
    service = services.make()
    program = f"""
import os, subprocess, sys, time
from pathlib import Path
import msgspec
from modelport_scoring import read_settings, supervisor_command, write_settings
folder = Path({str(service.folder)!r})
write_settings(folder, msgspec.structs.replace(read_settings(folder), ends_with_process=os.getpid()))
print(subprocess.Popen(supervisor_command(folder), start_new_session=True).pid, flush=True)
time.sleep(100)
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    supervisor = int(owner.stdout.readline())
    try:
        wait_until(lambda: service._state() is not None, what="the service")
        owner.kill()
        owner.wait()
        wait_until(lambda: not session_members(supervisor), what="its end")
        assert not is_alive(supervisor)
    finally:
        owner.kill()
        owner.stdout.close()


ORPHANS = """
    import os

    def init(): pass

    def run(data):
        reading, writing = os.pipe()
        if os.fork() == 0:  # leaves a child behind that ends a moment later, as process pools do
            os.setsid()
            child = os.fork()
            if child == 0:
                os.execv("/bin/sleep", ["sleep", "0.1"])
            os.write(writing, str(child).encode())
            os._exit(0)
        os.wait()
        return int(os.read(reading, 20))
"""


def test_the_first_process_of_a_container_takes_leave_of_orphans(services: Services) -> None:
    service = services.make(ORPHANS)
    subreaper = f"""
import ctypes, os
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: orphans come to us, as to process 1
from modelport_scoring import supervisor_command
command = supervisor_command({str(service.folder)!r})
os.execv(command[0], command)
"""
    service.process = subprocess.Popen([sys.executable, "-c", subreaper], start_new_session=True)
    wait_until(lambda: service._state() is not None, what="the service")
    orphan = service.score("1").json
    wait_until(lambda: not Path(f"/proc/{orphan}").exists(), what="the orphan's end, and no zombie")


def test_a_revision_without_an_app_root_is_a_copy(services: Services) -> None:
    service = services.start()
    assert service.settings.revision.app_root is None
    assert (service.folder / "work/1/app").is_dir()
    assert msgspec.to_builtins(service.settings)["ends_with_process"] is None
