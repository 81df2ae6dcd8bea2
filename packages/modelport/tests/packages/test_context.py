"""A package's folder, built and served as its Dockerfile says, but as processes of this machine: no engine is needed.

Where an engine is, ``make test-packages`` builds real images.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from uv import find_uv_bin

from modelport import CondaDependencies, Environment, InferenceConfig, Model, Workspace
from modelport_scoring import read_settings

from ..environments.conda_channel import SITE_PACKAGES, ChannelOnDisk
from ..environments.local_wheels import make_wheel
from .test_dockerfile import instructions

SCRIPT = """
import json
import os
import sys

import mp_one
from helper import twice


def init():
    global answer
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")) as file:
        answer = int(file.read())
    print("init in", os.getcwd())


def run(raw_data):
    return {"answer": twice(answer), "data": json.loads(raw_data), "package": mp_one.VALUE, "prefix": sys.prefix}
"""

PATHS = ("/opt/modelport", "/var/azureml-server", "/var/azureml-app")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    ws = Workspace.create("ws", show_output=False)
    yield ws
    ws.registry.close()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "score.py").write_text(SCRIPT)
    (folder / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    (tmp_path / "model.txt").write_text("21")
    return folder


def packaged(workspace: Workspace, source: Path, dependencies: CondaDependencies) -> Path:
    """The build context of a package, saved."""
    environment = Environment("env")
    environment.python.conda_dependencies = dependencies
    environment.environment_variables = {"MINE": "yes"}
    model = Model.register(workspace, source.parent / "model.txt", "answer")
    config = InferenceConfig("score.py", source_directory=str(source), environment=environment)
    package = Model.package(workspace, [model], config, generate_dockerfile=True, image_name="demo")
    context = source.parent / "context"
    package.save(context)
    return context


class Image:
    """What the Dockerfile of a context makes, below a folder instead of below ``/``."""

    def __init__(self, context: Path, root: Path) -> None:
        self.context = context
        self.root = root
        self.lines = instructions((context / "Dockerfile").read_text())
        for line in self.lines:
            self._follow(line)

    def _follow(self, line: str) -> None:
        instruction, _, rest = line.partition(" ")
        if instruction == "RUN" and ("uv " in rest or "install_conda" in rest):
            self._run(rest)
        if instruction == "COPY" and "--from" not in rest and "/tmp/" not in rest:
            *sources, target = [word for word in rest.split() if not word.startswith("--")]
            for source in sources:
                self._copy(self.context / source, self.root / target.lstrip("/"))

    def _run(self, command: str) -> None:
        command = command.replace("/opt/tools/bin/python", sys.executable)
        command = command.replace("/tmp/server", str(self.context / "server"))
        command = command.replace("/tmp/environment", str(self.context / "environment"))
        for path in PATHS:
            command = command.replace(path, f"{self.root}{path}")
        # The Python of the image, where that is the one that runs the tests; and the uv that belongs to it.
        command = command.replace("'python3'", sys.executable)
        path = f"{Path(find_uv_bin()).parent}{os.pathsep}{os.environ['PATH']}"
        ended = subprocess.run(["sh", "-c", command], env={**os.environ, "PATH": path}, capture_output=True, text=True)
        assert ended.returncode == 0, f"{command}\n{ended.stdout}{ended.stderr}"

    def _copy(self, source: Path, target: Path) -> None:
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / source.name)

    def command(self) -> list[str]:
        """What a container of the image starts, and where its package is."""
        start = next(line for line in self.lines if line.startswith("CMD "))
        program, *arguments = json.loads(start.removeprefix("CMD "))
        package = ["--package", f"{self.root}/var/azureml-server", "--folder", str(self.root.parent / "service")]
        return [f"{self.root}{program}", *arguments, *package]


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Served:
    """The start command of an image, while it runs."""

    def __init__(self, image: Image) -> None:
        self.folder = image.root.parent / "service"
        self.output = image.root.parent / "output.log"
        # 5001 is the image's own; where somebody has it, any other one
        port = [] if port_is_free(5001) else ["--port", "0"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*image.command(), *port], stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def __enter__(self) -> Served:
        deadline = time.monotonic() + 30
        while self._ask("GET", "/") != (200, b"Healthy"):
            assert time.monotonic() < deadline and self.process.poll() is None, self.output.read_text()
            time.sleep(0.02)
        return self

    def __exit__(self, *error: object) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        assert self.process.wait(20) == 0, self.output.read_text()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        status, content = self._ask(method, path, None if body is None else json.dumps(body))
        assert status == 200, content
        return json.loads(content)

    def _ask(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        try:
            port = read_settings(self.folder).port
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            connection.request(method, path, body=body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except Exception:
            return 0, b""
        finally:
            if "connection" in locals():
                connection.close()


def test_a_package_of_pip_requirements_builds_and_serves(workspace: Workspace, source: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "wheels", "mp_one", "1.0", value=7)
    dependencies = CondaDependencies.create(pip_packages=["azureml-defaults", f"mp_one @ {wheel.as_uri()}"])
    context = packaged(workspace, source, dependencies)
    assert sorted(path.name for path in context.iterdir()) == [
        "Dockerfile",
        "azureml-app",
        "azureml-models",
        "environment",
        "server",
    ]
    assert (context / "environment/requirements.txt").read_text().startswith("./files/mp_one-1.0-py3-none-any.whl ")
    shutil.rmtree(wheel.parent)
    shutil.rmtree(source)
    workspace.delete(delete_dependent_resources=True)

    image = Image(context, tmp_path / "root")
    with Served(image) as served:
        assert served.ask("POST", "/score", [1]) == {
            "answer": 42,
            "data": [1],
            "package": 7,
            "prefix": f"{tmp_path}/root/opt/modelport/environment",
        }
        assert served.ask("GET", "/swagger.json")["info"]["title"] == "demo"
        assert f"init in {tmp_path}/root/var/azureml-app" in served.output.read_text()


def test_a_package_of_conda_packages_builds_and_serves(workspace: Workspace, source: Path, tmp_path: Path) -> None:
    channel = ChannelOnDisk(tmp_path / "channel")
    channel.add_python()
    channel.add("mp-one", "3.0", files={f"{SITE_PACKAGES}/mp_one.py": "VALUE = 8\n"}, depends=["python"])
    channel.index()
    dependencies = CondaDependencies(
        _underlying_structure={"channels": [channel.url], "dependencies": ["python", "mp-one"]}
    )
    context = packaged(workspace, source, dependencies)
    lock = json.loads((context / "environment/conda-lock.json").read_text())
    assert sorted(each["url"].partition("/")[0] for each in lock) == ["files", "files"]
    shutil.rmtree(tmp_path / "channel")
    with Served(Image(context, tmp_path / "root")) as served:
        answer = served.ask("POST", "/score", 2)
        assert (answer["answer"], answer["package"]) == (42, 8)
