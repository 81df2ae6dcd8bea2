"""Where what scripts collect is stored (azureml-v1 reference, 11), as their worker is told it."""

from __future__ import annotations

from dataclasses import dataclass

FOLDER_VARIABLE = "AZUREML_MODEL_DATA_DIR"
WORKSPACE_VARIABLE = "AZUREML_MODEL_DATA_WORKSPACE"


@dataclass(frozen=True, kw_only=True)
class ModelData:
    """The root of the files, as the worker sees it, and the workspace whose they are."""

    folder: str
    workspace: str
    """Subscription, resource group and name, with slashes between; a name alone is one of nobody."""

    def variables(self) -> dict[str, str]:
        """What a worker is told that is to collect."""
        return {FOLDER_VARIABLE: self.folder, WORKSPACE_VARIABLE: self.workspace}
