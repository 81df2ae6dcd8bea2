"""The start program of an image, as a process: variables, logs on its output, exit statuses, and what it leaves."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from modelport_scoring import ErrorMode, RevisionSettings, ServiceSettings, SettingsInvalid, WorkerStart, write_settings
from modelport_scoring.container import packaged
from modelport_scoring.service_folder import read_settings
from modelport_scoring.service_lock import is_alive
from scoring_services import PATIENCE_S, Services, session_members, wait_until, write_bundle

SCRIPT = """
    import os

    def init():
        print("init in", os.getcwd())

    def run(data):
        if data == "fail":
            raise ValueError("no such luck")
        with open("written_beside", "w") as file:
            file.write("x")
        names = ("AML_APP_ROOT", "AZUREML_MODEL_DIR", "AZUREML_ENTRY_SCRIPT", "SERVICE_NAME", "FROM_BUNDLE")
        return {name: os.environ.get(name) for name in names}
"""


class Package:
    """A folder laid out as an image is, and the start program when it runs."""

    def __init__(self, folder: Path, script: str = SCRIPT) -> None:
        self.root = folder / "image"
        self.folder = folder / "service"
        self.server = self.root / "azureml-server"
        self.app = self.root / "azureml-app"
        bundle = write_bundle(self.root / "bundle", script, models={"answer": "42"})
        (bundle / "app").rename(self.app)
        (bundle / "azureml-models").rename(self.app / "azureml-models")
        bundle.rename(self.server)
        self.process: subprocess.Popen[bytes] | None = None
        self.output = folder / "output.log"
        self.write()

    def write(self, **settings: Any) -> None:
        # a relative path leads from the package's folder to the interpreter, as it does in an image
        python = os.path.relpath(sys.executable, self.server)
        revision = RevisionSettings(number=1, bundle=".", interpreter=[python], app_root="../azureml-app")
        fields: dict[str, Any] = {"error_mode": ErrorMode.CONTAINER, "ends_with_script": True, **settings}
        write_settings(self.server, ServiceSettings(name="demo", workspace="", revision=revision, **fields))

    def start(self, variables: Mapping[str, str] | None = None, *, output: Any = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "modelport_scoring.container", "--package", str(self.server)]
        command += ["--folder", str(self.folder), "--port", "0"]
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                command, env={**os.environ, **(variables or {})}, stdout=output or log, stderr=subprocess.STDOUT
            )
        return self.process

    def healthy(self) -> None:
        wait_until(lambda: self._health() == b"Healthy", what=f"health: {self.log}")

    @property
    def log(self) -> str:
        return self.output.read_text()

    def ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", read_settings(self.folder).port, timeout=PATIENCE_S)
        try:
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def end(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            for pid in session_members(self.process.pid):
                os.kill(pid, signal.SIGKILL)

    def _health(self) -> bytes:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        try:
            return self.ask("GET", "/")[1]
        except (SettingsInvalid, OSError):
            return b""


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Package]:
    package = Package(tmp_path)
    yield package
    package.end()


def test_an_image_is_served_where_it_lies(package: Package) -> None:
    process = package.start(
        {"SERVICE_NAME": "renamed", "AML_APP_INSIGHTS_ENABLED": "true", "AZUREML_LOG_LEVEL": "INFO"}
    )
    package.healthy()
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
    assert "AZUREML_LOG_LEVEL has no effect" in package.log
    assert '"path":"/score"' in package.log, "the access log goes to the output too"


def test_a_script_that_cannot_be_started_ends_the_container(tmp_path: Path) -> None:
    package = Package(tmp_path, "def init():\n    raise ValueError('broken')\n\ndef run(data): return data\n")
    try:
        assert package.start().wait(PATIENCE_S) == 3
        assert "ValueError: broken" in package.log
        assert "the service ends" in package.log
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


def test_the_variables_of_v1_change_settings(package: Package) -> None:
    package.write(port=5001)
    variables = {
        "SERVICE_VERSION": "7",
        "SERVICE_PATH_PREFIX": "/api/v1/service/demo",
        "WORKSPACE_NAME": "ws",
        "WORKER_COUNT": "3",
        "SCORING_TIMEOUT_MS": "90000",
        "WORKER_TIMEOUT": "30",
        "WORKER_PRELOAD": "true",
        "AML_APP_ROOT": "/elsewhere",
        "HEALTH_PORT": "5000",
    }
    found = packaged(package.server, variables)
    settings = found.settings
    assert (settings.version, settings.path_prefix, settings.workspace) == ("7", "/api/v1/service/demo", "ws")
    assert (settings.workers, settings.worker_start) == (3, WorkerStart.FORK)
    assert settings.limits.scoring_timeout_ms == 30_000
    assert settings.revision.app_root == "/elsewhere"
    assert list(found.notes) == ["HEALTH_PORT has no effect on this server"]
    plain = packaged(package.server, {"SCORING_TIMEOUT_MS": "90000"}).settings
    assert plain.limits.scoring_timeout_ms == 90_000
    assert plain.revision.app_root == str(package.app)
    assert plain.revision.bundle == str(package.server)
    assert Path(plain.revision.interpreter[0]).samefile(sys.executable)
    assert plain.port == 5001


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
