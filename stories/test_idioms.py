"""What v1 notebooks wrote, with ``from modelport import`` where they had ``from azureml.core import``.

The sections are those of the azureml-v1 reference.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from modelport import (
    CondaDependencies,
    Environment,
    InferenceConfig,
    LocalWebservice,
    Model,
    ResourceConfiguration,
    Webservice,
    Workspace,
)
from modelport.exceptions import (
    ModelNotFoundException,
    ModelPathNotFoundException,
    UserErrorException,
    WebserviceException,
    WorkspaceException,
)
from own_ports import own_port

NAMES = {"subscription_id": "0000-1111", "resource_group": "my-group", "workspace_name": "my-workspace"}

SCORE = """
import json
import os

from azureml.core.model import Model


def init():
    global factor
    name = os.getenv("AZUREML_MODEL_DIR").split("/")[-2]
    with open(Model.get_model_path(name)) as file:
        factor = json.load(file)
    print("This is init of", name)


def run(raw_data):
    data = json.loads(raw_data)["data"]
    return json.dumps({"result": [value * factor for value in data]})
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the notebook runs in, and a MODELPORT_HOME of its own."""
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def ws(desk: Path) -> Iterator[Workspace]:
    Path("config.json").write_text(json.dumps(NAMES))
    ws = Workspace.from_config()
    try:
        yield ws
    finally:
        for service in ws.webservices.values():
            service.delete()
        ws.registry.close()


@pytest.fixture
def model(ws: Workspace) -> Model:
    Path("factor.json").write_text("2")
    return Model.register(workspace=ws, model_path="factor.json", model_name="factor")


@pytest.fixture
def myenv() -> Environment:
    """An environment that is this Python as it is."""
    environment = Environment(name="myenv")
    environment.python.user_managed_dependencies = True
    return environment


@pytest.fixture
def inference_config(desk: Path, myenv: Environment) -> InferenceConfig:
    Path("score.py").write_text(SCORE)
    return InferenceConfig(entry_script="score.py", environment=myenv)


@pytest.fixture
def service(ws: Workspace, model: Model, inference_config: InferenceConfig) -> LocalWebservice:
    deployed = Model.deploy(ws, "my-service", [model], inference_config, LocalWebservice.deploy_configuration())
    deployed.wait_for_deployment(show_output=True)
    assert isinstance(deployed, LocalWebservice)
    return deployed


DATA = json.dumps({"data": [1, 2, 3]})


# --- 2.1 workspace ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [".azureml/config.json", "aml_config/config.json", "config.json"])
@pytest.mark.parametrize("depth", ["", "a", "a/b"])
def test_from_config_finds_the_file(
    desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str, depth: str
) -> None:
    (desk / where).parent.mkdir(exist_ok=True)
    (desk / where).write_text(json.dumps({**NAMES, "Id": "ignored", "Scope": "/ignored"}))
    (desk / depth).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(desk / depth)
    ws = Workspace.from_config()
    capsys.readouterr()
    print(ws.name, ws.resource_group, ws.location, ws.subscription_id, sep="\n")
    assert capsys.readouterr().out == "my-workspace\nmy-group\nlocal\n0000-1111\n"


def test_from_config_takes_the_nearest_and_the_hidden_first(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for where in ("config.json", "sub/config.json", "sub/aml_config/config.json", "sub/.azureml/config.json"):
        (desk / where).parent.mkdir(exist_ok=True, parents=True)
        (desk / where).write_text(json.dumps({**NAMES, "workspace_name": f"w{len(where)}"}))
    monkeypatch.chdir(desk / "sub")
    for where in ("sub/.azureml/config.json", "sub/aml_config/config.json", "sub/config.json", "config.json"):
        assert Workspace.from_config().name == f"w{len(where)}"
        (desk / where).unlink()
    with pytest.raises(UserErrorException, match=r"config\.json") as raised:
        Workspace.from_config()
    assert str(desk / "sub") in raised.value.message


def test_from_config_of_a_path(desk: Path) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/other.json").write_text(json.dumps(NAMES))
    assert Workspace.from_config(path="elsewhere/other.json").name == "my-workspace"
    assert Workspace.from_config("elsewhere", _file_name="other.json").name == "my-workspace"
    Path("config.json").write_text("{")
    with pytest.raises(json.JSONDecodeError):
        Workspace.from_config()
    Path("config.json").write_text('{"workspace_name": "x"}')
    with pytest.raises(UserErrorException, match="subscription_id"):
        Workspace.from_config()


def test_create_and_get_as_the_notebooks_do(desk: Path) -> None:
    created = Workspace.create(
        name="mine",
        subscription_id="0000",
        resource_group="group",
        location="eastus2",
        create_resource_group=True,
        sku="enterprise",
        tags={"a": "b"},
        friendly_name="Mine",
        exist_ok=True,
        show_output=True,
    )
    assert (created.location, created.sku, created.tags) == ("eastus2", "enterprise", {"a": "b"})
    with pytest.raises(WorkspaceException, match="exists already"):
        Workspace.create("mine", None, "0000", "group", "eastus2", True)
    assert Workspace.create("mine", exist_ok=True).subscription_id == "0000"
    assert Workspace.get(name="mine", subscription_id="0000", resource_group="group", location="eastus2").name == "mine"
    assert Workspace("0000", "group", "mine").name == "mine"
    assert list(Workspace.list("0000")) == ["mine"]
    with pytest.raises(WorkspaceException):
        Workspace(subscription_id="0000", resource_group="group", workspace_name="absent")
    assert not (desk.parent / "home" / "workspaces" / "absent").exists()


def test_cloud_resources_of_a_workspace_are_named_as_unused(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Workspace.create("mine", storage_account="/subscriptions/x/storageAccounts/y", hbi_workspace=True)
    said = capsys.readouterr()
    assert "storage_account, hbi_workspace" in said.out + said.err
    with pytest.raises(TypeError, match="storage_acount"):
        Workspace.create("other", storage_acount="misspelt")  # type: ignore[call-arg]


def test_write_config(ws: Workspace) -> None:
    ws.write_config()
    assert json.loads(Path(".azureml/config.json").read_text()) == NAMES
    ws.write_config(path="there", file_name="other.json")
    assert Workspace.from_config("there/.azureml/other.json").name == ws.name


def test_get_details(ws: Workspace) -> None:
    details = ws.get_details()
    assert (details["name"], details["location"], details["sku"]) == ("my-workspace", "local", "basic")
    assert details["id"].startswith("/subscriptions/0000-1111/resourceGroups/my-group/")
    keys = "id name identityType location type tags sku workspaceid description friendlyName creationTime keyVault"
    cloud = "containerRegistry applicationInsights storageAccount hbiWorkspace provisioningState discoveryUrl"
    assert set(f"{keys} {cloud}".split()) <= set(details)


def test_the_collections_are_dictionaries(ws: Workspace, service: LocalWebservice, myenv: Environment) -> None:
    myenv.register(ws)
    assert ws.models["factor"].version == 1
    assert ws.environments["myenv"].version == "1"
    assert ws.webservices["my-service"].get_logs().count("This is init of factor") == 1
    assert [model.name for model in ws.models.values()] == ["factor"]


# --- 2.2 model, 4.6 ---------------------------------------------------------------------------------------------------


def test_register_says_so_and_counts(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    Path("sklearn_regression_model.pkl").write_bytes(b"1")
    name = "sklearn_regression_model.pkl"
    for version in (1, 2):
        tags: dict[str, Any] = {"area": "diabetes", "n": 5}
        model = Model.register(ws, name, name, tags, {"p": "1"}, "Ridge", None, "ScikitLearn", "0.2")
        assert (model.name, model.version, model.id) == (name, version, f"{name}:{version}")
    assert f"Registering model {name}" in capsys.readouterr().out
    assert (model.tags, model.properties, model.description) == ({"area": "diabetes", "n": "5"}, {"p": "1"}, "Ridge")
    assert (model.model_framework, model.model_framework_version) == ("ScikitLearn", "0.2")
    assert isinstance(model.created_time, dt.datetime)
    assert Model.Framework.SCIKITLEARN == "ScikitLearn"
    assert (model.run, model.run_id, model.parent_id, model.derived_model_ids) == (None, None, None, [])


@pytest.mark.parametrize("name", ["", None])
def test_a_model_needs_a_name(ws: Workspace, name: Any) -> None:
    Path("m.pkl").write_bytes(b"1")
    with pytest.raises(WebserviceException):
        Model.register(ws, "m.pkl", name)
    with pytest.raises(WebserviceException, match="one of id or name must be provided"):
        Model(ws, name)
    with pytest.raises(WebserviceException):
        Model.get_model_path(name)


def test_a_path_that_is_not_there(ws: Workspace) -> None:
    with pytest.raises(WebserviceException, match=r"nowhere\.pkl") as raised:
        Model.register(workspace=ws, model_path="nowhere.pkl", model_name="m")
    assert isinstance(raised.value, ModelPathNotFoundException)


def test_models_are_found_by_what_they_have(ws: Workspace) -> None:
    Path("m.pkl").write_bytes(b"1")
    for number in range(1, 12):
        Model.register(ws, "m.pkl", "m", tags={"number": str(number), **({"best": "yes"} if number == 3 else {})})
    other = Model.register(ws, "m.pkl", "other", properties={"kind": "x"}, model_framework=Model.Framework.ONNX)
    assert Model(ws, "m").version == 11
    assert Model(ws, id="m:2").version == 2
    assert Model(ws, name="m", version=10).id == "m:10"
    assert Model(ws, "m", tags=["best"]).version == 3
    assert Model(ws, "m", tags=[["best", "yes"], "number"]).version == 3
    assert Model(ws, "m", expand=False).version == 11
    assert [model.version for model in Model.list(ws, name="m")] == list(range(11, 0, -1))
    assert [model.id for model in Model.list(ws, latest=True)] == ["m:11", "other:1"]
    assert [model.id for model in Model.list(ws, tags=[["number", "7"]])] == ["m:7"]
    assert [model.id for model in Model.list(ws, properties=[["kind", "x"]])] == ["other:1"]
    assert [model.id for model in Model.list(ws, model_framework="Onnx", page_count=255, expand=True)] == ["other:1"]
    assert Model.list(ws, name="absent") == Model.list(ws, tags=["absent"]) == Model.list(ws, run_id="r") == []
    for missing in ({"name": "absent"}, {"id": "m:99"}, {"name": "m", "tags": [["best", "no"]]}):
        with pytest.raises(ModelNotFoundException):
            Model(ws, **missing)
        with pytest.raises(WebserviceException, match=r"ModelNotFound"):
            Model(ws, **missing)
    other.delete()
    assert list(ws.models) == ["m"]


def test_download(ws: Workspace, model: Model) -> None:
    assert model.download(target_dir="there") == "there/factor.json"
    with pytest.raises(WebserviceException, match="exist_ok"):
        model.download("there")
    assert model.download("there", exist_ok=True) == model.download("there", exists_ok=True)
    Path("outputs/sub").mkdir(parents=True)
    Path("outputs/sub/a").write_text("a")
    folder = Model.register(ws, "outputs", "folder")
    assert folder.download("there") == "there/outputs"
    assert Path("there/outputs/sub/a").read_text() == "a"


def test_tags_and_properties_change(model: Model, ws: Workspace) -> None:
    model.add_tags({"a": "1", "b": "2"})
    model.add_tags({"a": "3"})
    model.remove_tags(["b"])
    model.add_properties({"p": "1"})
    with pytest.raises(WebserviceException, match="p"):
        model.add_properties({"p": "2"})
    model.update_tags_properties(add_tags={"c": "4"}, remove_tags=["a"], add_properties={"q": "2"})
    model.update(description="better")
    again = Model(ws, "factor")
    assert (again.tags, again.properties, again.description) == ({"c": "4"}, {"p": "1", "q": "2"}, "better")
    model.update(tags={"only": "this"})
    assert Model(ws, "factor").tags == model.tags == {"only": "this"}


def test_serialize_of_a_model_has_exactly_these_keys(ws: Workspace) -> None:
    Path("m.pkl").write_bytes(b"1")
    resources = ResourceConfiguration(cpu=1, memory_in_gb=0.5)
    said = Model.register(ws, "m.pkl", "m", tags={"a": "b"}, resource_configuration=resources).serialize()
    first = "createdTime createdBy description id mimeType name framework frameworkVersion tags properties unpack url"
    rest = "version experimentName runId runDetails datasets resourceConfiguration sampleInputDatasetId"
    assert set(said) == {*first.split(), *rest.split(), "sampleOutputDatasetId"}
    assert (said["id"], said["version"], said["tags"], said["runDetails"]) == ("m:1", 1, {"a": "b"}, "None")
    assert said["resourceConfiguration"] == {"cpu": 1, "memoryInGB": 0.5, "gpu": None}
    assert isinstance(said["createdBy"], dict)
    assert dt.datetime.fromisoformat(said["createdTime"]).tzinfo is not None
    json.dumps(said)


def test_get_model_path_outside_a_service(ws: Workspace, model: Model) -> None:
    assert Model.get_model_path("factor", _workspace=ws) == "azureml-models/factor/1/factor.json"
    assert Model.get_model_path(model_name="factor.json") == "factor.json"
    for version in ("9", "10"):
        Path(f"azureml-models/factor/{version}").mkdir()
        Path(f"azureml-models/factor/{version}/f").write_text("")
    assert Model.get_model_path("factor") == "azureml-models/factor/10/f"
    assert Model.get_model_path("factor", version=9) == "azureml-models/factor/9/f"
    with pytest.raises(WebserviceException):
        Model.get_model_path("factor", version="9")  # type: ignore[arg-type]
    Path("azureml-models/factor/10/g").write_text("")
    with pytest.raises(WebserviceException, match="1 file or folder"):
        Model.get_model_path("factor")
    with pytest.raises(ModelNotFoundException, match="azureml-models"):
        Model.get_model_path("absent")


# --- 2.3 inference configuration --------------------------------------------------------------------------------------


@pytest.fixture
def source(desk: Path) -> Path:
    """A source folder with everything that an InferenceConfig can name."""
    for folder in (desk, desk / "source_dir"):
        folder.mkdir(exist_ok=True)
        (folder / "score.py").write_text("def init(): pass\ndef run(data): return 1\n")
        (folder / "myenv.yml").write_text("dependencies:\n- python=3.11\n")
        (folder / "steps").write_text("RUN true\n")
        (folder / "score.txt").write_text("")
        (folder / "broken.py").write_text("def init():\n    return (\n")
    (desk / "source_dir" / "only_here.py").write_text("def init(): pass\ndef run(data): return 1\n")
    return desk


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"entry_script": "./score.py"},
        {"entry_script": "only_here.py", "source_directory": "source_dir"},
        {"entry_script": "./score.py", "source_directory": "./source_dir"},
        {"runtime": "python", "conda_file": "myenv.yml"},
        {"runtime": "Python", "conda_file": "myenv.yml", "extra_docker_file_steps": "steps", "enable_gpu": True},
        {"runtime": "spark-py", "conda_file": "myenv.yml", "source_directory": "source_dir"},
        {"runtime": "python-slim", "cuda_version": "10.0", "base_image": "image"},
        {"environment": Environment("e"), "source_directory": "source_dir", "description": "d"},
    ],
)
def test_configurations_that_are_valid(source: Path, given: dict[str, Any]) -> None:
    config = InferenceConfig(**{"entry_script": "score.py", **given})
    config.validate_configuration()
    if "source_directory" in given:
        assert config.source_directory == str(source / "source_dir")


def test_an_absolute_entry_script(source: Path) -> None:
    InferenceConfig(str(source / "score.py")).validate_configuration()


E = {"environment": Environment("e")}


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({**E, "runtime": "python"}, WebserviceException, "runtime cannot be combined with an environment"),
        ({**E, "conda_file": "myenv.yml"}, WebserviceException, "conda_file cannot be combined"),
        ({**E, "extra_docker_file_steps": "steps"}, WebserviceException, "extra_docker_file_steps cannot be"),
        ({**E, "enable_gpu": True}, WebserviceException, "enable_gpu cannot be combined"),
        ({**E, "cuda_version": "10.0"}, WebserviceException, "cuda_version cannot be combined"),
        ({**E, "base_image": "image"}, WebserviceException, "base_image cannot be combined"),
        ({"runtime": "r"}, WebserviceException, r"spark-py\|python"),
        ({"entry_script": "absent.py"}, WebserviceException, "doesn't exist.*should be relative"),
        ({"entry_script": "score.txt"}, WebserviceException, r"only Python drivers \(.py\) are supported"),
        ({"entry_script": "broken.py"}, UserErrorException, r"SyntaxError.*broken.py, line 2"),
        ({"source_directory": "absent"}, WebserviceException, "source directory.*doesn't exist"),
        (
            {"source_directory": "source_dir", "entry_script": "source_dir/score.py"},
            WebserviceException,
            "/source_dir/so",
        ),
        ({"source_directory": "source_dir", "conda_file": "source_dir/myenv.yml"}, WebserviceException, "conda file"),
        ({"conda_file": "absent.yml", "runtime": "python"}, WebserviceException, "conda file.*absent.yml"),
        ({"extra_docker_file_steps": "absent", "runtime": "python"}, WebserviceException, "docker steps file"),
        ({"cuda_version": "11.0"}, WebserviceException, "9.0, 9.1, 10.0"),
    ],
)
def test_configurations_that_are_not(source: Path, given: dict[str, Any], error: type[Exception], words: str) -> None:
    config = InferenceConfig(**{"entry_script": "score.py", **given})
    with pytest.raises(error, match=words):
        config.validate_configuration()


# --- 2.4, 2.5 environment, conda dependencies -----------------------------------------------------------------------


def test_members_of_an_environment(ws: Workspace) -> None:
    myenv = Environment(name="project")
    assert myenv.environment_variables == {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"}
    assert (myenv.python.user_managed_dependencies, myenv.python.interpreter_path) == (False, "python")
    assert "azureml-defaults" in list(myenv.python.conda_dependencies.pip_packages)  # type: ignore[union-attr]
    assert (myenv.docker.shm_size, myenv.docker.shared_volumes, myenv.docker.arguments) == ("2g", True, [])
    myenv.docker.enabled = True
    myenv.docker.base_image = None
    myenv.docker.base_dockerfile = "FROM ubuntu:18.04\nRUN echo hello"
    myenv.docker.base_image_registry.address = "mine.azurecr.io"
    myenv.inferencing_stack_version = "latest"
    myenv.python.conda_dependencies = CondaDependencies.create(pip_packages=["numpy"])
    registered = myenv.register(workspace=ws)
    assert (registered.name, registered.version) == ("project", "1")
    assert myenv.register(ws).version == "1"
    myenv.environment_variables["MESSAGE"] = "hello"
    assert myenv.register(ws).version == "2"
    got = Environment.get(workspace=ws, name="project")
    assert (got.version, got.environment_variables["MESSAGE"]) == ("2", "hello")
    assert (got.docker.base_dockerfile, got.inferencing_stack_version) == (myenv.docker.base_dockerfile, "latest")
    assert "MESSAGE" not in Environment.get(ws, "project", version="1").environment_variables
    assert Environment.get(ws, "project", label="latest").version == "2"
    assert list(Environment.list(workspace=ws)) == ["project"]
    assert json.loads(repr(got))["name"] == "project"
    with pytest.raises(UserErrorException, match="reserved"):
        Environment("AzureML-Minimal").register(ws)
    with pytest.raises(Exception, match="no environment named 'absent'"):
        Environment.get(ws, "absent")


def test_environments_of_files(desk: Path) -> None:
    Path("requirements.txt").write_text("# a comment\nnumpy==1.26.4\n--extra-index-url https://example.org/simple\n")
    made = Environment.from_pip_requirements(name="pip", file_path="requirements.txt").python.conda_dependencies
    assert made is not None
    assert "numpy==1.26.4" in list(made.pip_packages)
    text = made.serialize_to_string()
    for line in Path("requirements.txt").read_text().splitlines():
        assert line in text
    assert "pip" in list(made.conda_packages)
    pinned = Environment.from_pip_requirements("pip", "requirements.txt", pip_version="20.1").python.conda_dependencies
    assert pinned is not None
    assert "pip=20.1" in list(pinned.conda_packages)
    Path("env.yml").write_text(
        "name: theirs\nchannels: [conda-forge]\ndependencies:\n- python=3.8\n- pip:\n  - numpy\n"
    )
    conda = Environment.from_conda_specification(name="mine", file_path="env.yml")
    assert conda.name == "mine"
    assert "name: theirs" in conda.python.conda_dependencies.serialize_to_string()  # type: ignore[union-attr]
    with pytest.raises(FileNotFoundError):
        Environment.from_conda_specification("mine", "absent.yml")
    with pytest.raises(FileNotFoundError):
        Environment.from_pip_requirements("mine", "absent.txt")
    image = Environment.from_docker_image("image", "mine.azurecr.io/i:1")
    assert (image.docker.base_image, image.python.user_managed_dependencies) == ("mine.azurecr.io/i:1", True)
    dockerfile = Environment.from_dockerfile("file", "FROM scratch\nRUN true")
    assert (dockerfile.docker.base_image, dockerfile.python.user_managed_dependencies) == (None, True)
    conda.save_to_directory("saved")
    assert sorted(path.name for path in Path("saved").iterdir()) == [
        "azureml_environment.json",
        "conda_dependencies.yml",
    ]
    assert Environment.load_from_directory("saved").name == "mine"
    clone = conda.clone("another")
    assert (clone.name, clone.version) == ("another", None)


def test_conda_dependencies_are_written_to_a_file(desk: Path) -> None:
    myenv = CondaDependencies.create(
        conda_packages=["scikit-learn==0.20.3"], pip_packages=["azureml-defaults", "inference-schema[numpy-support]"]
    )
    myenv.add_pip_package("joblib==0.13")
    myenv.add_pip_package("joblib==0.14")
    myenv.add_channel("pytorch")
    myenv.set_python_version("2.7")
    with open("myenv.yml", "w") as file:  # noqa: PTH123 - as the notebooks write it
        file.write(myenv.serialize_to_string())
    again = CondaDependencies("myenv.yml")
    assert [line for line in again.pip_packages if line.startswith("joblib")] == ["joblib==0.14"]
    assert set(again.conda_packages) >= {"python=2.7", "scikit-learn==0.20.3"}
    assert again.get_python_version() == "2.7"
    assert set(again.conda_channels) == {"anaconda", "conda-forge", "pytorch"}
    assert "name: project_environment" in Path("myenv.yml").read_text()
    again.remove_pip_package("joblib")
    again.remove_conda_package("scikit-learn")
    again.set_pip_option("--pre")
    assert again.save_to_file(".", "other.yml") == "other.yml"
    text = Path("other.yml").read_text()
    assert ("joblib" in text, "scikit-learn" in text, "--pre" in text) == (False, False, True)


# --- 1.6, 2.6, 2.7: deploying and using a service ------------------------------------------------------------------


def test_the_main_notebook(service: LocalWebservice, ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert service.state == "running" == LocalWebservice.STATE_RUNNING
    assert service.compute_type == "Local"
    assert (service.scoring_uri, service.swagger_uri) == (
        f"http://localhost:{service.port}/score",
        f"http://localhost:{service.port}/swagger.json",
    )
    headers = {"Content-Type": "application/json"}
    if service.auth_enabled:
        headers["Authorization"] = f"Bearer {service.get_keys()[0]}"
    elif service.token_auth_enabled:
        headers["Authorization"] = f"Bearer {service.get_token()[0]}"
    answer = httpx.post(str(service.scoring_uri), content=DATA, headers=headers, trust_env=False)
    assert json.loads(answer.json()) == {"result": [2, 4, 6]}
    for payload in (DATA, DATA.encode(), bytes(DATA, encoding="utf8")):
        result = service.run(input_data=payload)
        assert isinstance(result, str), "what the script has encoded is encoded again"
        assert json.loads(result) == {"result": [2, 4, 6]}
    print(ws.webservices["my-service"].get_logs())
    assert "This is init of factor" in capsys.readouterr().out
    with pytest.raises(NotImplementedError):
        service.get_token()


def test_delete_if_it_is_there(ws: Workspace, service: LocalWebservice) -> None:
    for _ in range(2):
        try:
            Webservice(ws, "my-service").delete()
        except WebserviceException as error:
            assert error.message.startswith("WebserviceNotFound")
            assert "my-service" in str(error)
    assert ws.webservices == {}
    service.delete()
    assert service.state == "deleted" == LocalWebservice.STATE_DELETED


def test_a_taken_name_and_overwrite(
    ws: Workspace, service: LocalWebservice, model: Model, inference_config: InferenceConfig
) -> None:
    with pytest.raises(WebserviceException, match=r"my-service.*already exists"):
        Model.deploy(ws, "my-service", [model], inference_config)
    again = Model.deploy(
        workspace=ws,
        name="my-service",
        models=[model],
        inference_config=inference_config,
        deployment_config=LocalWebservice.deploy_configuration(),
        overwrite=True,
    )
    again.wait_for_deployment(True)
    assert json.loads(again.run(DATA)) == {"result": [2, 4, 6]}


@pytest.mark.parametrize("name", ["my", "Upper", "1st", "end-", "under_score", "a" * 33, ""])
def test_names_that_are_not_allowed(ws: Workspace, inference_config: InferenceConfig, name: str) -> None:
    with pytest.raises(WebserviceException):
        Model.deploy(ws, name, [], inference_config)


@pytest.mark.parametrize("port", ["80", -1, 65536, 80.5, True])
def test_ports_that_are_none(port: Any) -> None:
    with pytest.raises(WebserviceException, match=r"must be an integer in range \[1, 65535\]"):
        LocalWebservice.deploy_configuration(port=port)


def test_the_port_that_was_asked_for(ws: Workspace, model: Model, inference_config: InferenceConfig) -> None:
    port = own_port()
    config = LocalWebservice.deploy_configuration(port=port)
    service = Model.deploy(ws, "my-service", [model], inference_config, config)
    service.wait_for_deployment()
    assert service.port == port


def test_update_is_called_positionally(
    ws: Workspace, service: LocalWebservice, inference_config: InferenceConfig
) -> None:
    Path("factor.json").write_text("5")
    second = Model.register(ws, "factor.json", "factor")
    assert json.loads(service.run(DATA)) == {"result": [2, 4, 6]}, "services do not follow new versions"
    service.update([second], inference_config, LocalWebservice.deploy_configuration(), True)
    assert json.loads(service.run(DATA)) == {"result": [5, 10, 15]}
    assert [model.id for model in service.models] == ["factor:2"]
    Path("score.py").write_text(SCORE.replace('"result"', '"updated"'))
    service.update(models=[second], inference_config=inference_config)
    service.wait_for_deployment(show_output=True)
    assert json.loads(service.run(DATA)) == {"updated": [5, 10, 15]}


def test_reload_of_a_handle_that_was_constructed(ws: Workspace, service: LocalWebservice) -> None:
    handle = LocalWebservice(ws, "my-service")
    Path("score.py").write_text(SCORE.replace('"result"', '"reloaded"'))
    handle.reload()
    handle.wait_for_deployment()
    assert json.loads(handle.run(DATA)) == {"reloaded": [2, 4, 6]}
    assert json.loads(service.run(DATA)) == {"reloaded": [2, 4, 6]}


def test_keys(ws: Workspace, service: LocalWebservice) -> None:
    service.update(deployment_config=LocalWebservice.deploy_configuration(auth_enabled=True))
    handle = Webservice(name="my-service", workspace=ws)
    assert handle.auth_enabled is True
    primary, secondary = handle.get_keys()
    for key in (primary, secondary):
        headers = {"Authorization": f"Bearer {key}"}
        assert httpx.post(str(handle.scoring_uri), content=DATA, headers=headers, trust_env=False).status_code == 200
    assert httpx.post(str(handle.scoring_uri), content=DATA, trust_env=False).status_code == 401
    handle.regen_key("primary")
    handle.regen_key("Secondary", set_key="my-own-key-0123456789")
    assert handle.get_keys()[0] != primary
    assert handle.get_keys()[1] == "my-own-key-0123456789"
    assert json.loads(service.run(DATA)) == {"result": [2, 4, 6]}
    for wrong in ("third", None):
        with pytest.raises(WebserviceException, match="Primary, Secondary"):
            handle.regen_key(wrong)  # type: ignore[arg-type]


def test_a_handle_that_need_not_exist(ws: Workspace) -> None:
    handle = LocalWebservice(ws, "not-yet", must_exist=False)
    assert (handle.state, handle.port, handle.scoring_uri, handle.swagger_uri) == ("unknown", None, None, None)
    assert (handle.auth_enabled, handle.token_auth_enabled) == (False, False)
    said = handle.serialize()
    assert (said["name"], said["state"], said["computeType"]) == ("not-yet", "unknown", "Local")
    assert "not-yet" in repr(handle)
    handle.update_deployment_state(must_exist=False)
    with pytest.raises(WebserviceException, match="WebserviceNotFound"):
        handle.update_deployment_state(must_exist=True)
    with pytest.raises(WebserviceException):
        LocalWebservice(ws, "not-yet")


def test_serialize_of_a_service(service: LocalWebservice) -> None:
    said = service.serialize()
    local = "name tags properties state createdTime updatedTime error computeType workspaceName imageId scoringUri port"
    assert set(local.split()) | {"swaggerUri", "description", "createdBy", "authEnabled"} <= set(said)
    assert (said["name"], said["state"], said["computeType"]) == ("my-service", "running", "Local")
    assert (said["workspaceName"], said["error"], said["scoringUri"]) == ("my-workspace", None, service.scoring_uri)
    json.dumps(said)


def test_lists_of_services(ws: Workspace, service: LocalWebservice) -> None:
    service.update(tags={"a": "b"})

    def names(found: list[Webservice]) -> list[str]:
        return [service.name for service in found]

    assert names(Webservice.list(ws)) == names(Webservice.list(workspace=ws, model_name="factor")) == ["my-service"]
    assert names(Webservice.list(ws, model_id="factor:1", tags=[["a", "b"]])) == ["my-service"]
    assert Webservice.list(ws, compute_type="ACI") == Webservice.list(ws, model_id="factor:2") == []
    assert Webservice.list(ws, image_digest="sha256:0") == []
    assert names([*LocalWebservice.list(ws, model_name="factor")]) == ["my-service"]
    service.stop()
    assert LocalWebservice.list(ws) == []
    assert names([*LocalWebservice.list(ws, all=True)]) == ["my-service"]


def test_an_error_is_told_as_the_scripts_parse_it(service: LocalWebservice) -> None:
    with pytest.raises(WebserviceException) as raised:
        service.run("{}")
    lines = raised.value.message.splitlines()
    assert ".get_logs()" in lines[0]
    assert lines[1] == "Response Code: 502"
    assert lines[2].startswith("Headers: {")
    assert lines[3] == """Content: b"'data'\""""
    assert raised.value.status_code is None


