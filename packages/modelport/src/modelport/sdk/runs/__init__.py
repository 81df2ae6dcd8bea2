"""Experiments and their runs (docs/architecture/09-runs.md)."""

from azureml._runs.offline import _OfflineRun
from azureml._runs.run import Run, ScriptRun, _SubmittedRun, get_run
from modelport.sdk.runs.estimator import Estimator, SKLearn
from modelport.sdk.runs.experiment import Experiment
from modelport.sdk.runs.run_configuration import (
    DataReferenceConfiguration,
    DockerConfiguration,
    MpiConfiguration,
    RunConfiguration,
)
from modelport.sdk.runs.script_run_config import ScriptRunConfig
from modelport.sdk.runs.widgets import RunDetails

__all__ = [
    "DataReferenceConfiguration",
    "DockerConfiguration",
    "Estimator",
    "Experiment",
    "MpiConfiguration",
    "Run",
    "RunConfiguration",
    "RunDetails",
    "SKLearn",
    "ScriptRun",
    "ScriptRunConfig",
    "_OfflineRun",
    "_SubmittedRun",
    "get_run",
]
