"""The operations of a workspace by name, with JSON in and out, for what ``azureml`` does in scripts.

In this process through ``Workspace.access``; from a Python without the client through ``access_program``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from azureml._access import WorkspaceAccess
from modelport.domain.errors import UserErrorException
from modelport.sdk.model import Model
from modelport.usecases import data_sets, datastores, register_from_run, secrets

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


def _register_model(workspace: Workspace, said: Mapping[str, Any]) -> dict[str, Any]:
    version = register_from_run.register_from_run(
        workspace.context,
        said["run_id"],
        model_name=said["model_name"],
        model_path=said["model_path"],
        description=said["description"],
        tags=said["tags"] or {},
        properties=said["properties"] or {},
        framework=said["model_framework"],
        framework_version=said["model_framework_version"],
        sample_input=said["sample_input_dataset"],
        sample_output=said["sample_output_dataset"],
        resource_configuration=register_from_run.resources(said["resource_configuration"]),
    )
    model = Model._from_version(workspace, version)
    if said["datasets"]:
        model.add_dataset_references([(purpose, id) for purpose, id in said["datasets"]])
    return model.serialize()


def _register_path(workspace: Workspace, said: Mapping[str, Any]) -> dict[str, Any]:
    """For a script that has the file or the folder, and not the client."""
    resources = register_from_run.resources(said["resource_configuration"])
    return Model.register(workspace, **{**said, "resource_configuration": resources}).serialize()


_OF_MODELS = {"register_model": _register_model, "register_path": _register_path}

OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "datastore": datastores.datastore,
    "datastores": datastores.datastores,
    "register_datastore": datastores.register_datastore,
    "set_default_datastore": datastores.set_default_datastore,
    "unregister_datastore": datastores.unregister_datastore,
    "save_dataset": data_sets.save_dataset,
    "register_dataset": data_sets.register_dataset,
    "datasets": data_sets.datasets,
    "dataset_by_name": data_sets.dataset_by_name,
    "dataset_by_id": data_sets.dataset_by_id,
    "change_dataset": data_sets.change_dataset,
    "unregister_dataset": data_sets.unregister_dataset,
    "get_secrets": secrets.get_secrets,
    "set_secrets": secrets.set_secrets,
    "delete_secrets": secrets.delete_secrets,
    "list_secrets": secrets.list_secrets,
}


def carry_out(workspace: Workspace, operation: str, arguments: Mapping[str, Any]) -> Any:
    """What the operation answers. Raises UserErrorException for one that there is not, and what it raises."""
    if operation in _OF_MODELS:
        return _OF_MODELS[operation](workspace, arguments)
    if operation not in OPERATIONS:
        raise UserErrorException(
            f"This Modelport has no operation {operation!r}: it is older than the script's azureml."
        )
    return OPERATIONS[operation](workspace.context, **arguments)


class InProcessAccess(WorkspaceAccess):
    """The operations of a workspace that is open here."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def call(self, operation: str, **arguments: Any) -> Any:
        return carry_out(self._workspace, operation, arguments)

    def model(self, described: Mapping[str, Any]) -> Model:
        return Model(self._workspace, id=described["id"])
