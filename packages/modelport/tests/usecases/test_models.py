"""Registering, finding, changing, downloading and deleting models."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport.domain.errors import (
    ConflictException,
    ModelNotFoundException,
    ModelPathNotFoundException,
    UserErrorException,
    WebserviceException,
)
from modelport.domain.models import ModelFilter
from modelport.usecases.change_model import change_tags_and_properties
from modelport.usecases.context import Context
from modelport.usecases.delete_model import delete_model
from modelport.usecases.download_model import download_model
from modelport.usecases.find_models import find_model, find_model_by_id
from modelport.usecases.register_model import ModelRegistration, register_model
from modelport.usecases.update import ServiceChange, update

from .conftest import Steps, Workbench


def test_the_same_file_registered_twice_is_two_versions(bench: Workbench) -> None:
    assert bench.model().id == "line:1"
    assert bench.model().id == "line:2"


@pytest.mark.parametrize(
    "child_paths", [["deep", "deep/b.txt"], ["deep", "./deep"], ["other/../deep"], ["{folder}/deep"]]
)
def test_child_paths_that_overlap_or_lead_around_give_each_file_once(
    context: Context, tmp_path: Path, child_paths: list[str]
) -> None:
    folder = tmp_path / "model"
    (folder / "deep").mkdir(parents=True)
    (folder / "other").mkdir()
    (folder / "deep" / "b.txt").write_text("b")
    chosen = [child.format(folder=folder) for child in child_paths]

    model = register_model(context, ModelRegistration(path=folder, name="part", child_paths=chosen))

    assert [file.path for file in model.files] == ["model/deep/b.txt"]
    placed = download_model(context, model, target=tmp_path / "out")
    assert (placed / "deep" / "b.txt").read_text() == "b"


def test_a_folder_keeps_its_name_and_child_paths_choose(context: Context, tmp_path: Path) -> None:
    folder = tmp_path / "bundle_of_files"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.txt").write_text("a")
    (folder / "deep" / "b.txt").write_text("b")
    whole = register_model(context, ModelRegistration(path=folder, name="whole"))
    assert [file.path for file in whole.files] == ["bundle_of_files/a.txt", "bundle_of_files/deep/b.txt"]
    part = register_model(context, ModelRegistration(path=folder, name="part", child_paths=["deep", "deep"]))
    assert [file.path for file in part.files] == ["bundle_of_files/deep/b.txt"]
    with pytest.raises(UserErrorException, match=r"\.\./secret"):
        register_model(context, ModelRegistration(path=folder, name="part", child_paths=["../secret"]))


def test_links_in_a_model_folder_are_followed(context: Context, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "w.bin").write_text("w")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").symlink_to(tmp_path / "elsewhere")
    linked = register_model(context, ModelRegistration(path=tmp_path / "model", name="linked"))
    assert [file.path for file in linked.files] == ["model/weights/w.bin"]
    (tmp_path / "model" / "up").symlink_to(tmp_path / "model")
    with pytest.raises(UserErrorException, match="loop of links"):
        register_model(context, ModelRegistration(path=tmp_path / "model", name="linked"))


@pytest.mark.parametrize("name", ["", "a b", "-x", "x/y", "x" * 256])
def test_a_bad_name_is_refused_before_anything_is_read(context: Context, name: str) -> None:
    with pytest.raises(WebserviceException, match="name"):
        register_model(context, ModelRegistration(path=Path("nowhere"), name=name))


def test_a_missing_path_says_what_is_there_instead(context: Context, tmp_path: Path) -> None:
    (tmp_path / "modle.pkl").write_text("x")
    with pytest.raises(ModelPathNotFoundException, match=r"unable to find.*model\.pkl") as caught:
        register_model(context, ModelRegistration(path=tmp_path / "model.pkl", name="m"))
    assert caught.value.hint == f"The folder {tmp_path} holds: modle.pkl. Did you mean 'modle.pkl'?"
    with pytest.raises(ModelPathNotFoundException) as caught:
        register_model(context, ModelRegistration(path=tmp_path / "model" / "model.pkl", name="m"))
    assert caught.value.hint == f"There is no folder {tmp_path / 'model'} either."


def test_an_empty_folder_is_no_model(context: Context, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserErrorException, match="holds no files"):
        register_model(context, ModelRegistration(path=tmp_path / "empty", name="m"))


def test_a_model_that_is_not_there_names_what_is(bench: Workbench, context: Context) -> None:
    bench.model()
    with pytest.raises(ModelNotFoundException, match="version 7") as wrong_version:
        find_model_by_id(context, "line:7")
    assert "the versions 1" in wrong_version.value.hint
    with pytest.raises(ModelNotFoundException, match="named 'lime'") as wrong_name:
        find_model(context, ModelFilter(name="lime"))
    assert "line" in wrong_name.value.hint


def test_tags_change_and_properties_do_not(bench: Workbench, context: Context) -> None:
    model = bench.model()
    changed = change_tags_and_properties(context, model, add_tags={"a": "1", "b": "2"}, add_properties={"p": "1"})
    changed = change_tags_and_properties(context, changed, remove_tags=["a"], add_properties={"q": "2", "p": "1"})
    assert (dict(changed.tags), dict(changed.properties)) == ({"b": "2"}, {"p": "1", "q": "2"})
    with pytest.raises(WebserviceException, match="properties never change"):
        change_tags_and_properties(context, changed, add_properties={"p": "other"})


def test_a_download_gives_the_bytes_and_does_not_overwrite_unasked(
    bench: Workbench, context: Context, tmp_path: Path
) -> None:
    model = bench.model(content="the weights")
    path = download_model(context, model, target=tmp_path / "out")
    assert path == tmp_path / "out" / "model.pkl"
    assert path.read_text() == "the weights"
    path.write_text("mine")
    with pytest.raises(WebserviceException, match="exists already"):
        download_model(context, model, target=tmp_path / "out")
    assert path.read_text() == "mine"
    download_model(context, model, target=tmp_path / "out", exist_ok=True)
    assert path.read_text() == "the weights"
    assert [entry.name for entry in (tmp_path / "out").iterdir()] == ["model.pkl"]


def test_a_model_in_use_cannot_be_deleted_and_the_service_is_named(bench: Workbench, context: Context) -> None:
    model = bench.model()
    bench.service("forecast", model)
    with pytest.raises(ConflictException, match="forecast"):
        delete_model(context, model)


def test_a_model_that_is_only_kept_for_a_roll_back_can_be_deleted(
    bench: Workbench, context: Context, steps: Steps
) -> None:
    first, second = bench.model(), bench.model(content="better")
    bench.service("forecast", first)
    update(context, "forecast", ServiceChange(revision=bench.revision(second)))
    delete_model(context, first)
    assert [model.id for model in context.registry.models(ModelFilter())] == ["line:2"]
    assert [revision.number for revision in context.service("forecast").revisions] == [2]
    assert "'forecast' cannot be rolled back to line:1 any more" in steps.texts


def test_a_deleted_number_is_not_used_again(bench: Workbench, context: Context) -> None:
    delete_model(context, bench.model())
    assert bench.model().version == 2
