"""What an entry script finds in ``azureml.core``: the version, and the paths of its models."""

from azureml._client import explain_client_names
from azureml.core.model import Model

VERSION = "1.36.0"
"""The SDK whose names these are; scripts print it and compare it."""

__version__ = VERSION

__all__ = ["VERSION", "Model"]

explain_client_names(
    __name__,
    frozenset(
        (
            "ComputeTarget",
            "ContainerRegistry",
            "Dataset",
            "Datastore",
            "Environment",
            "Experiment",
            "Image",
            "Keyvault",
            "Run",
            "RunConfiguration",
            "ScriptRunConfig",
            "Webservice",
            "Workspace",
        )
    ),
)
