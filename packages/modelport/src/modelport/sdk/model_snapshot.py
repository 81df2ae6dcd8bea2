"""What an object of a model shows: one version, as it was when the object was made (azureml-v1 reference, 2.2, 4.6)."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from azureml._data.datasets import open_dataset
from azureml._runs.run import Run
from modelport.domain.errors import UserErrorException
from modelport.domain.models import ModelVersion
from modelport.sdk.model_payload import version_of_payload
from modelport.sdk.runs.experiment import find_run
from modelport.usecases.data_sets import dataset_by_id
from modelport.usecases.model_datasets import Reference, dataset_references

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


class ModelSnapshot:
    """The attributes of ``Model``."""

    @classmethod
    def _from_version(cls, workspace: Workspace, version: ModelVersion) -> Self:
        model = cls.__new__(cls)
        model._take(workspace, version)
        return model

    def _take(self, workspace: Workspace, version: ModelVersion) -> None:
        self.workspace = workspace
        self._version = version
        self.name = version.name
        self.id = version.id
        self.version = version.version
        self.description = version.description
        self.tags = dict(version.tags)
        self.properties = dict(version.properties)
        self.created_time: dt.datetime = version.created_time
        self.created_by = {"userName": version.created_by}
        self.model_framework = version.framework
        self.model_framework_version = version.framework_version
        self.resource_configuration = version.resource_configuration
        self.sample_input_dataset = version.sample_input
        self.sample_output_dataset = version.sample_output
        self.run_id = version.run_id
        self.parent_id: str | None = None  # no model here is made from another one
        self.derived_model_ids: builtins.list[str] = []
        self.experiment_name = version.experiment_name
        self.unpack = version.is_folder
        self.mime_type = "application/x-python"
        self.url = f"modelport://{workspace.name}/models/{version.name}/{version.version}"

    @property
    def record(self) -> ModelVersion:
        """The version as the registry keeps it: its files with sizes and SHA-256 digests."""
        return self._version

    @property
    def datasets(self) -> dict[str, builtins.list[Any]]:
        """The data sets that the model refers to, by what each was for; the id of one that the workspace has not."""
        found: dict[str, builtins.list[Any]] = {}
        for purpose, dataset_id in self._dataset_references():
            found.setdefault(purpose, []).append(self._dataset(dataset_id))
        return found

    def _dataset(self, dataset_id: str) -> Any:
        try:
            return open_dataset(dataset_by_id(self.workspace.context, dataset_id), self.workspace)
        except UserErrorException:
            return dataset_id

    def _dataset_references(self) -> builtins.list[Reference]:
        return dataset_references(self.workspace.registry, self._version)

    @classmethod
    def deserialize(cls, workspace: Workspace, model_payload: Mapping[str, Any]) -> Self:
        """The model that a dictionary with the keys of v1's service describes; the workspace is not asked.

        The files are those of the registered version of that id, where there is one. Raises WebserviceException where
        a key is missing.
        """
        return cls._from_version(workspace, version_of_payload(model_payload, workspace.registry))

    @property
    def run(self) -> Run | None:
        """The run that it was registered from; None where there is none, or it is not on this machine."""
        return None if self.run_id is None else find_run(self.workspace, self.run_id)

    def serialize(self) -> dict[str, Any]:
        """The model as a dictionary with the keys of v1 (azureml-v1 reference, 4.6)."""
        resources = self.resource_configuration
        return {
            "createdTime": self.created_time.isoformat(),
            "createdBy": self.created_by,
            "description": self.description,
            "id": self.id,
            "mimeType": self.mime_type,
            "name": self.name,
            "framework": self.model_framework,
            "frameworkVersion": self.model_framework_version,
            "tags": self.tags,
            "properties": self.properties,
            "unpack": self.unpack,
            "url": self.url,
            "version": self.version,
            "experimentName": self.experiment_name,
            "runId": self.run_id,
            "runDetails": str(self.run_id),
            "datasets": [{"name": purpose, "id": dataset_id} for purpose, dataset_id in self._dataset_references()],
            "resourceConfiguration": resources and resources.serialize(),
            "sampleInputDatasetId": self.sample_input_dataset,
            "sampleOutputDatasetId": self.sample_output_dataset,
        }

    def __repr__(self) -> str:
        return (
            f"Model(workspace={self.workspace!r}, name={self.name}, id={self.id}, version={self.version}, "
            f"tags={self.tags}, properties={self.properties})"
        )
