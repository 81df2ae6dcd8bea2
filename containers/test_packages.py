"""Packages that an engine builds and runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from containers.bases import BASE, CERTIFICATES, build_python_image
from containers.engines import PATIENCE_S, Engine
from modelport import CondaDependencies, Environment, InferenceConfig, Model, Workspace
from modelport.sdk.packages import ModelPackage

SCRIPT = """
import json
import os
import platform
import sys

{imports}

from helper import twice


def init():
    global answer
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")) as file:
        answer = int(file.read())
    print("init in", os.getcwd(), "by", os.getuid())


def run(raw_data):
    with open("written_beside", "w") as file:
        file.write("x")
    return {{
        "answer": twice(answer),
        "data": json.loads(raw_data),
        "python": platform.python_version(),
        "mine": os.environ["MINE"],
        "root": os.environ["AML_APP_ROOT"],
        "more": {more},
    }}
"""

ANSWERS = {"answer": 42, "data": [1], "mine": 'a "quoted" $value\\', "root": "/var/azureml-app"}


@dataclass(frozen=True)
class Container:
    """One that was started, by its id."""

    engine: Engine
    id: str
    port: int

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        content = None if body is None else json.dumps(body)
        return httpx.request(method, f"http://127.0.0.1:{self.port}{path}", content=content, trust_env=False)

    @property
    def log(self) -> str:
        return self.engine.says("logs", self.id)

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_healthy():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.1)

    def _is_healthy(self) -> bool:
        try:
            return self.ask("GET", "/").text == "Healthy"
        except httpx.HTTPError:
            return False


@contextmanager
def running(engine: Engine, image: str, *options: str) -> Iterator[Container]:
    """A container of the image that answers."""
    made = engine.says("run", "--detach", "--publish", "127.0.0.1::5001", *options, image).splitlines()[-1]
    try:
        port = engine.says("port", made, "5001/tcp").splitlines()[0].rpartition(":")[2]
        container = Container(engine, made, int(port))
        container.wait_until_healthy()
        yield container
    finally:
        engine.run("rm", "--force", made, check=False)


class Bench:
    """Makes packages in a workspace, and images of them."""

    def __init__(self, workspace: Workspace, folder: Path) -> None:
        self.workspace = workspace
        self.source = folder / "source"
        self.source.mkdir()
        self.folder = folder
        (self.source / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
        self.script()

    def script(self, imports: str = "", more: str = "None") -> None:
        (self.source / "score.py").write_text(SCRIPT.format(imports=imports, more=more))

    def environment(self, dependencies: CondaDependencies | None = None) -> Environment:
        environment = Environment("env")
        if dependencies is not None:
            environment.python.conda_dependencies = dependencies
        environment.environment_variables = {"MINE": str(ANSWERS["mine"])}
        return environment

    def package(self, environment: Environment, *, generate_dockerfile: bool = True) -> ModelPackage:
        (self.folder / "model.txt").write_text("21")
        model = Model.register(self.workspace, self.folder / "model.txt", "answer")
        config = InferenceConfig("score.py", source_directory=str(self.source), environment=environment)
        return Model.package(
            self.workspace, [model], config, generate_dockerfile=generate_dockerfile, image_name="modelport-test-built"
        )

    def image(self, engine: Engine, environment: Environment, **arguments: str) -> str:
        """Save a package and build it, as a reader of its Dockerfile would."""
        context = self.folder / "context"
        self.package(environment).save(context)
        engine.run("build", *build_options(**arguments), "--tag", "modelport-test-built", str(context))
        return "modelport-test-built"


def build_options(**arguments: str) -> list[str]:
    """The network of this machine, its certificates, and base images that are made here."""
    given = {"PIP_CERT": CERTIFICATES, **arguments}
    options = [f"--build-arg={name}={value}" for name, value in given.items()]
    return ["--network=host", *options]


@pytest.fixture
def bench(workspace: Workspace, tmp_path: Path) -> Bench:
    return Bench(workspace, tmp_path)


def test_an_image_of_a_recent_python(engine: Engine, bench: Bench) -> None:
    bench.script("import numpy", "float(numpy.mean([1, 2]))")
    dependencies = CondaDependencies.create(python_version="3.11", pip_packages=["numpy==2.0.2", "azureml-defaults"])
    image = bench.image(engine, bench.environment(dependencies), BASE_IMAGE=BASE)
    # as strict as a cluster may be: nothing but the folder for temporary files can be written, and the app root
    options = ["--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--env=SERVICE_NAME=renamed", "--env=WORKER_COUNT=2"]
    options += ["--tmpfs=/var/azureml-app/scratch"]
    with running(engine, image) as container:
        answer = container.ask("POST", "/score", [1]).json()
        assert answer.pop("python").startswith("3.11.")
        assert answer == {**ANSWERS, "more": 1.5}
        assert container.ask("GET", "/swagger.json").json()["info"]["title"] == "modelport-test-built"
        assert "init in /var/azureml-app by 10001" in container.log
        check = [*_command_of(engine, image), "--check"]
        assert engine.run("exec", container.id, *check).returncode == 0
        engine.run("stop", container.id)
        assert engine.says("inspect", "--format", "{{.State.ExitCode}}", container.id) == "0"
        assert "the service has stopped" in container.log
    with running(engine, image, *options) as container:
        assert container.ask("GET", "/swagger.json").json()["info"]["title"] == "renamed"
        assert container.log.count("init in /var/azureml-app") == 2
        assert container.ask("POST", "/score", [1]).status_code == 500, "the script writes beside itself"
        assert "Read-only file system" in container.ask("POST", "/score", [1]).text


def _command_of(engine: Engine, image: str) -> list[str]:
    command: list[str] = json.loads(engine.says("image", "inspect", "--format", "{{json .Config.Cmd}}", image))
    return command


def test_a_container_ends_with_a_script_that_cannot_start(engine: Engine, bench: Bench) -> None:
    dependencies = CondaDependencies.create(python_version="3.11", pip_packages=[])
    bench.script("import not_there")
    image = bench.image(engine, bench.environment(dependencies), BASE_IMAGE=BASE)
    ended = engine.run("run", "--rm", image, check=False)
    assert ended.returncode == 3, ended.stdout
    assert "No module named 'not_there'" in ended.stdout


def test_the_sample_of_2019_runs_on_its_own_python(engine: Engine, bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "python").mkdir()
    base = build_python_image(engine, "3.6", tmp_path / "python")
    if base is None:
        pytest.skip("there is no Python 3.6 on this machine")
    bench.script("import sklearn\nfrom sklearn.externals import joblib", "[sklearn.__version__, joblib.__name__]")
    pins = ["numpy==1.16.4", "scipy==1.2.1", "scikit-learn==0.20.0", "azureml-defaults~=1.0.57"]
    dependencies = CondaDependencies.create(python_version="3.6.2", pip_packages=pins)
    image = bench.image(engine, bench.environment(dependencies), BASE_IMAGE=base, TOOLS_IMAGE=BASE)
    with running(engine, image) as container:
        answer = container.ask("POST", "/score", [1]).json()
        assert answer.pop("python").startswith("3.6.")
        assert answer == {**ANSWERS, "more": ["0.20.0", "sklearn.externals.joblib"]}


def test_an_own_base_serves_with_the_pythons_that_it_has(engine: Engine, bench: Bench) -> None:
    """The base's own Python, with a package that a Dockerfile put there."""
    bench.script("import in_the_image", "in_the_image.VALUE")
    environment = bench.environment()
    environment.python.user_managed_dependencies = True
    environment.python.interpreter_path = "/usr/bin/python3"
    environment.docker.base_dockerfile = (
        f"FROM {BASE}\nRUN echo VALUE = 7 > /usr/lib/python3/dist-packages/in_the_image.py\n"
    )
    image = bench.image(engine, environment, TOOLS_IMAGE=BASE)
    with running(engine, image) as container:
        answer = container.ask("POST", "/score", [1]).json()
        assert (answer["answer"], answer["more"]) == (42, 7)
