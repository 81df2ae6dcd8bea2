"""Real model files, made by the real libraries in environments of their own, with what each library answers itself."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modelport.domain.environments import CondaSpecification, EnvironmentDefinition, PythonSection
from modelport.domain.progress import Silent
from modelport.environments.chooser import LocalEnvironments

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
MAKING = Path(__file__).parent / "making"
ALL = os.environ.get("MODELPORT_TEST_FRAMEWORKS") == "all"
"""Whether the frameworks are tested too whose packages are large: ``make test-frameworks``."""


@dataclass(frozen=True)
class Library:
    """A library: the script that makes models with it, and what that needs; nothing: the Python of the tests."""

    script: str
    packages: tuple[str, ...] = ()
    python: str | None = None


SCIKIT_LEARN = Library("make_scikit_learn.py")
OLD_SCIKIT_LEARN = Library("make_old_scikit_learn.py", ("scikit-learn==0.20.0", "numpy<1.20", "scipy<1.6"), "3.7")
ONNX = Library("make_onnx.py", ("onnx",))
_BASE = ("inference-schema", "numpy", "orjson; python_version >= '3.8'")
_WHEELS = ("--only-binary lightgbm", "--only-binary numpy", "--only-binary scipy")
LIGHTGBM = Library("make_lightgbm.py", (*_WHEELS, "lightgbm", *_BASE), HERE)  # the environment that serves it, too
XGBOOST = Library("make_xgboost.py", ("xgboost-cpu",))
MLFLOW_PACKAGES = ("mlflow-skinny", "scikit-learn", "numpy", "pandas", "skops")
MLFLOW = Library("make_mlflow.py", (*MLFLOW_PACKAGES, "inference-schema"), platform.python_version())  # likewise
TENSORFLOW = Library("make_tensorflow.py", ("tensorflow-cpu",))
PYTORCH = Library("make_pytorch.py", ("torch==2.13.0", "numpy"))


Wrong = tuple[tuple[object, str], ...]


@dataclass(frozen=True)
class Case:
    """A model file, and how it is registered."""

    library: Library
    file: str
    framework: str | None
    version: str | None = None
    is_large: bool = False
    batching: bool = True
    log: str = ""
    """What the deployment's log says of the model."""
    sample: str | None = None
    script: str = ""
    """A part of the generated script."""
    wrong: Wrong = ()
    """Bodies that the model cannot take, and what is said of each."""
    knows_shapes: bool = True
    """Whether its file, or a sample, tells what its inputs are."""

    @property
    def name(self) -> str:
        return self.file.replace(".", "_")


_COLUMNS = "3 numbers (age, height, weight)"
_NUMBERS: Wrong = (
    ({"data": [[1, 2]]}, f"Each row must have {_COLUMNS}; it has 2."),
    ({"data": [[1, 2, 3, 4]]}, f"Each row must have {_COLUMNS}; it has 4."),
    ({"data": [1, 2, 3]}, f'"data" must be a list of rows, lists of {_COLUMNS}: 2 dimensions; it has 1'),
    ({"data": [[1, 2, "x"]]}, f'"data" must be a list of rows, lists of {_COLUMNS}: '),
    ({"data": [[1, 2, 3], [1]]}, f'"data" must be a list of rows, lists of {_COLUMNS}: '),
    ({"data": [{"age": 1}]}, f'"data" must be a list of rows, lists of {_COLUMNS}: '),
    ({"data": [[1, 2, 3]], "method": "fly"}, "The model has no method 'fly'; it has: predict_proba, predict,"),
    ({"data": [[1, 2, None]]}, "The model cannot take this: "),
)
_TABLE: Wrong = (
    ({"data": [{"city": "Pisa", "aeg": 1}]}, "A row lacks: age. Not known: aeg. The columns are: city, age."),
    ({"data": [{}]}, "A row lacks: city, age. The columns are: city, age."),
    ({"data": [["Pisa"]]}, "A row has 1 values, and the columns are 2: city, age."),
    ({"data": ["Pisa"]}, "Each row must be an object or a list with: city, age."),
    ({"data": {"city": "Pisa"}}, '"data" must be a list of rows; it is of type dict.'),
    ({"data": [["Pisa", "old"]]}, "The model cannot take this: "),
    ({"data": [["Nowhere", 1]]}, "The model cannot take this: "),
)
_DENSE: Wrong = (
    ({"data": [[1, 2]]}, 'The input "float_input": it has the shape [1, 2]; the model takes [-1, 3].'),
    ({"inputs": {"flaot_input": [[1, 2, 3]]}}, 'The input "float_input" is missing.'),
    ({"inputs": {"float_input": [[1, 2, 3]], "x": 1}}, 'The model has no input "x"; it has: float_input.'),
    ({"data": [["a", "b", "c"]]}, 'The input "float_input": it takes numbers'),
    ({"instances": [[1, 2, 3], [1]]}, 'The input "float_input": '),
)
_BOOSTER: Wrong = (
    ({"data": [[1, 2]]}, 'The input "data": it has the shape [1, 2]; the model takes [-1, 3] (age, height, weight).'),
    ({"inputs": {"dta": [[1, 2, 3]]}}, 'The input "data" is missing.'),
)
_XGBOOST: Wrong = (({"data": [[1, 2]]}, "it has the shape [1, 2]; the model takes [-1, 3] ("),)
_PYTORCH: Wrong = (
    ({"data": [[1, 2]]}, 'The input "x": it has the shape [1, 2]; the model takes [-1, 3].'),
    ({"instances": [["a", "b", "c"]]}, 'The input "x": it takes numbers'),
    ({"data": [[1, 2, 3]] * 1025}, "The model cannot take this: "),
)
_UNKNOWN_SHAPE: Wrong = (
    ({"data": [[1, 2]]}, "The model cannot take this: mat1 and mat2 shapes cannot be multiplied (1x2 and 3x2)"),
    ({"data": [[]]}, "The model cannot take this: mat1 and mat2 shapes cannot be multiplied (1x0 and 3x2)"),
)
_MLFLOW: Wrong = (
    ({"data": [[1.5]]}, "each row must be a list with: age, count"),
    (
        {"dataframe_records": [{"age": 1.5, "cuont": 2}]},
        "the columns ['count'] are missing, and ['cuont'] are not known",
    ),
    ({"dataframe_split": {"columns": ["age"], "data": [[1.5]]}}, "the columns ['count'] are missing; the model's are"),
    ({"inputs": {"age": [1.5]}}, "the columns ['count'] are missing; the model's are: age, count"),
    ({"data": [[1.5, "many"]]}, "The "),
)

