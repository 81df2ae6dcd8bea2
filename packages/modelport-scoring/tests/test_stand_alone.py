"""``azmlinfsrv``, as a process: v1's options, variables and configuration file, and its exit statuses."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from routers import free_port
from scoring_services import PATIENCE_S, kill_session, wait_until

SCRIPT = """
import os
import sys

def init():
    print("init in", os.getcwd())

def run(data):
    names = ("AZUREML_MODEL_DIR", "AZUREML_ENTRY_SCRIPT", "AML_APP_ROOT", "SERVICE_NAME", "FROM_CALLER")
    return {"python": list(sys.version_info[:2]), **{name: os.environ.get(name) for name in names}}
"""


class StandAlone:
    """The command in a folder of its own, when it runs."""

    def __init__(self, folder: Path) -> None:
        self.app = folder / "app"
        self.app.mkdir()
        (self.app / "score.py").write_text(SCRIPT)
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.output = folder / "output.log"
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str, **variables: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "modelport_scoring.stand_alone", "--port", str(self.port), *options]
        environment = {**os.environ, "TMPDIR": str(self.temporary), "FROM_CALLER": "yes", **variables}
        with self.output.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.app, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        return self.process

    @property
    def log(self) -> str:
        return self.output.read_text()

    def ask(self, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, bytes, dict[str, str]]:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)) as connection:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read(), {name.lower(): value for name, value in response.getheaders()}

    def healthy(self) -> None:
        def is_healthy() -> bool:
            assert self.process is not None and self.process.poll() is None, self.log
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.ask("GET", "/")[0] == 200
            return False

        wait_until(is_healthy, what="the script is served")

    def score(self) -> dict[str, object]:
        status, body, _ = self.ask("POST", "/score", "1")
        assert status == 200, body
        answer: dict[str, object] = json.loads(body)
        return answer

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            kill_session(self.process.pid)
            self.process.wait()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[StandAlone]:
    server = StandAlone(tmp_path)
    yield server
    server.end()


def test_a_script_is_served_where_it_lies(server: StandAlone) -> None:
    model = server.app / "models" / "mine" / "3"
    model.mkdir(parents=True)
    options = ("--entry_script", "score.py", "--model_dir", "models/mine/3", "--worker_count", "2")
    process = server.start(*options, "--access_control_allow_origins", "https://page.example")
    server.healthy()
    assert server.score() == {
        "python": list(sys.version_info[:2]),
        "AZUREML_MODEL_DIR": str(model),
        "AZUREML_ENTRY_SCRIPT": "score.py",
        "AML_APP_ROOT": str(server.app),
        "SERVICE_NAME": "ML service",
        "FROM_CALLER": "yes",
    }
    wait_until(lambda: server.log.count(f"init in {server.app}") == 2, what="both workers are there")
    headers = server.ask("POST", "/score", "1", Origin="https://page.example")[2]
    assert headers["access-control-allow-origin"] == "https://page.example"
    assert f"http://127.0.0.1:{server.port}/score" in server.log
    wait_until(lambda: "POST /score 200" in server.log, what="each request is a line of the log")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert list(server.temporary.iterdir()) == []


def test_options_before_variables_before_the_file(server: StandAlone) -> None:
    config = {"SERVICE_NAME": "of the file", "AZUREML_ENTRY_SCRIPT": "absent.py", "WORKER_COUNT": 1, "subscription": 1}
    (server.app / "config.json").write_text(json.dumps({**config, "AZUREML_MODEL_DIR": "/of/the/file"}))
    server.start("--entry_script", str(server.app / "score.py"), AZUREML_MODEL_DIR="/of/the/variables")
    server.healthy()
    answer = server.score()
    assert (answer["SERVICE_NAME"], answer["AZUREML_MODEL_DIR"]) == ("of the file", "/of/the/variables")
    assert answer["AZUREML_ENTRY_SCRIPT"] == str(server.app / "score.py")
    assert "config.json: subscription is no variable of this server, and has no effect" in server.log


def test_another_python(server: StandAlone) -> None:
    python = shutil.which("python3.6")
    variables = {"PYENV_VERSION": "3.6"}  # where that is one of pyenv's shims
    if python is None or subprocess.run([python, "-V"], env={**os.environ, **variables}).returncode:
        pytest.skip("there is no Python 3.6 on this machine")
    (server.app / "score.py").rename(server.app / "main.py")
    server.start("--python", python, "--health_port", "5002", **variables)
    server.healthy()
    answer = server.score()
    assert (answer["python"], answer["AZUREML_MODEL_DIR"]) == ([3, 6], None)
    assert "HEALTH_PORT has no effect on this server" in server.log


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--entry_script", "absent.py"], 1, "absent.py; name it with --entry_script"),
        (["--entry_script", "score.py", "--worker_count", "0"], 1, "0 workers serve nobody"),
        (["--entry_script", "score.py", "--worker_count", "two"], 1, "argument --worker_count: two is no whole number"),
        (["--entry_script", "score.py", "--ports", "1"], 1, "unrecognized arguments: --ports"),
        (["--entry_script", "score.py", "--config_file", "absent.json"], 1, "absent.json cannot be read"),
        (["--entry_script", "fails.py"], 3, "no such luck"),
    ],
)
def test_what_cannot_be_served(server: StandAlone, options: Sequence[str], status: int, words: str) -> None:
    (server.app / "fails.py").write_text("raise ValueError('no such luck')")
    assert server.start(*options).wait(PATIENCE_S) == status, server.log
    assert words in server.log
    assert list(server.temporary.iterdir()) == []


def test_a_port_that_is_taken(server: StandAlone) -> None:
    with socket.create_server(("0.0.0.0", server.port)):
        assert server.start("--entry_script", "score.py").wait(PATIENCE_S) == 1
    assert f"port {server.port}" in server.log
