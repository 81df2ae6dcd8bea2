"""Models (azureml-v1 reference, 2.2)."""

from __future__ import annotations

import builtins
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from azureml._served_model import Model as ServedModel
from modelport.domain.errors import ModelNotFoundException, ModelportError, WebserviceException
from modelport.domain.models import Condition, Framework, ModelChange, ModelFilter, ModelVersion, ResourceConfiguration
from modelport.domain.names import split_model_id
from modelport.sdk.deploying import deploy_service
from modelport.usecases.change_model import change_tags_and_properties
from modelport.usecases.delete_model import delete_model
from modelport.usecases.download_model import download_model
from modelport.usecases.find_models import find_model
from modelport.usecases.register_model import ModelRegistration, register_model

if TYPE_CHECKING:
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.local_configuration import LocalDeploymentConfiguration
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace


class Model:
    """One version of a registered model, as it was when this object was made."""

    Framework = Framework

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,
        tags: Sequence[Condition] | None = None,
        properties: Sequence[Condition] | None = None,
        version: int | None = None,
        run_id: str | None = None,
        model_framework: str | None = None,
        expand: bool = True,
    ) -> None:
        """The newest version that fits. ``expand`` changes nothing: there is no part that could be left out.

        Raises WebserviceException without a name or id, ModelNotFoundException.
        """
        if id is not None:
            name, version = split_model_id(id) if ":" in id else (id, version)
        if not name:
            raise WebserviceException("Error, one of id or name must be provided.")
        wanted = ModelFilter(
            name=name,
            version=version,
            tags=tags or (),
            properties=properties or (),
            run_id=run_id,
            framework=model_framework,
        )
        self._take(workspace, find_model(workspace.context, wanted))

    @classmethod
    def _from_version(cls, workspace: Workspace, version: ModelVersion) -> Model:
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
        self.run: object = None  # there are no runs here, and no models that are made from models
        self.parent_id: str | None = None
        self.derived_model_ids: builtins.list[str] = []
        self.datasets: dict[str, Any] = {}
        self.experiment_name = version.experiment_name
        self.unpack = version.is_folder
        self.mime_type = "application/x-python"
        self.url = f"modelport://{workspace.name}/models/{version.name}/{version.version}"

    @property
    def record(self) -> ModelVersion:
        """The version as the registry keeps it: its files with sizes and SHA-256 digests."""
        return self._version

    # --- registering and finding --------------------------------------------------------------------------------------

    @staticmethod
    def register(
        workspace: Workspace,
        model_path: str | Path,
        model_name: str,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        datasets: object = None,
        model_framework: str | None = None,
        model_framework_version: str | None = None,
        child_paths: Sequence[str] | None = None,
        sample_input_dataset: object = None,
        sample_output_dataset: object = None,
        resource_configuration: ResourceConfiguration | None = None,
        *,
        run_id: str | None = None,
        experiment_name: str | None = None,
    ) -> Model:
        """Register a file or a folder as the next version of ``model_name``; prints ``Registering model <name>``.

        ``run_id`` and ``experiment_name`` are labels: where the model came from.
        Raises ModelPathNotFoundException (a WebserviceException) where there is nothing at the path,
        WebserviceException for a name that is empty or not allowed.
        """
        registration = ModelRegistration(
            path=Path(model_path),
            name=model_name,
            child_paths=child_paths,
            description=description,
            tags=_texts(tags),
            properties=_texts(properties),
            framework=model_framework,
            framework_version=model_framework_version,
            resource_configuration=resource_configuration,
            sample_input=_text_or_none(sample_input_dataset),
            sample_output=_text_or_none(sample_output_dataset),
            run_id=run_id,
            experiment_name=experiment_name,
        )
        workspace.context.progress.step(f"Registering model {model_name}")
        return Model._from_version(workspace, register_model(workspace.context, registration))

    @staticmethod
    def list(
        workspace: Workspace,
        name: str | None = None,
        tags: Sequence[Condition] | None = None,
        properties: Sequence[Condition] | None = None,
        run_id: str | None = None,
        latest: bool = False,
        dataset_id: str | None = None,
        expand: bool = True,
        page_count: int = 255,
        model_framework: str | None = None,
    ) -> builtins.list[Model]:
        """The versions that fit, newest first within a name; with ``latest``, one for each name."""
        if dataset_id is not None:
            return []  # models are not linked to data sets here, so none fits
        wanted = ModelFilter(
            name=name,
            tags=tags or (),
            properties=properties or (),
            run_id=run_id,
            framework=model_framework,
            latest=latest,
        )
        return [Model._from_version(workspace, version) for version in workspace.registry.models(wanted)]

    @staticmethod
    def get_model_path(model_name: str, version: int | None = None, _workspace: Workspace | None = None) -> str:
        """Path of a model's file or folder: below ``./azureml-models``, as in a service, or ``./<model_name>``.

        With a workspace it is downloaded into ``./azureml-models`` first where it is not there. Raises
        ModelNotFoundException, WebserviceException (azureml-v1 reference, 5.4).
        """
        if _workspace is not None and model_name:
            _fetch_into_cache(_workspace, model_name, version)
        try:
            return ServedModel.get_model_path(model_name, version)
        except ModelportError:
            raise
        except Exception as error:
            raise _translated(error) from error

    def download(self, target_dir: str | Path = ".", exist_ok: bool = False, exists_ok: bool | None = None) -> str:
        """Copy the file or folder into ``target_dir`` and return its path there; every byte is verified.

        Raises WebserviceException where something is in the way and not ``exist_ok``, StoreException for damaged files.
        """
        allowed = exist_ok if exists_ok is None else exists_ok
        return str(download_model(self.workspace.context, self._version, target=Path(target_dir), exist_ok=allowed))

    # --- changing -----------------------------------------------------------------------------------------------------

    def update(
        self,
        tags: Mapping[str, str] | None = None,
        description: str | None = None,
        sample_input_dataset: object = None,
        sample_output_dataset: object = None,
        resource_configuration: ResourceConfiguration | None = None,
    ) -> None:
        """Replace what is given; the files of a version never change."""
        change = ModelChange(
            tags=None if tags is None else _texts(tags),
            description=description,
            sample_input=_text_or_none(sample_input_dataset),
            sample_output=_text_or_none(sample_output_dataset),
            resource_configuration=resource_configuration,
        )
        self._take(self.workspace, self.workspace.registry.change_model(self.name, self.version, change))

    def update_tags_properties(
        self,
        add_tags: Mapping[str, str] | None = None,
        remove_tags: Sequence[str] | None = None,
        add_properties: Mapping[str, str] | None = None,
    ) -> None:
        """Add and remove tags, add properties. Raises WebserviceException where a property would change its value."""
        changed = change_tags_and_properties(
            self.workspace.context,
            self._version,
            add_tags=_texts(add_tags),
            remove_tags=remove_tags or (),
            add_properties=_texts(add_properties),
        )
        self._take(self.workspace, changed)

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags, or give them new values."""
        self.update_tags_properties(add_tags=tags)

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Remove the tags with these keys."""
        self.update_tags_properties(remove_tags=tags)

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Add properties. Raises WebserviceException for one that is there with another value."""
        self.update_tags_properties(add_properties=properties)

    def delete(self) -> None:
        """Delete this version. Raises ConflictException, naming the services, while one uses it."""
        delete_model(self.workspace.context, self._version)

    # --- deploying ----------------------------------------------------------------------------------------------------

    @staticmethod
    def deploy(
        workspace: Workspace,
        name: str,
        models: Sequence[Model | str],
        inference_config: InferenceConfig | None = None,
        deployment_config: LocalDeploymentConfiguration | None = None,
        deployment_target: object = None,
        overwrite: bool = False,
        show_output: bool = False,
    ) -> Webservice:
        """Deploy the models as a web service and return it while it starts: see ``wait_for_deployment``.

        ``models`` may be empty and may hold ids (``name:version``). Raises ConflictException where the name is taken
        and not ``overwrite``; whatever is wrong with the configuration, before anything is started.
        """
        return deploy_service(
            workspace,
            name,
            [model.id if isinstance(model, Model) else model for model in models],
            inference_config=inference_config,
            deployment_config=deployment_config,
            deployment_target=deployment_target,
            overwrite=overwrite,
            show_output=show_output,
        )

    # --- writing down -------------------------------------------------------------------------------------------------

    def serialize(self) -> dict[str, Any]:
        """The model as a dictionary with the keys of v1 (azureml-v1 reference, 4.6)."""
        return _serialized(self)

    def __repr__(self) -> str:
        return (
            f"Model(workspace={self.workspace!r}, name={self.name}, id={self.id}, version={self.version}, "
            f"tags={self.tags}, properties={self.properties})"
        )


def _serialized(model: Model) -> dict[str, Any]:
    resources = model.resource_configuration
    return {
        "createdTime": model.created_time.isoformat(),
        "createdBy": model.created_by,
        "description": model.description,
        "id": model.id,
        "mimeType": model.mime_type,
        "name": model.name,
        "framework": model.model_framework,
        "frameworkVersion": model.model_framework_version,
        "tags": model.tags,
        "properties": model.properties,
        "unpack": model.unpack,
        "url": model.url,
        "version": model.version,
        "experimentName": model.experiment_name,
        "runId": model.run_id,
        "runDetails": str(model.run_id),
        "datasets": [],
        "resourceConfiguration": resources
        and {"cpu": resources.cpu, "memoryInGB": resources.memory_in_gb, "gpu": resources.gpu},
        "sampleInputDatasetId": model.sample_input_dataset,
        "sampleOutputDatasetId": model.sample_output_dataset,
    }


def _texts(values: Mapping[str, object] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (values or {}).items()}


def _text_or_none(value: object) -> str | None:
    """A sample is kept by its text; a data set object, by its id."""
    return None if value is None else str(getattr(value, "id", value))


def _fetch_into_cache(workspace: Workspace, name: str, version: int | None) -> None:
    found = find_model(workspace.context, ModelFilter(name=name, version=version))
    folder = Path("azureml-models") / found.name / str(found.version)
    if not (folder / found.entry).exists():
        download_model(workspace.context, found, target=folder)


def _translated(error: Exception) -> WebserviceException:
    """An error of the serve-time names as one of ours: they cannot import us."""
    kind = ModelNotFoundException if type(error).__name__ == "ModelNotFoundException" else WebserviceException
    return kind(getattr(error, "message", str(error)))
