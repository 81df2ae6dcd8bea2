"""Images on real processes: created, run, deployed; and the deployments that make one on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from modelport import LocalWebservice, Model, Webservice, Workspace
from modelport.domain.errors import DeploymentFailed, UserErrorException, WebserviceException
from modelport.sdk.environment_sections import ContainerRegistry
from modelport.sdk.images import ContainerImage, ContainerImageConfig, Image, UnknownImage

SCRIPT = """
import json
import os

from helper import twice


def init():
    global factor
    with open(os.path.join(os.environ["AZUREML_MODEL_DIR"], "model.txt")) as file:
        factor = int(file.read())


def run(raw_data):
    with open("data/labels.txt") as file:
        return [file.read(), twice(factor), json.loads(raw_data)]
"""

SWAGGER = {"swagger": "2.0", "info": {"title": "mine", "version": "1"}, "paths": {}}


class Notebook:
    """The folder that a notebook runs in, which is the current one, and a registered model."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.write("score.py", SCRIPT)
        self.write("lib/helper.py", "def twice(x):\n    return 2 * x\n")
        self.write("data/labels.txt", "labels")
        self.write("schema.json", json.dumps(SWAGGER))
        self.model = Model.register(workspace, self.write("model.txt", "21"), "factor")

    def write(self, name: str, text: str) -> str:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
        return name

    def configuration(self, **more: Any) -> ContainerImageConfig:
        options: dict[str, Any] = {
            "execution_script": "score.py",
            "runtime": "python",
            "dependencies": ["lib/helper.py", "./data"],
            "schema_file": "schema.json",
            "tags": {"kind": "test"},
            "description": "twice",
            **more,
        }
        return ContainerImage.image_configuration(**options)

    def image(self, **more: Any) -> Image:
        return ContainerImage.create(
            name="twice", models=[self.model], image_config=self.configuration(**more), workspace=self.workspace
        )


@pytest.fixture
def notebook(workspace: Workspace) -> Notebook:
    return Notebook(workspace)


