"""``azmlinfsrv``, as a process: v1's options, variables and configuration file, and its exit statuses."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import azureml_inference_server_http
from azureml.contrib.services.aml_request import AMLRequest, rawhttp
from azureml.contrib.services.aml_response import AMLResponse
from azureml_inference_server_http.api import aml_request as raw_request
from azureml_inference_server_http.api import aml_response as raw_response
from modelport_scoring.container.packaged import VARIABLES
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.stand_alone.__main__ import HEEDED, OPTIONS, conclude
from modelport_scoring.version import __version__, server_line
from own_ports import own_port
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

STREAMING = """
import os
import sys
from azureml_inference_server_http.api.aml_request import rawhttp
from azureml_inference_server_http.api.aml_response import AMLResponse

def init():
    print("says", 2, "things", sep="-", file=sys.stdout)
    print("elsewhere", file=sys.stderr)

@rawhttp
def run(request):
    names = ("AML_APP_INSIGHTS_ENABLED", "WORKER_COUNT", "SERVER_PORT", "HEALTH_PORT")
    return AMLResponse((f"{name}={os.environ.get(name)} " for name in names), 200)
"""

LOGGING = {
    "version": 1,
    "handlers": {"own": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "own"}},
    "formatters": {
        "own": {
            "class": "azureml_inference_server_http.log_config.AMLLogFormatter",
            "format": "%(levelname)s|%(name)s|%(message)s",
        }
    },
    "filters": {"own": {"()": "azureml_inference_server_http.log_config.RootAccessFilter"}},
    "loggers": {"azmlinfsrv": {"level": "INFO", "handlers": ["own"], "filters": ["own"], "propagate": False}},
}
KEY = "8f6c3a52-1d0b-4c53-9b8f-0c2a5e1f7d44"
STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} I \[\d+\] "


class StandAlone:
    """The command in a folder of its own, when it runs."""

    def __init__(self, folder: Path) -> None:
        self.app = folder / "app"
        self.app.mkdir()
        (self.app / "score.py").write_text(SCRIPT)
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.output = folder / "output.log"
        self.port = own_port()
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

    def ask(
        self, method: str, path: str, body: str | None = None, port: int = 0, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        address = ("127.0.0.1", port or self.port)
        with contextlib.closing(http.client.HTTPConnection(*address, timeout=PATIENCE_S)) as connection:
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
        "AZUREML_MODEL_DIR": "models/mine/3",
        "AZUREML_ENTRY_SCRIPT": str(server.app / "score.py"),
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


def test_its_output_and_its_variables_are_those_that_programs_look_for(server: StandAlone) -> None:
    (server.app / "score.py").write_text(STREAMING)
    probed = own_port()
    options = ("--entry_script", "score.py", "--health_port", str(probed), "--access_control_allow_origins", "*")
    (server.app / "config.json").write_text(json.dumps({"SERVER_VERSION_LOG_RESPONSE_ENABLED": True}))
    server.start(
        *options, "--appinsights_instrumentation_key", KEY, SEPERATE_HEALTH_ENDPOINT="true", WORKER_TIMEOUT="9"
    )
    server.healthy()
    assert server.ask("GET", "/", port=probed)[:2] == (200, b"Healthy")
    _, body, headers = server.ask("POST", "/score", "1")
    values = f"AML_APP_INSIGHTS_ENABLED=true WORKER_COUNT=1 SERVER_PORT={server.port} HEALTH_PORT={probed} "
    assert body.decode() == values
    assert headers["x-ms-server-version"] == f"azmlinfsrv/{__version__}"
    for line in (
        f"Entry Script Name: {server.app}/score.py",
        "Worker Count: 1",
        "Worker Timeout (seconds): 9",
        f"Server Port: {server.port}",
        f"Health Port: {probed}",
        "Application Insights Enabled: true",
        "Application Insights Key: AppInsights key provided",
        "CORS for the specified origins: Enabling CORS for *",
    ):
        assert f"{line}\n" in server.log
    assert "Valid Application Insights instrumentation key provided." in server.log
    assert KEY not in server.log
    assert "\nelsewhere\n" in server.log
    for record in ("azmlinfsrv.print - says-2-things", "azmlinfsrv.user_script - Users's init has completed success"):
        assert re.search(STAMP + record, server.log), server.log


def test_a_line_for_each_request_at_once(server: StandAlone) -> None:
    (server.app / "score.py").write_text(STREAMING)
    (server.app / "config.json").touch()
    server.start("--entry_script", "score.py", "--rest", SERVER_VERSION_LOG_RESPONSE_ENABLED="false")
    server.healthy()
    headers = server.ask("POST", "/score?q=1", "1")[2]
    assert re.search(STAMP + r"modelport\.access - POST /score 200 \d+\.\d{3}ms N/A\n", server.log), server.log
    assert "x-ms-server-version" not in headers


@pytest.mark.parametrize(
    ("variables", "enabled"),
    [
        ({}, "false"),
        ({"AML_APP_INSIGHTS_ENABLED": "true"}, "false"),
        ({"AML_APP_INSIGHTS_KEY": KEY}, "false"),
        ({"AML_APP_INSIGHTS_ENABLED": "true", "AML_APP_INSIGHTS_KEY": "my-key"}, "false"),
        ({"AML_APP_INSIGHTS_ENABLED": "yes", "AML_APP_INSIGHTS_KEY": KEY}, "false"),
        ({"AML_APP_INSIGHTS_ENABLED": "true", "AML_APP_INSIGHTS_KEY": KEY.upper()}, "true"),
    ],
)
def test_application_insights_need_a_word_and_a_key(variables: dict[str, str], enabled: str) -> None:
    assert conclude(variables, port=5001)["AML_APP_INSIGHTS_ENABLED"] == enabled


@pytest.mark.parametrize(
    ("wanted", "named", "value"),
    [
        (None, None, f"modelport/{__version__}"),
        ("TRUE ", "mine/1", "mine/1"),
        ("false", "mine/1", None),
        (None, "", f"modelport/{__version__}"),
        (None, "a\r\nX-Injected: 1", f"modelport/{__version__}"),
    ],
)
def test_how_answers_name_the_server(wanted: str | None, named: str | None, value: str | None) -> None:
    line = b"" if value is None else f"x-ms-server-version: {value}\r\n".encode()
    assert server_line(wanted, named=named) == line


def test_ports_for_probes() -> None:
    asked = {"SEPERATE_HEALTH_ENDPOINT": "true"}
    assert conclude({}, port=5001)["HEALTH_PORT"] == "5001"
    assert conclude({"HEALTH_PORT": "5002"}, port=5001)["HEALTH_PORT"] == "5001"
    assert conclude(asked, port=5001)["HEALTH_PORT"] == "5000"
    assert conclude({**asked, "HEALTH_PORT": "5002"}, port=5001)["HEALTH_PORT"] == "5002"
    with pytest.raises(SettingsInvalid, match="HEALTH_PORT must be at most 65535, not 70000"):
        conclude({**asked, "HEALTH_PORT": "70000"}, port=5001)


def test_options_before_variables_before_the_file(server: StandAlone) -> None:
    config = {"SERVICE_NAME": "of the file", "AZUREML_ENTRY_SCRIPT": "absent.py", "WORKER_COUNT": 1, "subscription": 1}
    (server.app / "config.json").write_text(json.dumps({**config, "AZUREML_MODEL_DIR": "/of/the/file"}))
    server.start("--entry_script", str(server.app / "score.py"), AZUREML_MODEL_DIR="/of/the/variables")
    server.healthy()
    answer = server.score()
    assert (answer["SERVICE_NAME"], answer["AZUREML_MODEL_DIR"]) == ("of the file", "/of/the/variables")
    assert answer["AZUREML_ENTRY_SCRIPT"] == str(server.app / "score.py")
    assert "config.json: subscription is no variable of this server, and has no effect" in server.log


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"\xef\xbb\xbf{}"])
def test_a_document_of_the_users_that_is_no_json_is_not_served(server: StandAlone, content: bytes) -> None:
    (server.app / "swagger3.json").write_bytes(content)
    assert server.start("--entry_script", "score.py").wait(PATIENCE_S) == 3, server.log
    assert "swagger3.json would be served at /swagger.json, and is no JSON: " in server.log


def test_a_timeout_of_0_does_not_end_a_request(server: StandAlone) -> None:
    server.start("--entry_script", "score.py", SCORING_TIMEOUT_MS="0", WORKER_TIMEOUT="0")
    server.healthy()
    server.score()


def test_what_the_file_says_has_effect_or_is_said_to_have_none(server: StandAlone) -> None:
    config = {"SERVER_VERSION_LOG_RESPONSE_ENABLED": False, "AZUREML_DEBUG_PORT": 5678}
    (server.app / "other.json").write_text(json.dumps(config))
    server.start("--entry_script", "score.py", "--config_file", "other.json")
    server.healthy()
    assert "x-ms-server-version" not in server.ask("POST", "/score", "1")[2]
    assert "AZUREML_DEBUG_PORT has no effect on this server" in server.log
    assert "AZUREML_CONFIG_FILE" not in server.log


def test_what_the_file_says_is_the_servers_alone(server: StandAlone) -> None:
    origin = "https://page.example"
    config = {"AML_CORS_ORIGINS": origin, "SCORING_TIMEOUT_MS": 5000, "AZUREML_LOG_LEVEL": "WARNING"}
    (server.app / "config.json").write_text(json.dumps({**config, "AZUREML_MODEL_DIR": "/of/the/file"}))
    asked = f"{[*config, 'AZUREML_MODEL_DIR', 'AZUREML_CONFIG_FILE']!r}"
    (server.app / "score.py").write_text(
        f"import os\ndef init(): pass\ndef run(data): return {{n: os.environ[n] for n in {asked} if n in os.environ}}\n"
    )
    server.start("--entry_script", "score.py", "--config_file", "config.json")
    server.healthy()
    status, body, headers = server.ask("POST", "/score", "1", Origin=origin)
    assert (status, headers["access-control-allow-origin"]) == (200, origin)
    assert json.loads(body) == {
        "AZUREML_LOG_LEVEL": "WARNING",
        "AZUREML_CONFIG_FILE": str(server.app / "config.json"),
    }
    assert "AZUREML_MODEL_DIR of the configuration file does not reach the script: --model_dir sets it" in server.log


def test_what_is_heeded_is_a_variable() -> None:
    assert VARIABLES.issuperset((*OPTIONS.values(), *HEEDED, "SEPERATE_HEALTH_ENDPOINT"))


def test_another_python(server: StandAlone) -> None:
    python = shutil.which("python3.6")
    variables = {"PYENV_VERSION": "3.6"}  # where that is one of pyenv's shims
    if python is None or subprocess.run([python, "-V"], env={**os.environ, **variables}).returncode:
        pytest.skip("there is no Python 3.6 on this machine")
    (server.app / "score.py").rename(server.app / "main.py")
    (server.app / "logging.json").write_text(json.dumps(LOGGING))
    server.start("--python", python, "--health_port", "5002", **variables)
    server.healthy()
    answer = server.score()
    assert (answer["python"], answer["AZUREML_MODEL_DIR"]) == ([3, 6], None)
    assert "--health_port has no effect without the variable SEPERATE_HEALTH_ENDPOINT=true" in server.log
    assert "INFO|azmlinfsrv.print|init in " in server.log


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (["--entry_script", "absent.py"], 1, "absent.py; name it with --entry_script"),
        (["--entry_script", "score.py", "--worker_count", "0"], 1, "0 workers serve nobody"),
        (["--entry_script", "score.py", "--worker_count", "two"], 1, "argument --worker_count: two is no whole number"),
        (["--entry_script", "score.py", "--ports", "1"], 1, "unrecognized arguments: --ports"),
        (["--entry_script", "score.py", "--config_file", "absent.json"], 1, "absent.json cannot be read"),
        (["--access_control_allow_origins", "(", "--entry_script", "score.py"], 1, "AML_CORS_ORIGINS: the origin '('"),
        (["--entry_script", "fails.py"], 3, "no such luck"),
    ],
)
def test_what_cannot_be_served(server: StandAlone, options: Sequence[str], status: int, words: str) -> None:
    (server.app / "fails.py").write_text("raise ValueError('no such luck')")
    assert server.start(*options).wait(PATIENCE_S) == status, server.log
    assert words in server.log
    assert list(server.temporary.iterdir()) == []


def test_the_package_of_v1_by_its_name() -> None:
    command = [sys.executable, "-P", "-m", "azureml_inference_server_http", "--entry_script", "absent.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, "absent.py; name it with --entry_script" in done.stderr) == (1, True)
    assert azureml_inference_server_http.__version__ == __version__
    assert (raw_request.AMLRequest, raw_request.rawhttp) == (AMLRequest, rawhttp)
    assert raw_response.AMLResponse is AMLResponse


def test_a_port_that_is_taken(server: StandAlone) -> None:
    with socket.create_server(("0.0.0.0", server.port)):
        assert server.start("--entry_script", "score.py").wait(PATIENCE_S) == 1
    assert f"port {server.port}" in server.log
