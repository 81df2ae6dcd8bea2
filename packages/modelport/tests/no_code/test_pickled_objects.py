"""Pickles are read without running them: what they are, and the columns that an estimator takes."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestRegressor, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.svm import SVC

from modelport.domain.errors import WebserviceException
from modelport.usecases.no_code.estimators import EstimatorFound, find_estimator
from modelport.usecases.no_code.interface import ModelFolder
from modelport.usecases.no_code.pickled_objects import ArrayFound, NoPickle, read_pickle

NUMBERS = np.random.RandomState(0).rand(40, 3)
LABELS = (NUMBERS[:, 0] > 0.5).astype(int)
FRAME = pd.DataFrame(NUMBERS, columns=["a", "b", "c"])
PEOPLE = pd.DataFrame({"city": ["Ghent", "Pisa"] * 20, "age": NUMBERS[:, 0], "size": ["S", "L"] * 20})


def found(path: Path, sample: object = None) -> EstimatorFound:
    return find_estimator(ModelFolder(id="m:1", folder=path.parent, entry=path.name, sample_input=sample), path)


def saved(folder: Path, model: object, **how: Any) -> Path:
    path = folder / "model.pkl"
    joblib.dump(model, path, **how)
    return path


class Evil:
    """What it is made of by unpickling: a command."""

    def __init__(self, command: str) -> None:
        self._command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self._command,)


def test_nothing_of_a_pickle_is_run(tmp_path: Path) -> None:
    model = Ridge().fit(NUMBERS, LABELS)
    model.extra_ = Evil(f"touch {tmp_path / 'ran'}")
    path = saved(tmp_path, model)
    assert ("posix", "system") in read_pickle(path).names
    assert found(path).class_name == "Ridge"
    assert not (tmp_path / "ran").exists()
    joblib.load(path)  # it would have
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize("protocol", range(2, 6))
def test_every_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(Ridge().fit(NUMBERS, LABELS), protocol=protocol))
    estimator = found(path)
    assert (estimator.class_name, estimator.input["columns"]) == ("Ridge", 3)
    assert estimator.version == __import__("sklearn").__version__


@pytest.mark.parametrize("compress", [0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_every_compression_of_joblib_is_read(tmp_path: Path, compress: Any) -> None:
    model = RandomForestRegressor(5).fit(FRAME, LABELS)
    estimator = found(saved(tmp_path, model, compress=compress))
    assert estimator.input == {"kind": "matrix", "columns": 3, "names": ["a", "b", "c"], "types": ["float64"] * 3}


ESTIMATORS: dict[str, BaseEstimator] = {
    "linear": LinearRegression(),
    "forest": RandomForestRegressor(3),
    "boosting": GradientBoostingClassifier(n_estimators=3),
    "support vectors": SVC(),
    "neighbours": KNeighborsClassifier(),
    "Bayes": GaussianNB(),
    "clusters": KMeans(2, n_init=1),
    "components": PCA(2),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "search": GridSearchCV(Ridge(), {"alpha": [1.0, 2.0]}, cv=2),
    "search of a pipeline": GridSearchCV(make_pipeline(SimpleImputer(), Ridge()), {"ridge__alpha": [1.0]}, cv=2),
    "votes": VotingClassifier([("one", LogisticRegression())]),
    "calibrated": CalibratedClassifierCV(LogisticRegression(), cv=2),
    "target": TransformedTargetRegressor(Ridge()),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_number_of_columns_is_found(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, ESTIMATORS[name].fit(NUMBERS, LABELS))
    assert found(path).input == {"kind": "matrix", "columns": 3, "names": None, "types": None}


@pytest.mark.parametrize("name", ["linear", "forest", "support vectors", "neighbours", "clusters", "pipeline"])
def test_as_in_files_of_before_it_was_written_down(tmp_path: Path, name: str) -> None:
    model = ESTIMATORS[name].fit(NUMBERS, LABELS)
    for part in [model, *(step for _, step in getattr(model, "steps", [])), *getattr(model, "estimators_", [])]:
        vars(part).pop("n_features_in_", None)
    if name == "forest":  # which had it under another name
        vars(model)["n_features_"] = 3
    assert found(saved(tmp_path, model)).input["columns"] == 3


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder(), make_pipeline(OneHotEncoder())])
def test_columns_of_texts_are_told_from_numbers(tmp_path: Path, encoder: Any) -> None:
    columns = ColumnTransformer([("numbers", StandardScaler(), ["age"]), ("texts", encoder, ["city", "size"])])
    model = make_pipeline(columns, LogisticRegression()).fit(PEOPLE, LABELS)
    assert found(saved(tmp_path, model)).input == {
        "kind": "table",
        "columns": 3,
        "names": ["city", "age", "size"],
        "types": ["string", "float64", "string"],
    }


def test_models_of_texts_are_known(tmp_path: Path) -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["good film", "dull film"], [0, 1])
    assert found(saved(tmp_path, model)).input["kind"] == "texts"


def test_a_sample_tells_what_the_file_does_not(tmp_path: Path) -> None:
    path = saved(tmp_path, Ridge())  # not fitted: it knows nothing
    assert found(path).input["columns"] is None
    assert found(path, [[1, 2]]).input["columns"] == 2
    assert found(path, [{"a": 1, "b": "x"}]).input == {
        "kind": "table",
        "columns": 2,
        "names": ["a", "b"],
        "types": ["float64", "string"],
    }
    assert found(path, ["a text"]).input["kind"] == "texts"


def test_what_a_pickle_needs_besides(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02csklearn.pipeline\nPipeline\nq\x00)\x81q\x01ccatboost\ncore\n0cdill._dill\n_load\n0.")
    assert found(path).packages == ("catboost", "dill")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"model": 1}), "holds a dict, not an estimator"),
        (pickle.dumps(np.zeros(3)), "holds an array, not an estimator"),
        (b"\x80\x02c__main__\nMine\nq\x00)\x81q\x01.", "needs __main__.Mine, code of yours"),
        (b"\x80\x02cmy_package.models\nMine\nq\x00)\x81q\x01.", "needs my_package.models.Mine, code of yours"),
        (b"", "looks like an empty file"),
        (b"some text", "looks like a text file"),
        (b'{"a": 1}', "looks like JSON"),
        (b"\x89HDF\r\n\x1a\n" + bytes(20), "looks like an HDF5 file"),
        (b"\x04\x22\x4d\x18" + bytes(20), "compressed by LZ4"),
    ],
)
def test_what_is_no_estimator_is_refused_with_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(content)
    with pytest.raises(WebserviceException, match="m:1 cannot be deployed without an entry script") as caught:
        found(path)
    assert message in caught.value.message


def test_arrays_in_plain_pickles_are_arrays(tmp_path: Path) -> None:
    path = tmp_path / "array.pkl"
    path.write_bytes(pickle.dumps(np.array(["a", "b"], dtype=object)))
    assert read_pickle(path).root == ArrayFound("O", (2,), ("a", "b"))


SOUND = pickle.dumps(make_pipeline(StandardScaler(), Ridge()).fit(FRAME, LABELS))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_pickles_are_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    path.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        read_pickle(path)
    except NoPickle:
        return
