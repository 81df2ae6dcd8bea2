"""Members of ``Model`` that scripts use on the way to a deployment (azureml-v1 reference, 2.2, 4.6)."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from modelport import Environment, InferenceConfig, LocalWebservice, Model, ResourceConfiguration, Workspace
from modelport.domain.errors import ModelNotFoundException, UserErrorException, WebserviceException
from modelport.sdk.data import TabularDatasetFactory


@pytest.fixture
def model(workspace: Workspace) -> Model:
    Path("net").mkdir()
    Path("net/weights").write_text("w")
    Path("net/labels.txt").write_text("l")
    return Model.register(
        workspace,
        "net",
        "flowers",
        tags={"area": "garden"},
        properties={"type": "conv"},
        description="Flowers",
        model_framework=Model.Framework.ONNX,
        model_framework_version="1.8",
        resource_configuration=ResourceConfiguration(cpu=1, memory_in_gb=0.5),
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workspace": "quickstart"}, "workspace must be a Workspace; it is 'quickstart'"),
        ({"models": [1]}, "1 is neither a model nor the id of one"),
        ({"inference_config": "score.py"}, "inference_config must be of the class InferenceConfig or ImageConf"),
    ],
)
def test_what_is_no_argument_of_deploy_is_named(workspace: Workspace, wrong: dict[str, Any], message: str) -> None:
    Path("score.py").write_text("def init(): pass\n\ndef run(data): return data\n")
    right = {"workspace": workspace, "models": [], "inference_config": InferenceConfig(entry_script="score.py")}
    configuration = LocalWebservice.deploy_configuration()
    with pytest.raises(UserErrorException, match=message):
        Model.deploy(name="service", deployment_config=configuration, **{**right, **wrong})


def test_a_model_is_not_registered_in_what_is_no_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.pkl").write_text("m")
    with pytest.raises(UserErrorException, match="workspace must be a Workspace; it is None"):
        Model.register(None, "m.pkl", "m")  # type: ignore[arg-type]


def test_frameworks() -> None:
    frameworks = {name: value for name, value in vars(Model.Framework).items() if name.isupper()}
    v1 = {
        "CUSTOM": "Custom",
        "TENSORFLOW": "TensorFlow",
        "SCIKITLEARN": "ScikitLearn",
        "ONNX": "Onnx",
        "TFKERAS": "TfKeras",
        "PYTORCH": "PyTorch",
        "MULTI": "Multi",
    }
    assert v1.items() <= frameworks.items()


def test_a_model_comes_back_from_its_payload(workspace: Workspace, model: Model) -> None:
    payload = json.loads(json.dumps(model.serialize()))
    again = Model.deserialize(workspace, payload)
    assert again.serialize() == payload
    assert again.resource_configuration == model.resource_configuration
    assert Path(again.download("copy")).joinpath("weights").read_text() == "w"


def test_a_payload_of_the_service(workspace: Workspace) -> None:
    payload = {
        "id": "elsewhere:3",
        "name": "elsewhere",
        "version": 3,
        "createdTime": "2020-05-01T10:00:00+00:00",
        "createdBy": {"userName": "ann"},
        "kvTags": {"a": "b"},
        "properties": {},
        "framework": "Custom",
        "unpack": False,
        "resourceRequirements": {"cpu": 2.0, "memoryInGB": 1.0, "gpu": None},
    }
    model = Model.deserialize(workspace, payload)
    assert (model.id, model.tags, model.created_time.year) == ("elsewhere:3", {"a": "b"}, 2020)
    assert model.resource_configuration == ResourceConfiguration(2.0, 1.0)
    assert model.created_by["userName"] == "ann"
    with pytest.raises(ModelNotFoundException):
        model.download()
    with pytest.raises(WebserviceException, match="no name, createdTime"):
        Model.deserialize(workspace, {"version": 3})


def test_the_files_have_urls(model: Model) -> None:
    urls = model.get_sas_urls()
    assert sorted(urls) == ["net/labels.txt", "net/weights"]
    with urllib.request.urlopen(urls["net/weights"]) as content:
        assert content.read() == b"w"


def test_data_sets_are_referred_to(workspace: Workspace, model: Model) -> None:
    class Dataset:
        id = "1234"

    assert model.datasets == {}
    model.add_dataset_references([("training", Dataset()), ("test", "5678")])
    model.add_dataset_references([("training", Dataset())])
    assert model.datasets == {"training": ["1234"], "test": ["5678"]}
    assert model.serialize()["datasets"] == [{"name": "training", "id": "1234"}, {"name": "test", "id": "5678"}]
    Path("rows.csv").write_text("a\n1\n")
    rows = TabularDatasetFactory.from_delimited_files("rows.csv").register(workspace, "rows")
    model.add_dataset_references([("test", rows)])
    unknown, known = model.datasets["test"]
    assert unknown == "5678" and (known.name, known.to_pandas_dataframe().shape) == ("rows", (1, 1))
    second = Model.register(workspace, "net", "flowers", datasets=[("training", Dataset())])
    assert [found.id for found in Model.list(workspace, dataset_id="1234")] == ["flowers:2", "flowers:1"]
    assert [found.id for found in Model.list(workspace, dataset_id="5678")] == ["flowers:1"]
    second.delete()
    assert [found.id for found in Model.list(workspace, dataset_id="1234")] == ["flowers:1"]
    wrong: Any = ["1234"]
    with pytest.raises(WebserviceException, match="list of pairs"):
        Model.register(workspace, "net", "flowers", datasets=wrong)
    assert len(Model.list(workspace)) == 1, "nothing was registered"


def test_what_a_deployment_would_use_is_printed(model: Model, capsys: pytest.CaptureFixture[str]) -> None:
    Path("score.py").write_text("")
    config = InferenceConfig("score.py", environment=Environment("mine"))
    local = LocalWebservice.deploy_configuration(port=6789, auth_enabled=True, primary_key="secret")
    Model.print_configuration([model, "other:1"], config, local, None)
    said = capsys.readouterr().out
    for line in ("  flowers:1", "  other:1", "  entry_script: score.py", "  environment: mine", "  port: 6789"):
        assert f"{line}\n" in said
    assert "secret" not in said
    Model.print_configuration([], None, None, None)
    assert "  none" in capsys.readouterr().out


def test_models_are_a_list(workspace: Workspace, model: Model) -> None:
    for given in (model.name, model):
        with pytest.raises(UserErrorException, match="models must be a list"):
            Model.deploy(workspace, "svc", given)  # type: ignore[arg-type]


def test_arguments_that_v1_took_without_a_word(
    workspace: Workspace, model: Model, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = Workspace.get("ws")
    assert Model(loud, "flowers", expand=False, internal=1).id == model.id
    assert capsys.readouterr().out == "Not used on this machine: internal\n"
