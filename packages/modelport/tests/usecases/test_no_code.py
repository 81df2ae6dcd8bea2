"""A deployment without code, as a use case: what is written down, and what happens to it later."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import Ridge

from modelport.domain.deployments import Batching, Deployment, Resources
from modelport.domain.errors import WebserviceException
from modelport.domain.models import ModelVersion, ResourceConfiguration
from modelport.usecases.code_defaults import BATCHING
from modelport.usecases.context import Context
from modelport.usecases.deploy import DeployRequest, deploy
from modelport.usecases.no_code.generate import no_code_revision
from modelport.usecases.register_model import ModelRegistration, register_model
from modelport.usecases.reload import revision_again
from modelport.usecases.update import ServiceChange, update

from .conftest import Steps, Workbench


def ridge(
    context: Context, folder: Path, *, columns: int = 2, resources: ResourceConfiguration | None = None
) -> ModelVersion:
    path = folder / "ridge.pkl"
    joblib.dump(Ridge().fit([[0.0] * columns, [1.0] * columns], [0.0, 1.0]), path)
    registration = ModelRegistration(path=path, name="ridge", framework="ScikitLearn", resource_configuration=resources)
    return register_model(context, registration)


def request(context: Context, model: ModelVersion, **deployment: object) -> DeployRequest:
    return DeployRequest(
        name="svc",
        compute_type="Local",
        revision=no_code_revision(context, [model]),
        deployment=Deployment(**deployment),  # type: ignore[arg-type]
    )


def test_the_assets_are_written_once(bench: Workbench, steps: Steps, tmp_path: Path) -> None:
    model = ridge(bench.context, tmp_path)
    revision = no_code_revision(bench.context, [model])
    source = revision.inference.source_directory
    assert source is not None
    assert revision.inference.script == source / "score.py"
    assert json.loads((source / "model.json").read_text())["input"]["columns"] == 2
    assert any(str(source) in text for text in steps.texts)
    assert no_code_revision(bench.context, [model]).inference == revision.inference
    assert [path.name for path in source.parent.iterdir()] == ["ridge-1"]
    assert list(bench.context.folder.glob(".no-code-*")) == []


def test_changes_of_the_users_are_not_overwritten(bench: Workbench, tmp_path: Path) -> None:
    model = ridge(bench.context, tmp_path)
    first = no_code_revision(bench.context, [model]).inference.script
    first.write_text("def init(): pass\ndef run(data): return 'mine'\n")
    second = no_code_revision(bench.context, [model]).inference.script
    assert second != first
    assert "mine" in first.read_text()


def test_batching_is_on_unless_it_is_refused(bench: Workbench, tmp_path: Path) -> None:
    model = ridge(bench.context, tmp_path)
    assert deploy(bench.context, request(bench.context, model)).deployment.batching == BATCHING
    off = replace(request(bench.context, model, batching=Batching(enabled=False)), name="off")
    assert deploy(bench.context, off).deployment.batching == Batching(enabled=False)


def test_batching_that_nobody_asked_for_ends_with_the_code_it_was_for(bench: Workbench, tmp_path: Path) -> None:
    model = ridge(bench.context, tmp_path)
    deploy(bench.context, request(bench.context, model))
    own = update(bench.context, "svc", ServiceChange(revision=bench.revision(model)))
    assert own.deployment.batching is None
    again = update(bench.context, "svc", ServiceChange(revision=no_code_revision(bench.context, [model])))
    assert again.deployment.batching == BATCHING


def test_another_version_of_the_model_gets_code_of_its_own(bench: Workbench, tmp_path: Path) -> None:
    service = deploy(bench.context, request(bench.context, ridge(bench.context, tmp_path)))
    newer = ridge(bench.context, tmp_path, columns=5)
    revision = revision_again(bench.context, service.active, models=[newer])
    assert revision.inference.source_directory is not None
    assert revision.inference.source_directory.name == "ridge-2"
    changed = update(bench.context, "svc", ServiceChange(revision=revision))
    assert (changed.active.inference.generated_for, changed.model_ids) == ("ScikitLearn", ("ridge:2",))
    same = revision_again(bench.context, changed.active)  # as reload does
    assert same.inference.configuration == changed.active.inference


def test_the_models_resources_are_taken_where_nothing_is_said(bench: Workbench, tmp_path: Path) -> None:
    resources = ResourceConfiguration(cpu=2, memory_in_gb=1.5, gpu=1)
    model = ridge(bench.context, tmp_path, resources=resources)
    deployment = deploy(bench.context, request(bench.context, model)).deployment
    assert (deployment.gpu_cores, deployment.resources) == (1, Resources(cpu=2, memory_gb=1.5))
    asked = replace(request(bench.context, model, resources=Resources(cpu=4)), name="asked")
    assert deploy(bench.context, asked).deployment.resources == Resources(cpu=4, memory_gb=1.5)


def test_a_data_set_as_sample_is_said_to_have_no_effect(bench: Workbench, steps: Steps, tmp_path: Path) -> None:
    model = ridge(bench.context, tmp_path)
    for sample, is_said in (("a-data-set", True), ("[[1, 2]]", False)):
        steps.texts.clear()
        no_code_revision(bench.context, [replace(model, sample_input=sample)])
        assert any("a-data-set is recorded and not looked into" in text for text in steps.texts) is is_said


def test_one_model_and_no_other_number(bench: Workbench, tmp_path: Path) -> None:
    for models in ([], [ridge(bench.context, tmp_path), ridge(bench.context, tmp_path)]):
        with pytest.raises(WebserviceException, match="without a script it has exactly one"):
            no_code_revision(bench.context, models)
