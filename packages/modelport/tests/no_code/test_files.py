"""Other files than pickles: what they tell, and what is said of those that are something else."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelport.domain.errors import WebserviceException
from modelport.usecases.no_code.frameworks import FRAMEWORKS, framework_of
from modelport.usecases.no_code.interface import ModelFolder, Plan
from modelport.usecases.no_code.protobuf_fields import NoMessage, open_message
from modelport.usecases.no_code.ubjson import NoUbjson, read_ubjson

LIGHTGBM = "tree\nversion=v4\nnum_class=3\nnum_tree_per_iteration=3\nmax_feature_idx=1\nfeature_names=a b\n\nTree=0\n"


def plan(folder: Path, entry: str, framework: str | None = None, **more: Any) -> Plan:
    model = ModelFolder(id="m:1", folder=folder, entry=entry, **more)
    return framework_of(model, framework).plan(model)


def varint(number: int) -> bytes:
    pieces = bytearray()
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*pieces, number])


def field(number: int, value: bytes | int) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def archive(path: Path, members: dict[str, str]) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        for name, text in members.items():
            made.writestr(f"{path.stem}/{name}", text)
    return path


# --- what is wrong ----------------------------------------------------------------------------------------------------


def write_folder(path: Path) -> None:
    path.mkdir()
    (path / "a.txt").write_text("a")
    (path / "b.txt").write_text("b")


def write_mlmodel(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.mkdir()
        (path / "MLmodel").write_text(text)

    return write


def write_bytes(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


WRONG: list[tuple[str, Callable[[Path], Any], str]] = [
    ("Onnx", write_bytes(b"\x80\x04N."), "no ONNX model"),
    ("Onnx", write_bytes(field(1, 8) + field(2, b"someone")), "it has no graph"),
    ("Onnx", write_folder, "0 files that could be the model. It holds: model/a.txt, model/b.txt"),
    ("TensorFlow", write_bytes(b"\x89HDF\r\n\x1a\n"), "a SavedModel folder, and model looks like an HDF5 file"),
    ("TensorFlow", write_folder, "a SavedModel folder, and there is none"),
    ("TfKeras", write_bytes(b"PK\x03\x04rest"), "no whole Keras model: it looks like a zip archive"),
    ("TfKeras", write_bytes(b"\x89HDF\r\n\x1a\nlayer_names"), "no whole Keras model: it looks like an HDF5 file"),
    ("PyTorch", write_bytes(b"\x80\x02N."), "no archive of PyTorch's: it looks like a pickle"),
    ("PyTorch", lambda path: archive(path, {"data.pkl": ""}), "a state_dict or a pickled module"),
    ("LightGBM", write_bytes(b"tree\n"), "no pickle that can be read"),
    ("LightGBM", write_bytes(b"tree\nversion=v4\n"), "a damaged model"),
    ("XGBoost", write_bytes(b'{"a": 1}'), "it looks like JSON"),
    ("XGBoost", write_bytes(b'{"learner": {}}'), "a damaged model"),
    ("MLflow", write_folder, "it has 0 files named MLmodel"),
    ("MLflow", write_mlmodel("flavors: {r: {}}"), "no flavor python_function"),
    ("MLflow", write_mlmodel("- a"), "holds no keys"),
    ("MLflow", write_mlmodel("a: ["), "is no YAML"),
    ("MLflow", write_mlmodel("flavors: {python_function: {}}"), "neither requirements.txt nor conda.yaml"),
]


@pytest.mark.parametrize(("framework", "write", "message"), WRONG)
def test_a_file_of_another_kind_is_refused_with_what_it_is(
    tmp_path: Path, framework: str, write: Callable[[Path], Any], message: str
) -> None:
    write(tmp_path / "model")
    with pytest.raises(WebserviceException) as caught:
        plan(tmp_path, "model", framework)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_framework_that_needs_a_script_says_so(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("?")
    with pytest.raises(WebserviceException, match="'Custom', of which nothing can be deployed") as caught:
        plan(tmp_path, "model", "Custom")
    assert "ScikitLearn" in caught.value.message
    with pytest.raises(WebserviceException, match="names no framework"):
        plan(tmp_path, "model")


@pytest.mark.parametrize("name", FRAMEWORKS)
@settings(max_examples=50, deadline=None)
@given(content=st.binary(max_size=200))
def test_random_bytes_are_refused_by_every_framework(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "random-bytes"
    path.write_bytes(content)
    model = ModelFolder(id="m:1", folder=path.parent, entry=path.name)
    FRAMEWORKS[name].recognises(model)  # says yes or no
    with pytest.raises(WebserviceException):
        FRAMEWORKS[name].plan(model)


# --- what the files tell ----------------------------------------------------------------------------------------------


def test_lightgbm_tells_features_and_classes(tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text(LIGHTGBM)
    made = plan(tmp_path, "model.txt")
    (signature,) = made.facts["signatures"].values()
    assert made.facts["feature_names"] == ["a", "b"]
    assert signature["inputs"][0]["shape"] == [None, 2]
    assert signature["outputs"][0]["shape"] == [None, 3]


def xgboost_json(version: list[int]) -> dict[str, Any]:
    parameters = {"num_feature": "4", "num_class": "0", "num_target": "1"}
    learner = {"learner_model_param": parameters, "objective": {"name": "reg:squarederror"}, "feature_names": []}
    return {"version": version, "learner": learner}


@pytest.mark.parametrize(
    ("version", "asked", "requirement"),
    [
        ([3, 0, 5], None, "xgboost-cpu==3.0.5"),
        ([1, 7, 6], None, "xgboost==1.7.6"),
        ([1, 7, 6], "1.7", "xgboost==1.7.6"),
        ([1, 7, 6], "2.0.3", "xgboost==2.0.3"),
    ],
)
def test_xgboost_tells_the_version_that_wrote_it(
    tmp_path: Path, version: list[int], asked: str | None, requirement: str
) -> None:
    (tmp_path / "model.json").write_text(json.dumps(xgboost_json(version)))
    made = plan(tmp_path, "model.json", "XGBoost", framework_version=asked)
    assert requirement in made.requirements.pip or requirement.replace("-cpu", "") in made.requirements.pip
    assert bool(made.notes) is (asked == "2.0.3")


def test_xgboosts_older_files_are_read(tmp_path: Path) -> None:
    parameters = struct.pack("<fIiiiII", 0.5, 7, 0, 0, 0, 1, 3)
    (tmp_path / "model.bst").write_bytes(b"binf" + parameters + bytes(200))
    made = plan(tmp_path, "model.bst", "XGBoost")
    assert made.facts["signatures"]["serving_default"]["inputs"][0]["shape"] == [None, 7]
    assert "xgboost==1.3.*" in made.requirements.pip


def test_ubjson_is_read_and_large_arrays_are_passed_over() -> None:
    content = (
        b"{L" + struct.pack(">q", 1) + b"aSU\x02hi" + b"U\x01b[$d#L" + struct.pack(">q", 2) + bytes(8)
        + b"U\x01c[SU\x01xSU\x01y]" + b"U\x01dT" + b"U\x01eD" + struct.pack(">d", 0.5) + b"}"
    )  # fmt: skip
    assert read_ubjson(content) == {"a": "hi", "b": [], "c": ["x", "y"], "d": True, "e": 0.5}


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_ubjson_raises_nothing_else(content: bytes) -> None:
    try:
        read_ubjson(b"{" + content)
    except NoUbjson:
        return


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_protobuf_raises_nothing_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "message.pb"
    path.write_bytes(content)
    try:
        list(open_message(path).fields(1))
    except NoMessage:
        return


def test_a_dimension_without_a_number_is_free(tmp_path: Path) -> None:
    def tensor(name: bytes, *sizes: bytes) -> bytes:
        shape = b"".join(field(1, size) for size in sizes)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))

    graph = field(11, tensor(b"x", field(2, b"N"), field(1, 3))) + field(12, tensor(b"y", field(1, 2)))
    (tmp_path / "m.onnx").write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 17)))
    made = plan(tmp_path, "m.onnx")
    (signature,) = made.facts["signatures"].values()
    assert signature["inputs"] == [{"name": "x", "type": "float32", "shape": [None, 3]}]
    assert signature["outputs"] == [{"name": "y", "type": "float32", "shape": [2]}]
    assert not made.by_rows  # two rows come out, whatever goes in


def test_torchscript_takes_types_from_the_sample(tmp_path: Path) -> None:
    forward = "  def forward(self: __torch__.Net,\n    ids: Tensor) -> Tensor:\n    return ids\n"
    code = f"class Net(Module):\n  training : bool\n{forward}"
    archive(tmp_path / "net.pt", {"data.pkl": "c__torch__\nNet\n", "code/__torch__.py": code, "version": "3"})
    made = plan(tmp_path, "net.pt", framework_version="2.1.0", sample_input=[[1, 2, 3]])
    (signature,) = made.facts["signatures"].values()
    assert signature["inputs"] == [{"name": "ids", "type": "int64", "shape": [None, 3]}]
    assert {"torch==2.1.0", "numpy<2"} <= set(made.requirements.pip)
    assert "float32 is taken" in " ".join(plan(tmp_path, "net.pt").notes)


def test_an_mlflow_folder_brings_its_own_environment(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "MLmodel").write_text(
        json.dumps(
            {
                "flavors": {"python_function": {"python_version": "3.8.1"}, "sklearn": {}},
                "signature": {"inputs": json.dumps([{"type": "long", "name": "n"}, {"type": "string", "name": "s"}])},
            }
        )
    )
    conda = "dependencies: [python=3.9.7, pip, {pip: [mlflow==2.0.1, pandas==1.5.3]}]\n"
    (folder / "conda.yaml").write_text(conda)
    made = plan(tmp_path, "model")
    assert made.requirements.python == "3.9.7"
    assert made.requirements.pip == ("mlflow==2.0.1", "pandas==1.5.3", "inference-schema")
    assert [column["name"] for column in made.facts["columns"]] == ["n", "s"]
    (folder / "requirements.txt").write_text("mlflow==2.0.2\n")
    assert made.by_rows
    assert plan(tmp_path, "model").requirements.pip == ("mlflow==2.0.2", "inference-schema", "pandas")