def test_an_image_is_created_found_run_and_deployed(
    notebook: Notebook, workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook.workspace = Workspace.get("ws")  # one that shows its steps
    image = notebook.image(
        enable_gpu=True, base_image="mine:1", base_image_registry=ContainerRegistry("here", "me", "x")
    )
    image.wait_for_creation(show_output=True)
    said = capsys.readouterr().out
    assert "Creating image twice:1" in said
    assert "without effect on this machine, where images are no containers: enable_gpu, base_image" in said
    assert 'Image creation operation finished for image twice:1, operation "Succeeded"' in said
    assert (image.creation_state, image.name, image.version, image.id) == ("Succeeded", "twice", 1, "twice:1")
    log = Path(urlsplit(image.image_build_log_uri).path).read_text()
    assert "Building the bundle" in log
    assert str(image.image_location) in log

    found = Image(workspace, name="twice", version="1")
    assert type(found) is ContainerImage
    assert found.serialize() == image.serialize()
    serialized = json.loads(json.dumps(found.serialize()))
    assert serialized["configuration"]["base_image_registry"] == "here"
    assert serialized["modelDetails"][0]["id"] == "factor:1"
    assert [each.id for each in Image.list(workspace, model_name="factor", tags=["kind"])] == ["twice:1"]
    assert Image.list(workspace, image_name="other") == []

    notebook.write("score.py", "def init(): raise ValueError('edited after the creation')\ndef run(x): pass\n")
    assert image.run(json.dumps([1])) == ["labels", 42, [1]]
    assert workspace.webservices == {}, "a run leaves no service"

    service = Webservice.deploy_from_image(workspace, "svc", image, LocalWebservice.deploy_configuration())
    service.wait_for_deployment()
    assert service.run(json.dumps([2])) == ["labels", 42, [2]]
    assert (service.image_id, service.serialize()["imageId"]) == ("twice:1", "twice:1")
    assert service.image is not None
    assert service.image.id == "twice:1"
    assert httpx.get(str(service.swagger_uri), trust_env=False).json() == SWAGGER
    assert [each.name for each in Webservice.list(workspace, image_name="twice")] == ["svc"]
    assert Webservice.list(workspace, image_id="twice:2") == []
    with pytest.raises(WebserviceException, match="an image never changes"):
        service.reload()
    with pytest.raises(WebserviceException, match="used by the services svc"):
        image.delete()

    notebook.write("score.py", SCRIPT.replace("twice(factor)", "'second'"))
    second = notebook.image()
    assert workspace.images["twice"].version == 2
    assert isinstance(service, LocalWebservice)
    service.update(image=second)
    assert service.run("3") == ["labels", "second", 3]
    with pytest.raises(WebserviceException, match="image excludes models"):
        service.update(models=[notebook.model], image=second)
    service.delete()
    second.delete()
    with pytest.raises(WebserviceException, match="ImageNotFound"):
        second.update_creation_state()


def test_a_creation_that_fails_is_told_where_it_is_waited_for(notebook: Notebook, workspace: Workspace) -> None:
    notebook.write("bad.yml", "dependencies:\n- pip:\n  - /nowhere/at/all.whl\n")
    image = notebook.image(conda_file="bad.yml")
    assert image.creation_state == "Failed"
    with pytest.raises(
        WebserviceException, match=r"(?s)twice:1, current state: Failed.*/nowhere/at/all.whl.*build\.log"
    ):
        image.wait_for_creation()
    with pytest.raises(WebserviceException, match="cannot be deployed: its creation state is Failed"):
        Webservice.deploy_from_image(workspace, "svc", image)
    with pytest.raises(WebserviceException, match="in state Failed"):
        image.run("1")
    with pytest.raises(WebserviceException, match="current state: Failed"):
        Webservice.deploy_from_model(workspace, "svc", [notebook.model], notebook.configuration(conda_file="bad.yml"))
    image.delete()


def test_run_tells_what_the_script_raised_and_leaves_nothing(notebook: Notebook, tmp_path: Path) -> None:
    notebook.write("lib/helper.py", "def twice(x):\n    raise ValueError('no such luck')\n")
    with pytest.raises(WebserviceException, match=r"(?s)Response Code: 502.*no such luck") as raised:
        notebook.image().run("1")
    assert f'{Path("lib/helper.py").absolute()}", line 2' in str(raised.value), "the user's own file is named"
    notebook.write("lib/helper.py", "raise ImportError('not here')")
    with pytest.raises(DeploymentFailed, match="not here"):
        notebook.image().run("1")


def test_the_process_of_a_run_ends_with_a_killed_caller(notebook: Notebook, workspace: Workspace) -> None:
    """The service that ``run`` starts is in a folder of its own below the folder for temporary files."""
    notebook.write("score.py", "import time\ndef init(): pass\ndef run(x): time.sleep(600)\n")
    notebook.image()
    temporary = Path("temporary").absolute()
    temporary.mkdir()
    program = (
        "from modelport import *; from modelport.sdk.images import *; Image(Workspace.get('ws'), 'twice').run('1')"
    )
    caller = subprocess.Popen([sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(temporary)})
    try:
        lock = _until(lambda: next(temporary.glob("*/twice/service.lock"), None))
        supervisor = _until(lambda: _pid_in(lock))
    finally:
        caller.kill()
        caller.wait()
    _until(lambda: not Path(f"/proc/{supervisor}").exists())


def test_deployments_that_make_an_image_on_the_way(notebook: Notebook, workspace: Workspace) -> None:
    configuration = notebook.configuration()
    service = Webservice.deploy_from_model(
        name="from-model",
        deployment_config=LocalWebservice.deploy_configuration(),
        models=[notebook.model],
        image_config=configuration,
        workspace=workspace,
    )
    service.wait_for_deployment()
    assert service.run("1") == ["labels", 42, 1]
    assert service.image_id == "from-model:1"

    service = Webservice.deploy(workspace, "from-files", ["model.txt"], configuration)
    service.wait_for_deployment()
    assert service.run("2") == ["labels", 42, 2]
    assert [model.id for model in service.models] == ["model.txt:1"]

    local = Webservice.deploy_local_from_model(workspace, "editable", [notebook.model], configuration, wait=True)
    assert local.image_id is None
    notebook.write("lib/helper.py", "def twice(x):\n    return 'edited'\n")
    local.reload()
    assert local.run("3") == ["labels", "edited", 3]
    notebook.write("score.py", SCRIPT.replace("twice(factor)", "'updated'"))
    local.update([notebook.model], notebook.configuration())
    assert local.run("4") == ["labels", "updated", 4]


def test_what_a_configuration_refuses(notebook: Notebook) -> None:
    def refused(match: str, **more: Any) -> None:
        with pytest.raises(WebserviceException, match=match):
            notebook.configuration(**more)

    notebook.write("elsewhere/score.py", SCRIPT)
    notebook.write("broken.py", "def init(:\n")
    notebook.write("lib2/helper.py", "")
    refused("not in the current directory", execution_script="elsewhere/score.py")
    refused("not in the current directory", execution_script="../score.py")
    refused("doesn't exist", execution_script="missing.py")
    refused("only Python drivers", execution_script="schema.json")
    refused("must not be empty", execution_script="")
    refused(r"spark-py\|python", runtime="ruby")
    refused("cuda_version", cuda_version="8.0")
    refused("conda file 'missing.yml' doesn't exist", conda_file="missing.yml")
    refused("docker file 'missing' doesn't exist", docker_file="missing")
    refused("schema file 'missing' doesn't exist", schema_file="missing")
    refused("is no JSON", schema_file="score.py")
    refused("dependency .*missing.* doesn't exist", dependencies=["missing"])
    refused("must be a list", dependencies="lib")
    refused("Two dependencies have the name 'helper.py'", dependencies=["lib/helper.py", "lib2/helper.py"])
    refused("would lie where the script", dependencies=["elsewhere/score.py"])
    with pytest.raises(UserErrorException, match=r"broken\.py, line 1"):
        notebook.configuration(execution_script="broken.py")
    assert notebook.configuration(execution_script="./score.py", runtime="Python-Slim").runtime == "Python-Slim"
    assert notebook.configuration(execution_script=str(Path("elsewhere/score.py").absolute()))
    with pytest.raises(NotImplementedError, match=r"ContainerImage\.image_configuration"):
        Image.image_configuration()


def test_spark_comes_with_its_runtime(notebook: Notebook) -> None:
    notebook.write("with.yml", "dependencies:\n- python=3.8\n- pip:\n  - pyspark==2.4.4\n")
    notebook.write("without.yml", "dependencies:\n- python=3.8\n- pip:\n  - numpy\n")

    def pip(conda_file: str | None) -> tuple[str, ...]:
        configuration = notebook.configuration(runtime="spark-py", conda_file=conda_file)
        assert any("needs Java" in note for note in configuration.notes())
        definition = configuration.environment_definition()
        assert definition is not None
        assert definition.python.conda is not None
        return definition.python.conda.pip

    assert pip("with.yml") == ("pyspark==2.4.4",)
    assert pip("without.yml") == ("numpy", "pyspark")
    assert "pyspark" in pip(None)
    assert notebook.configuration(conda_file="without.yml").environment_definition() != None  # noqa: E711
    assert notebook.configuration().environment_definition() is None


def test_an_image_of_an_unknown_flavor_is_found(notebook: Notebook, workspace: Workspace) -> None:
    image = notebook.image()
    body = dict(workspace.registry.assets("image")[0].body)
    workspace.registry.replace_asset("image", "twice", 1, {**body, "flavor": "FromTheFuture"})
    assert type(Image(workspace, "twice")) is UnknownImage
    assert Image.deserialize(workspace, image.serialize()).image_flavor == "FromTheFuture"
    with pytest.raises(WebserviceException, match="one of id or name"):
        Image(workspace)
    with pytest.raises(WebserviceException, match="Invalid image id"):
        Image(workspace, id="twice:new")
    image.update(tags={"a": "b"})
    image.add_tags({"c": "d"})
    image.remove_tags(["a"])
    image.add_properties({"e": "f"})
    assert (image.tags, image.properties) == ({"c": "d"}, {"e": "f"})
    assert "id=twice:1" in repr(image)


def _until(found: Any, *, within_s: float = 30.0) -> Any:
    import time

    deadline = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)
    return value


def _pid_in(lock: Path) -> int | None:
    text = lock.read_text().strip()
    return int(text) if text.isdigit() else None


def test_packages_of_docker_steps(notebook: Notebook) -> None:
    steps = (
        "FROM x\nRUN apt-get install -y jre\nRUN pip install -q one==1.0 'two>=2'\nRUN pip install -r more.txt && ls\n"
    )
    settings = notebook.configuration(
        docker_file=notebook.write("steps", steps), conda_file=notebook.write("c.yml", "dependencies: [{pip: [one]}]")
    )
    definition = settings.environment_definition()
    assert definition is not None and definition.python.conda is not None
    assert definition.python.conda.pip[-2:] == ("one==1.0", "two>=2")
    assert "Of the docker_file, the script's environment gets: one==1.0, two>=2" in settings.notes()
