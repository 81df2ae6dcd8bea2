"""``azureml.core.conda_dependencies`` (azureml-v1 reference, 2.5)."""

from __future__ import annotations

from azureml._constants import VERSION
from modelport.sdk import conda_dependencies
from modelport.sdk.v1.standing_for import StandsFor


class CondaDependencies(conda_dependencies.CondaDependencies, metaclass=StandsFor):
    """The Python version, the conda packages and the pip requirements of an environment.

    As in v1 it starts with ``python=3.6.2``, and ``create`` pins ``azureml-defaults`` to the SDK's version; nothing of
    that name is ever downloaded.
    """

    _DEFAULT_PYTHON = "3.6.2"
    _PINNED_SDK = f"azureml-defaults~={VERSION}"
