"""Models (azureml-v1 reference, 2.2)."""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from azureml._served_model import Model as ServedModel
from modelport.domain.errors import (
    ModelNotFoundException,
    ModelPathNotFoundException,
    ModelportError,
    WebserviceException,
)
from modelport.domain.models import Condition, Framework, ModelChange, ModelFilter, ResourceConfiguration
from modelport.domain.names import split_model_id
from modelport.sdk.cloud_only import say_unused
from modelport.sdk.kinds import check_workspace
from modelport.sdk.labels import label_keys, labels
from modelport.sdk.model_deployment import ModelDeployment
from modelport.sdk.model_snapshot import ModelSnapshot
from modelport.usecases.change_model import change_tags_and_properties
from modelport.usecases.delete_model import delete_model
from modelport.usecases.download_model import download_model
from modelport.usecases.find_models import find_model
from modelport.usecases.model_datasets import Reference, add_dataset_references, models_of_dataset
from modelport.usecases.register_model import ModelRegistration, check_registration, register_model

if TYPE_CHECKING:
    from modelport.sdk.workspace import Workspace


class Model(ModelSnapshot, ModelDeployment):
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
        **kwargs: object,
    ) -> None:
        """The newest version that fits. ``expand`` changes nothing: there is no part that could be left out.

        Raises WebserviceException without a name or id, ModelNotFoundException.
        """
        say_unused(workspace.context.progress, kwargs)
        if id is not None:
            name, version = split_model_id(str(id)) if ":" in str(id) else (str(id), version)
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

    # --- registering and finding --------------------------------------------------------------------------------------

    @staticmethod
    def register(
        workspace: Workspace,
        model_path: str | Path,
        model_name: str,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        datasets: Sequence[tuple[str, object]] | None = None,
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

        ``datasets`` is as for ``add_dataset_references``. ``run_id`` and ``experiment_name`` are labels: where the
        model came from.
        Raises ModelPathNotFoundException (a WebserviceException) where there is nothing at the path,
        WebserviceException for a name that is empty or not allowed.
        """
        if not model_path:
            raise ModelPathNotFoundException(
                "Error, a model needs a path: model_path must not be empty.", hint="Name its file or its folder."
            )
        registration = ModelRegistration(
            path=Path(model_path),
            name=model_name,
            child_paths=child_paths,
            description=description,
            tags=labels(tags),
            properties=labels(properties, what="properties"),
            framework=model_framework,
            framework_version=model_framework_version,
            resource_configuration=resource_configuration,
            sample_input=_text_or_none(sample_input_dataset),
            sample_output=_text_or_none(sample_output_dataset),
            run_id=run_id,
            experiment_name=experiment_name,
        )
        check_registration(registration)
        check_workspace(workspace)
        workspace.context.progress.step(f"Registering model {model_name}")
        references = _references(datasets)
        model = Model._from_version(workspace, register_model(workspace.context, registration))
        if references:
            model.add_dataset_references(references)
        return model

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
        wanted = ModelFilter(
            name=name,
            tags=tags or (),
            properties=properties or (),
            run_id=run_id,
            framework=model_framework,
            latest=latest,
        )
        found = workspace.registry.models(wanted)
        if dataset_id is not None:
            referring = models_of_dataset(workspace.registry, dataset_id)
            found = [version for version in found if version.id in referring]
        return [Model._from_version(workspace, version) for version in found]

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
        context, version = self.workspace.context, self._version
        if not version.files:  # it was made by deserialize(), and was not registered here then
            version = find_model(context, ModelFilter(name=self.name, version=self.version))
        return str(download_model(context, version, target=Path(target_dir), exist_ok=allowed))

    def get_sas_urls(self) -> dict[str, str]:
        """A URL for each of the model's files, by its path in the model. On this machine they need no signature.

        The files there must not be changed: they are the store's own.
        """
        objects = self.workspace.context.objects
        return {file.path: objects.location(file.sha256) for file in self._version.files}

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
            tags=None if tags is None else labels(tags),
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
            add_tags=labels(add_tags),
            remove_tags=label_keys(remove_tags),
            add_properties=labels(add_properties, what="properties"),
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

    def add_dataset_references(self, datasets: Sequence[tuple[str, object]]) -> None:
        """Note which data sets the model was made from: pairs of a word (``"training"``) and a data set or its id."""
        add_dataset_references(self.workspace.registry, self._version, _references(datasets))

    def delete(self) -> None:
        """Delete this version. Raises ConflictException, naming the services, while one uses it."""
        delete_model(self.workspace.context, self._version)


def _references(datasets: Sequence[tuple[str, object]] | None) -> list[Reference]:
    """Raises WebserviceException for what is no list of pairs."""
    given = list(datasets or ())
    if not all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in given):
        raise WebserviceException(
            "datasets must be a list of pairs: what a data set was for, and the data set.",
            hint="Write [('training', dataset)].",
        )
    return [(str(purpose), str(getattr(dataset, "id", dataset))) for purpose, dataset in given]


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