CASES = [
    Case(SCIKIT_LEARN, "numbers.pkl", "ScikitLearn", log="LogisticRegression", wrong=_NUMBERS),
    Case(
        SCIKIT_LEARN, "targets.joblib", None, log="Ridge", wrong=(({"data": [[1]]}, "Each row must have 3 numbers;"),)
    ),
    Case(SCIKIT_LEARN, "table.pkl", "ScikitLearn", log="Pipeline", wrong=_TABLE),
    Case(SCIKIT_LEARN, "texts.pkl", "ScikitLearn", log="Pipeline", wrong=(({"data": [1]}, "a list of texts."),)),
    Case(ONNX, "dense.onnx", "Onnx", version="1.3", log="operator set 13", wrong=_DENSE),
    Case(
        ONNX, "pair.onnx", None, log="operator set 13", wrong=(({"data": [{"a": [1, 2, 3]}]}, 'lacks the input "n"'),)
    ),
    Case(LIGHTGBM, "booster.txt", "LightGBM", log="3 features", wrong=_BOOSTER),
    Case(MLFLOW, "folder", "MLflow", log="flavor sklearn", wrong=_MLFLOW),
    Case(OLD_SCIKIT_LEARN, "sklearn_regression_model.pkl", "ScikitLearn", "0.20.0", is_large=True, log="0.20.0, Ridge"),
    Case(XGBOOST, "named.json", "XGBoost", is_large=True, log="binary:logistic", wrong=_XGBOOST),
    Case(XGBOOST, "classes.ubj", None, is_large=True, log="multi:softprob"),
    Case(TENSORFLOW, "saved", "TensorFlow", is_large=True, log="half_plus_two, serving_default"),
    Case(TENSORFLOW, "model.keras", "TfKeras", is_large=True, log="Sequential"),
    Case(TENSORFLOW, "model.h5", "TfKeras", is_large=True, log="Sequential"),
    Case(PYTORCH, "exported.pt2", "PyTorch", is_large=True, log="torch.export", wrong=_PYTORCH),
    Case(PYTORCH, "scripted.pt", "PyTorch", "2.13.0", is_large=True, log="TorchScript", sample="[[1.0, 2.0, 3.0]]"),
    Case(PYTORCH, "traced.pt", "PyTorch", "2.13.0", is_large=True, log="TorchScript", sample="[[1.0, 2.0, 3.0]]"),
    Case(
        PYTORCH,
        "unknown.pt",
        "PyTorch",
        "2.13.0",
        is_large=True,
        log="TorchScript",
        wrong=_UNKNOWN_SHAPE,
        knows_shapes=False,
    ),
]


@dataclass
class Workshop:
    """Makes each library's models once, below one folder."""

    folder: Path
    home: Path
    _made: dict[str, Path] = field(default_factory=dict)

    def models(self, library: Library) -> Path:
        """The folder with the library's models."""
        if library.script not in self._made:
            folder = self.folder / library.script.removesuffix(".py")
            folder.mkdir(parents=True)
            environ = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "MLFLOW_TRACKING_URI": str(folder / "runs")}
            command = [self._python(library), str(MAKING / library.script)]
            made = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
            self._made[library.script] = folder
        return self._made[library.script]

    def _python(self, library: Library) -> str:
        if not library.packages:
            return sys.executable
        packages = (f"python={library.python}",) if library.python else ()
        conda = CondaSpecification(packages=packages, pip=library.packages)
        definition = EnvironmentDefinition(name="making", python=PythonSection(conda=conda))
        environments = LocalEnvironments(self.home)
        lock = environments.resolve(definition, progress=Silent())
        return environments.materialise(lock, progress=Silent()).command[0]

    def path(self, case: Case) -> Path:
        return self.models(case.library) / case.file

    def expected(self, case: Case) -> dict[str, Any]:
        """``requests`` with answers, and ``metadata``, ``inputs`` and ``outputs`` of the Open Inference Protocol."""
        folder = self.models(case.library)
        names = [case.file.partition(".")[0], case.file.replace(".", "_")]
        found = next(path for name in names if (path := folder / f"{name}.expected.json").exists())
        content: dict[str, Any] = json.loads(found.read_text())
        return content
