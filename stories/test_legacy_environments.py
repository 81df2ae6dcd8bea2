"""A model of 2019 beside one of today: each in the Python and with the packages that it was made with."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelport import Environment, InferenceConfig, LocalWebservice, Model, Workspace
from modelport.exceptions import EnvironmentException

from .serving import JSON, Served, open_kitchen

OLD = """
    # Conda environment specification, as the documents of 2019 show it
    name: project_environment
    dependencies:
      - python=3.6.2
      - pip:
        - azureml-defaults~=1.0.57
        - azureml-sdk
        - azureml-train-automl==1.0.85
        - pynacl==1.2.1
        - markupsafe==1.0
        - inference-schema[numpy-support]
        - scikit-learn==0.20.0
    channels:
      - anaconda
      - conda-forge
"""
AS_CONDA_PACKAGES = """
    dependencies:
      - python=3.6.2
      - nomkl
      - scikit-learn=0.20.0
      - pip:
        - pynacl==1.2.1
        - inference-schema[numpy-support]
    channels:
      - conda-forge
"""
NEW = """
    dependencies:
      - python=3.13
      - pip:
        - inference-schema[numpy-support]
        - azureml-defaults
"""
TRAIN_THEN = """
    import json
    import sys

    import sklearn
    from sklearn.datasets import load_diabetes
    from sklearn.externals import joblib
    from sklearn.linear_model import Ridge

    X, y = load_diabetes(return_X_y=True)
    model = Ridge(alpha=0.03).fit(X, y)
    joblib.dump(value=model, filename="sklearn_regression_model.pkl")
    print(json.dumps({"versions": [sklearn.__version__, *sys.version_info[:2]],
                      "rows": X[:3].tolist(), "predictions": model.predict(X[:3]).tolist()}))
"""
TRAIN_NOW = """
    import json
    import sys

    import numpy as np

    rows = np.arange(30.0).reshape(3, 10) ** 2
    weights = np.linspace(-1, 1, 10)
    np.save("weights.npy", weights)
    print(json.dumps({"versions": list(sys.version_info[:2]),
                      "rows": rows.tolist(), "predictions": (rows @ weights).tolist()}))
"""
SCORE_THEN = """
    import sys

    import numpy as np
    import sklearn
    from sklearn.externals import joblib
    from azureml.core.model import Model
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.schema_decorators import input_schema, output_schema


    def init():
        global model
        model_path = Model.get_model_path('sklearn_regression_model.pkl')
        model = joblib.load(model_path)
        print("served by", sklearn.__version__, sys.version_info[:2])


    input_sample = np.array([[10.0, 9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]])
    output_sample = np.array([3726.995])


    @input_schema('data', NumpyParameterType(input_sample))
    @output_schema(NumpyParameterType(output_sample))
    def run(data):
        try:
            result = model.predict(data)
            return result.tolist()
        except Exception as e:
            error = str(e)
            return error
"""
SCORE_NOW = """
    import sys

    import numpy as np
    from azureml.core.model import Model
    from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
    from inference_schema.schema_decorators import input_schema


    def init():
        global weights
        weights = np.load(Model.get_model_path("weights.npy"))
        print("served by", sys.version_info[:2])


    @input_schema("data", NumpyParameterType(np.zeros((1, 10))))
    def run(data: np.ndarray) -> list[float]:
        return (data @ weights).tolist()
"""


@pytest.fixture
def kitchen_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    with open_kitchen(tmp_path):
        yield tmp_path


def _file(name: str, text: str) -> str:
    """The file, its text without the indentation of the story."""
    Path(name).write_text(textwrap.dedent(text), encoding="utf-8")
    return name


def _environment(name: str, text: str) -> Environment:
    return Environment.from_conda_specification(name, _file(f"{name}.yml", text))


def _interpreter(ws: Workspace, environment: Environment) -> tuple[str, str]:
    """The environment's interpreter, and what was said while it was made."""
    build = environment.build(ws)
    try:
        build.wait_for_completion(show_output=False)
    except EnvironmentException as error:
        if "this machine has no such Python" in error.message:
            pytest.skip(error.message)
        raise
    assert build.interpreter is not None
    return build.interpreter.command[0], build.get_log()


def _trained(interpreter: str, script: str) -> dict[str, Any]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [interpreter, "-W", "ignore", _file("train.py", script)]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def _deployed(ws: Workspace, name: str, environment: Environment, model_file: str, script: str) -> Served:
    model = Model.register(ws, model_file, model_file)
    config = InferenceConfig(entry_script=_file("score.py", script), environment=environment)
    service = Model.deploy(ws, name, [model], config, LocalWebservice.deploy_configuration())
    service.wait_for_deployment()
    return Served(service)


@pytest.mark.timeout(300)  # it downloads some 50 MB where nothing is cached
def test_a_model_of_2019_beside_one_of_today(kitchen_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = Workspace.get("kitchen")
    old, new = _environment("old", OLD), _environment("new", NEW)

    interpreter, log = _interpreter(ws, old)
    trained_then = _trained(interpreter, TRAIN_THEN)
    assert trained_then["versions"] == ["0.20.0", 3, 6]
    served_then = _deployed(ws, "then", old, "sklearn_regression_model.pkl", SCORE_THEN)

    trained_now = _trained(_interpreter(ws, new)[0], TRAIN_NOW)
    assert trained_now["versions"] == [3, 13]
    served_now = _deployed(ws, "now", new, "weights.npy", SCORE_NOW)

    for trained, served in ((trained_then, served_then), (trained_now, served_now)):
        answer = served.post(json.dumps({"data": trained["rows"]}), JSON).json
        assert answer == pytest.approx(trained["predictions"], rel=1e-9)
    assert "served by 0.20.0 (3, 6)" in served_then.log
    assert "served by (3, 13)" in served_now.log

    # what was not installed, and why, was said
    assert "azureml-defaults~=1.0.57 is not installed: Modelport's worker brings" in log
    assert "azureml-train-automl==1.0.85 is not installed: packages of Azure ML are never fetched" in log
    assert "markupsafe==1.0 is left out" in log
    assert "pynacl==1.2.1" not in log, "it has a wheel for that Python"

    # the same, written as conda packages, for a machine that is to take wheels: the same interpreter
    monkeypatch.setenv("MODELPORT_CONDA_PACKAGES", "wheels")
    same, said = _interpreter(ws, _environment("conda-packages", AS_CONDA_PACKAGES))
    assert same == interpreter
    assert "scikit-learn=0.20.0 as scikit-learn==0.20.0.*" in said
    for name in ("then", "now"):
        ws.webservices[name].delete()
    ws.registry.close()