def test_no_models_at_all(ws: Workspace, inference_config: InferenceConfig) -> None:
    Path("score.py").write_text(
        "import os\ndef init(): pass\ndef run(data): return [os.getenv('AZUREML_MODEL_DIR'), os.listdir('.')]\n"
    )
    service = Model.deploy(ws, "no-models", [], inference_config, LocalWebservice.deploy_configuration())
    service.wait_for_deployment()
    folder, files = service.run("")
    assert folder in (None, "")
    assert "score.py" in files


def test_several_models_and_folders(ws: Workspace, model: Model, myenv: Environment) -> None:
    Path("outputs/sub").mkdir(parents=True)
    Path("outputs/sub/weights").write_text("w")
    folder = Model.register(ws, "outputs", "net")
    Path("source_directory").mkdir()
    Path("source_directory/extradata.json").write_text('{"people": 1}')
    Path("source_directory/.gitignore").write_text("*\n")
    Path("source_directory/score.py").write_text(
        "import json, os\n"
        "from azureml.core.model import Model\n"
        "def init():\n"
        "    global found\n"
        "    root = os.environ['AZUREML_MODEL_DIR']\n"
        "    with open('./source_directory/extradata.json') as file:\n"
        "        extra = json.load(file)\n"
        "    found = [os.path.basename(root), os.path.exists(os.path.join(root, 'net/1/outputs/sub/weights')),\n"
        "             os.path.exists(os.path.join(root, 'factor/1/factor.json')), extra,\n"
        "             Model.get_model_path('net'), Model.get_model_path('factor', version=1),\n"
        "             os.environ.get('MESSAGE')]\n"
        "def run(data):\n    return found\n"
    )
    myenv.environment_variables = {"MESSAGE": "hello"}
    config = InferenceConfig(source_directory="./source_directory", entry_script="./score.py", environment=myenv)
    service = Model.deploy(ws, "several", [model, folder], config, LocalWebservice.deploy_configuration())
    service.wait_for_deployment(True)
    cached = ["azureml-models/net/1/outputs", "azureml-models/factor/1/factor.json"]
    assert service.run("") == ["azureml-models", True, True, {"people": 1}, *cached, "hello"]
    with pytest.raises(WebserviceException, match="several"):
        folder.delete()
    service.delete()
    folder.delete()
    assert list(ws.models) == ["factor"]


def test_a_folder_model_alone(ws: Workspace, myenv: Environment) -> None:
    Path("net").mkdir()
    Path("net/weights").write_text("w")
    Path("score.py").write_text(
        "import os\nfolder = os.environ['AZUREML_MODEL_DIR']\n"
        "def init(): pass\ndef run(data): return [folder.split('/')[-3:], os.listdir(folder)]\n"
    )
    models = [Model.register(ws, "net", "folder.model")]
    service = Model.deploy(ws, "folder", models, InferenceConfig("score.py", environment=myenv))
    service.wait_for_deployment()
    assert service.run("") == [["azureml-models", "folder.model", "1"], ["net"]]


def test_the_older_style_of_configuration(ws: Workspace, model: Model) -> None:
    Path("score.py").write_text(SCORE)
    config = InferenceConfig(entry_script="score.py", runtime="python", description="Older")
    service = Model.deploy(ws, "older", [model], config, LocalWebservice.deploy_configuration())
    service.wait_for_deployment(show_output=True)
    assert json.loads(service.run(DATA)) == {"result": [2, 4, 6]}
    assert service.description == "Older"
