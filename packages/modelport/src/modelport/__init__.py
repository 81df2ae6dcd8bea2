"""Modelport: register a model, deploy it as a web service on your own machine, score it over REST.

The names below are loaded when they are first used: ``modelport --help`` and ``import modelport.domain`` stay quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from modelport.domain.models import ResourceConfiguration
    from modelport.sdk.aci import AciWebservice
    from modelport.sdk.aks import AksWebservice
    from modelport.sdk.aks_endpoint import AksEndpoint
    from modelport.sdk.compute import AksCompute, ComputeTarget
    from modelport.sdk.conda_dependencies import CondaDependencies
    from modelport.sdk.data import Dataset, Datastore
    from modelport.sdk.environment import Environment
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.keyvault import Keyvault
    from modelport.sdk.local import LocalWebservice
    from modelport.sdk.model import Model
    from modelport.sdk.runs import Experiment, Run, RunConfiguration, ScriptRunConfig
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace

    __version__: str

__all__ = [
    "AciWebservice",
    "AksCompute",
    "AksEndpoint",
    "AksWebservice",
    "ComputeTarget",
    "CondaDependencies",
    "Dataset",
    "Datastore",
    "Environment",
    "Experiment",
    "InferenceConfig",
    "Keyvault",
    "LocalWebservice",
    "Model",
    "ResourceConfiguration",
    "Run",
    "RunConfiguration",
    "ScriptRunConfig",
    "Webservice",
    "Workspace",
    "__version__",
]

_HOME = {
    "AciWebservice": "modelport.sdk.aci",
    "AksCompute": "modelport.sdk.compute",
    "AksEndpoint": "modelport.sdk.aks_endpoint",
    "AksWebservice": "modelport.sdk.aks",
    "ComputeTarget": "modelport.sdk.compute",
    "CondaDependencies": "modelport.sdk.conda_dependencies",
    "Dataset": "modelport.sdk.data",
    "Datastore": "modelport.sdk.data",
    "Environment": "modelport.sdk.environment",
    "Experiment": "modelport.sdk.runs",
    "InferenceConfig": "modelport.sdk.inference",
    "Keyvault": "modelport.sdk.keyvault",
    "LocalWebservice": "modelport.sdk.local",
    "Model": "modelport.sdk.model",
    "ResourceConfiguration": "modelport.domain.models",
    "Run": "modelport.sdk.runs",
    "RunConfiguration": "modelport.sdk.runs",
    "ScriptRunConfig": "modelport.sdk.runs",
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
