"""What runs need of a workspace, and what they leave in it (azureml-v1 reference, 2.1): runs, data and secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azureml._data.datastores import AbstractDatastore, Datastore
from azureml._data.factories import Dataset
from azureml._keyvault import Keyvault
from azureml._runs.making import experiment_names
from azureml._runs.run import Run
from modelport.domain.errors import UserErrorException
from modelport.sdk.access import InProcessAccess
from modelport.sdk.runs.experiment import Experiment, find_run

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


class WorkspaceRuns:
    """Members of ``Workspace``."""

    @property
    def access(self: Workspace) -> InProcessAccess:  # type: ignore[misc]
        """How runs, data sets and the key vault reach this workspace."""
        return InProcessAccess(self)

    @property
    def experiments(self: Workspace) -> dict[str, Experiment]:  # type: ignore[misc]
        """The experiments, by name."""
        return {name: Experiment(self, name) for name in experiment_names(str(self.folder))}

    def get_run(self: Workspace, run_id: str) -> Run:  # type: ignore[misc]
        """The run of that id. Raises UserErrorException where there is none."""
        run = find_run(self, run_id)
        if run is None:
            raise UserErrorException(f"Run with id {run_id} not found in the workspace {self.name!r}.")
        return run

    @property
    def datastores(self: Workspace) -> dict[str, AbstractDatastore]:  # type: ignore[misc]
        """The datastores, by name: folders of this workspace."""
        return Datastore._all(self)

    def get_default_datastore(self: Workspace) -> Any:  # type: ignore[misc]
        """The datastore that is taken where none is named."""
        return Datastore.get_default(self)

    def set_default_datastore(self: Workspace, name: str) -> None:  # type: ignore[misc]
        """Take that one from now on. Raises UserErrorException where there is none of that name."""
        self.access.call("set_default_datastore", name=name)

    @property
    def datasets(self: Workspace) -> dict[str, Any]:  # type: ignore[misc]
        """The newest version of each registered data set, by name."""
        return Dataset.get_all(self)

    def get_default_keyvault(self: Workspace) -> Keyvault:  # type: ignore[misc]
        """The workspace's secrets."""
        return Keyvault(self)
