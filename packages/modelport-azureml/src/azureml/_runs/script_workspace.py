"""The workspace and the experiment of a run, as a script without the client has them.

They do what scripts do on the way: read names, data sets, datastores and secrets, register models through their run.
"""

import json
import os
from typing import Any, Dict, Iterator, Optional

from azureml._access import AccessByProgram, WorkspaceAccess
from azureml._data.datastores import Datastore
from azureml._data.factories import Dataset
from azureml._errors import user_error
from azureml._keyvault import Keyvault
from azureml._runs.folder import RunFolder
from azureml._runs.making import experiment_document
from azureml._runs.run import Run
from azureml._runs.selection import Labels, selected

_WITHOUT = (
    "{} of the {} is not available in this script: its Python has no client of Modelport. It has what scripts use of a "
    "workspace (name, datasets, datastores, key vault, run.register_model); do the rest where the script is submitted."
)


class ScriptWorkspace:
    """The workspace of the run that this script is."""

    def __init__(self, client: Dict[str, Any], folder: str) -> None:
        said = client["workspace"]
        self.name: str = said["name"]
        self.subscription_id: str = said["subscription_id"]
        self.resource_group: str = said["resource_group"]
        self.location: str = said["location"]
        self.folder = folder
        self.access: WorkspaceAccess = AccessByProgram(
            self.name, command=client["command"], environment=client["environment"]
        )

    def get_default_datastore(self) -> Any:
        return Datastore.get_default(self)

    @property
    def datastores(self) -> Dict[str, Any]:
        return Datastore._all(self)

    @property
    def datasets(self) -> Dict[str, Any]:
        return Dataset.get_all(self)

    def get_default_keyvault(self) -> Keyvault:
        return Keyvault(self)

    def get_run(self, run_id: str) -> Run:
        folder = RunFolder(self.folder, run_id)
        if not folder.exists():
            raise user_error("Run with id {} not found in the workspace {!r}.".format(run_id, self.name))
        return Run._of(folder)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_WITHOUT.format(repr(name), "workspace"))

    def __repr__(self) -> str:
        return "Workspace.create(name={!r}, subscription_id={!r}, resource_group={!r})".format(
            self.name, self.subscription_id, self.resource_group
        )


class ScriptExperiment:
    """The experiment of the run that this script is."""

    def __init__(self, workspace: ScriptWorkspace, name: str) -> None:
        self.workspace = workspace
        self.name = name
        self._document = experiment_document(workspace.folder, name)

    @property
    def id(self) -> str:
        return str(self._document.read()["id"])

    @property
    def tags(self) -> Dict[str, Any]:
        return dict(self._document.read()["tags"])

    def get_runs(
        self, type: Optional[str] = None, tags: Labels = None, properties: Labels = None, include_children: bool = False
    ) -> Iterator[Run]:
        """The runs that fit, the newest first."""
        runs = [RunFolder(self.workspace.folder, run_id) for run_id in self._document.read()["runs"]]
        for folder in selected((run for run in runs if run.exists()), type=type, tags=tags, properties=properties):
            if include_children or folder.document.read()["parent"] is None:
                yield Run._of(folder, self)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(_WITHOUT.format(repr(name), "experiment"))

    def __repr__(self) -> str:
        return "Experiment(Name: {},\nWorkspace: {})".format(self.name, self.workspace.name)


def open_experiment(root: RunFolder, name: str) -> ScriptExperiment:
    """The experiment of that name, in the workspace of the run."""
    with open(os.path.join(root.path, "client.json"), encoding="utf-8") as file:
        client = json.load(file)
    return ScriptExperiment(ScriptWorkspace(client, root.workspace_folder), name)
