"""Models and environments from the folders that they were downloaded into."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport import Model, Workspace
from modelport.domain.errors import UserErrorException
from modelport.usecases.migration import Taken, take_over


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    workspace = Workspace.create("taken", show_output=False)
    yield workspace
    workspace.registry.close()


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    folder = tmp_path / "downloaded"
    for path, text in {
        "azureml-models/churn/2/model.pkl": "two",
        "azureml-models/churn/10/model.pkl": "ten",
        "azureml-models/net/1/saved/weights": "w",
        "azureml-models/net/1/saved/sub/more": "m",
        "azureml-models/net/latest/x": "no version",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    environment = folder / "environments" / "e"
    environment.mkdir(parents=True)
    environment.joinpath("azureml_environment.json").write_text(json.dumps({"name": "e", "version": "7"}))
    environment.joinpath("conda_dependencies.yml").write_text("dependencies:\n- python=3.6.2\n")
    return folder


def _said(taken: list[Taken]) -> list[tuple[str, str]]:
    return [(each.id, each.note) for each in taken]


def test_versions_keep_their_numbers(ws: Workspace, downloaded: Path, tmp_path: Path) -> None:
    taken = take_over(ws.context, downloaded)
    assert _said(taken) == [
        ("churn:2", ""),
        ("churn:10", ""),
        ("net:1", ""),
        ("e:1", "was version 7: environments are numbered anew"),
    ]
    model = Model(ws, "churn")
    assert (model.version, model.properties) == (10, {"importedFrom": "churn:10"})
    assert Path(model.download(str(tmp_path / "out"))).read_text() == "ten"
    assert (Path(Model(ws, "net").download(str(tmp_path / "net"))) / "sub" / "more").read_text() == "m"
    assert list(ws.environments) == ["e"]
    file = tmp_path / "model.pkl"
    file.write_text("new")
    assert Model.register(ws, file, "churn").version == 11, "the next number is above those that were taken over"


def test_a_second_time_takes_nothing_twice(ws: Workspace, downloaded: Path) -> None:
    take_over(ws.context, downloaded)
    again = take_over(ws.context, downloaded / "azureml-models")
    assert _said(again) == [(name, "is registered already") for name in ("churn:2", "churn:10", "net:1")]
    assert len(Model.list(ws)) == 3


def test_a_number_that_was_given_out_is_not_given_again(ws: Workspace, downloaded: Path, tmp_path: Path) -> None:
    file = tmp_path / "other.pkl"
    file.write_text("other")
    for _ in range(3):
        Model.register(ws, file, "churn")
    taken = [each for each in take_over(ws.context, downloaded) if each.id.startswith("churn")]
    assert _said(taken) == [
        ("churn:4", "was churn:2: numbers up to 3 were given out already"),
        ("churn:10", ""),
    ]
    assert _said(take_over(ws.context, downloaded))[0] == ("churn:4", "is registered already")
    for version in (1, 2, 3):
        Model(ws, "churn", version=version).delete()
    (downloaded / "azureml-models/churn/2/model.pkl").write_text("changed")
    assert take_over(ws.context, downloaded)[0].id == "churn:11"


def test_what_cannot_be_taken_is_said_and_stops_nothing(ws: Workspace, downloaded: Path) -> None:
    (downloaded / "azureml-models/churn/2/second.pkl").write_text("x")
    (downloaded / "azureml-models/bad name/1").mkdir(parents=True)
    (downloaded / "azureml-models/bad name/1/model").write_text("x")
    (downloaded / "azureml-models/empty/1").mkdir(parents=True)
    (downloaded / "environments/e/azureml_environment.json").write_text("{")
    taken = take_over(ws.context, downloaded)
    problems = {each.source: each.problem for each in taken if each.problem}
    assert "several files" in problems["azureml-models/churn/2"]
    assert "holds nothing" in problems["azureml-models/empty/1"]
    assert "bad name" in problems["azureml-models/bad name/1"]
    assert "not valid JSON" in problems["environments/e"]
    assert [each.id for each in taken if each.id] == ["churn:10", "net:1"]


def test_a_folder_with_nothing_in_it(ws: Workspace, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserErrorException, match="holds no models") as raised:
        take_over(ws.context, tmp_path / "bare")
    assert "azureml-models/<name>/<version>" in raised.value.hint
    with pytest.raises(UserErrorException, match="There is no folder"):
        take_over(ws.context, tmp_path / "nowhere")
