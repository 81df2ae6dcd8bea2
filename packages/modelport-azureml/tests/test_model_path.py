"""Model.get_model_path, rule by rule (reference, 5.4)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from azureml._served_model import Model
from azureml.exceptions import ModelNotFoundException, WebserviceException


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(root: Path, path: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")


def test_greatest_version_by_number(root: Path) -> None:
    for version in (2, 10, 9):
        put(root, f"azureml-models/flowers/{version}/m.pkl")
    put(root, "azureml-models/flowers/latest/m.pkl")
    put(root, "azureml-models/flowers/99")
    assert Model.get_model_path("flowers") == "azureml-models/flowers/10/m.pkl"


def test_named_version(root: Path) -> None:
    put(root, "azureml-models/flowers/2/m.pkl")
    put(root, "azureml-models/flowers/10/m.pkl")
    assert Model.get_model_path("flowers", version=2) == "azureml-models/flowers/2/m.pkl"


def test_folder_model(root: Path) -> None:
    put(root, "azureml-models/flowers/1/saved/weights/a")
    assert Model.get_model_path(model_name="flowers") == "azureml-models/flowers/1/saved"


def test_working_directory_comes_last(root: Path) -> None:
    put(root, "flowers")
    put(root, "azureml-models/flowers/readme")
    assert Model.get_model_path("flowers") == "flowers"
    put(root, "azureml-models/flowers/1/m.pkl")
    assert Model.get_model_path("flowers") == "azureml-models/flowers/1/m.pkl"


def test_model_dir_variable_is_not_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(root, "elsewhere/flowers/1/m.pkl")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(root / "elsewhere"))
    with pytest.raises(ModelNotFoundException):
        Model.get_model_path("flowers")


@pytest.mark.parametrize("version", ["2", 2.0, object()])
def test_version_must_be_an_int(root: Path, version: Any) -> None:
    put(root, "azureml-models/flowers/2/m.pkl")
    with pytest.raises(WebserviceException, match="must be an int"):
        Model.get_model_path("flowers", version=version)


def test_name_must_be_given(root: Path) -> None:
    name: Any = None
    with pytest.raises(WebserviceException, match="name is None"):
        Model.get_model_path(name)


def test_two_entries(root: Path) -> None:
    put(root, "azureml-models/flowers/1/a.pkl")
    put(root, "azureml-models/flowers/1/b.pkl")
    with pytest.raises(WebserviceException, match=r"only 1 file or folder, and it contains 2: a.pkl, b.pkl"):
        Model.get_model_path("flowers")


def test_no_entry(root: Path) -> None:
    (root / "azureml-models/flowers/1").mkdir(parents=True)
    with pytest.raises(WebserviceException, match="contains 0: nothing"):
        Model.get_model_path("flowers", version=1)


def test_unknown_model_lists_what_is_there(root: Path) -> None:
    put(root, "azureml-models/trees/3/m.pkl")
    put(root, "azureml-models/empty/x")
    put(root, "score.py")
    with pytest.raises(ModelNotFoundException) as caught:
        Model.get_model_path("flowers")
    message = caught.value.message
    for expected in ("'flowers'", "azureml-models", str(root), "trees version 3", "empty (no version", "score.py"):
        assert expected in message


def test_unknown_version_lists_what_is_there(root: Path) -> None:
    put(root, "azureml-models/trees/3/m.pkl")
    with pytest.raises(WebserviceException, match="trees version 3"):
        Model.get_model_path("trees", 4)


def test_without_any_folder(root: Path) -> None:
    with pytest.raises(ModelNotFoundException, match="there is no such folder"):
        Model.get_model_path("flowers")
