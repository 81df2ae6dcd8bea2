"""The frameworks that are served without code of the user's."""

from __future__ import annotations

from collections.abc import Mapping

from modelport.domain.errors import WebserviceException
from modelport.usecases.no_code.boosters import LightGbm, XgBoost
from modelport.usecases.no_code.interface import Framework, ModelFolder
from modelport.usecases.no_code.mlflow import MlFlow
from modelport.usecases.no_code.onnx import Onnx
from modelport.usecases.no_code.pytorch import PyTorch
from modelport.usecases.no_code.scikit_learn import ScikitLearn
from modelport.usecases.no_code.tensorflow import Keras, TensorFlow

_ALL: tuple[Framework, ...] = (
    MlFlow(),
    TensorFlow(),
    Onnx(),
    Keras(),
    PyTorch(),
    LightGbm(),
    XgBoost(),
    ScikitLearn(),
)
FRAMEWORKS: Mapping[str, Framework] = {framework.name.lower(): framework for framework in _ALL}
"""By name, in small letters, in the order in which an unnamed model is compared with them."""

_HINT = "Name the framework (model_framework, --framework), or give the deployment an entry script."


def framework_of(model: ModelFolder, named: str | None) -> Framework:
    """The framework that is named, or the one that the files are of. Raises WebserviceException."""
    known = ", ".join(framework.name for framework in FRAMEWORKS.values())
    if named:
        found = FRAMEWORKS.get(named.lower())
        if found is None:
            raise WebserviceException(
                f"The model {model.id} has the framework {named!r}, of which nothing can be deployed without an entry "
                f"script. Those that can: {known}.",
                hint="Give inference_config=InferenceConfig(entry_script='score.py'), or register it with another.",
            )
        return found
    for framework in FRAMEWORKS.values():
        if framework.recognises(model):
            return framework
    raise WebserviceException(
        f"The model {model.id} names no framework, and its files are not known as one's of: {known}.", hint=_HINT
    )
