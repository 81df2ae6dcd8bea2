"""Modelport: register a model, deploy it as a web service on your own machine, score it over REST.

The names below are loaded when they are first used: ``modelport --help`` and ``import modelport.domain`` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelport.domain.models import ResourceConfiguration
    from modelport.sdk.conda_dependencies import CondaDependencies
    from modelport.sdk.environment import Environment
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.local import LocalWebservice
    from modelport.sdk.model import Model
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace

    __version__: str

__all__ = [
    "CondaDependencies",
    "Environment",
    "InferenceConfig",
    "LocalWebservice",
    "Model",
    "ResourceConfiguration",
    "Webservice",
    "Workspace",
    "__version__",
]

_HOME = {
    "CondaDependencies": "modelport.sdk.conda_dependencies",
    "Environment": "modelport.sdk.environment",
    "InferenceConfig": "modelport.sdk.inference",
    "LocalWebservice": "modelport.sdk.local",
    "Model": "modelport.sdk.model",
    "ResourceConfiguration": "modelport.domain.models",
    "Webservice": "modelport.sdk.webservice",
    "Workspace": "modelport.sdk.workspace",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("modelport")
    if name not in _HOME:
        raise AttributeError(f"module 'modelport' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
