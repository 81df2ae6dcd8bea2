"""Modules that came with other distributions of Azure ML: what is said where a script imports one of them."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Optional, Sequence

_AUTOML = (
    "Modelport does not train models. To serve one that AutoML has trained, export it (as ONNX, or as a pickle of "
    "scikit-learn without AutoML's own classes), or have the vendor's packages in an environment of your own."
)
_EXPLAINING = (
    "Modelport keeps no explanations. Use interpret-community or shap itself, and log what comes of it to a run."
)
_NOTHING = "Modelport has nothing of that kind. Leave the import and what uses it out."

_MLFLOW = (
    "Modelport brings no plugin of MLflow, and none is needed: mlflow.set_tracking_uri(ws.get_mlflow_tracking_uri()) "
    "records in a folder of the workspace. Model.deploy serves MLflow models as they are."
)
_INSIDE = (
    "It is what the vendor's SDK had inside, and no script should have taken from there. Models, images and services "
    "have what is needed as members of their own; requests and docker have the rest."
)

ABSENT = {
    "azureml._model_management": _INSIDE,
    "azureml.accel": "Modelport has no FPGAs. Serve the model on this machine's processors: Model.deploy.",
    "azureml.automl": _AUTOML,
    "azureml.contrib.datadrift": _NOTHING,
    "azureml.contrib.dataset": "Modelport has no labelled data sets. Read the files with pandas.",
    "azureml.contrib.explain": _EXPLAINING,
    "azureml.contrib.fairness": _NOTHING,
    "azureml.contrib.gbdt": "Modelport does not train models. Use lightgbm itself.",
    "azureml.contrib.interpret": _EXPLAINING,
    "azureml.contrib.notebook": "Modelport does not run notebooks. Run them with nbconvert or papermill.",
    "azureml.contrib.opendatasets": "Modelport downloads no data sets. Download the files, and read them with pandas.",
    "azureml.contrib.train": "Modelport does not train models. Use the library itself.",
    "azureml.datadrift": _NOTHING,
    "azureml.dataprep": "Modelport prepares no data. Read the files with pandas, or with azureml.core.Dataset.",
    "azureml.explain": _EXPLAINING,
    "azureml.interpret": _EXPLAINING,
    "azureml.mlflow": _MLFLOW,
    "azureml.tensorboard": "Modelport starts no TensorBoard. Start it on a folder of logs: tensorboard --logdir logs.",
    "azureml.train.automl.automlexplainer": _AUTOML,
    "azureml.train.automl.constants": _AUTOML,
    "azureml.train.automl.model_proxy": _AUTOML,
    "azureml.train.automl.runtime": _AUTOML,
    "azureml.train.automl.utilities": _AUTOML,
}
"""Which module, and what to do instead."""


class AbsentFinder(MetaPathFinder):
    """Asked last: where another distribution has the module, that one is taken."""

    def find_spec(
        self, fullname: str, path: Optional[Sequence[Any]], target: Optional[ModuleType] = None
    ) -> Optional[ModuleSpec]:
        if fullname not in ABSENT:
            return None
        message = "No module named {!r}: Modelport does not have it. {}".format(fullname, ABSENT[fullname])
        raise ModuleNotFoundError(message, name=fullname)


def explain() -> None:
    """Let an import of these say what to do. A second call does nothing."""
    if all(type(finder).__name__ != AbsentFinder.__name__ for finder in sys.meta_path):
        sys.meta_path.append(AbsentFinder())
