"""``azureml.core.runconfig`` (azureml-v1 reference, 2.12)."""

from __future__ import annotations

from modelport.sdk.runs import run_configuration
from modelport.sdk.v1.environment import Environment
from modelport.sdk.v1.standing_for import StandsFor


class RunConfiguration(run_configuration.RunConfiguration, metaclass=StandsFor):
    """The environment of a script and where it runs; as in v1 its environment starts with ``python=3.6.2``.

    One that is left as it is means the interpreter that submits, not that Python.
    """

    _environment_class = Environment
