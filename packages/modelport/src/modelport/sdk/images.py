"""Images: the way of 2018 and 2019 to a service (azureml-v1 reference, 2.15).

An image here is a bundle with a locked environment: what every service runs, under a name and a version.
"""

from __future__ import annotations

import builtins
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from modelport.domain.errors import WebserviceException
from modelport.domain.images import CreationState
from modelport.domain.images import Image as ImageRecord
from modelport.domain.models import Condition
from modelport.sdk.dots import Dots
from modelport.sdk.image_configuration import ImageConfiguration
from modelport.sdk.image_deployment import deploy_configuration, deploy_image, revision_from_configuration
from modelport.sdk.labels import label_keys, labels
from modelport.sdk.local_configuration import LocalDeploymentConfiguration
from modelport.usecases.create_image import ImageRequest, create_image, log_of, observe_image
from modelport.usecases.delete_image import change_image, delete_image
from modelport.usecases.find_images import ImageFilter, find_image, find_images

if TYPE_CHECKING:
    from modelport.sdk.model import Model
    from modelport.sdk.webservice import Webservice
    from modelport.sdk.workspace import Workspace

_PAUSE_S = 0.1


class Image:
    """One version of an image. Attributes are a snapshot; ``update_creation_state()`` takes a new one.

    ``Image(workspace, name)`` returns an object of the class that fits the image.
    """

    image_type: ClassVar[str] = "Docker"
    image_flavor: str = ""
    _classes: ClassVar[dict[str, type[Image]]] = {}

    def __init_subclass__(cls) -> None:
        if cls.image_flavor:
            Image._classes[cls.image_flavor] = cls

    def __new__(
        cls,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,
        tags: Sequence[Condition] | None = None,
        properties: Sequence[Condition] | None = None,
        version: str | int | None = None,
    ) -> Image:
        record = _find(workspace, name, id, tags, properties, version)
        return Image._from_record(workspace, record, cls=None if cls is Image else cls)

    def __init__(
        self,
        workspace: Workspace,
        name: str | None = None,
        id: str | None = None,
        tags: Sequence[Condition] | None = None,
        properties: Sequence[Condition] | None = None,
        version: str | int | None = None,
    ) -> None:
        """The newest version that fits. Raises WebserviceException without a name or id, and where none fits."""

    @staticmethod
    def _from_record(workspace: Workspace, record: ImageRecord, *, cls: type[Image] | None = None) -> Image:
        image = object.__new__(cls or Image._classes.get(record.content.flavor, UnknownImage))
        image.workspace = workspace
        image._take(record)
        return image

    workspace: Workspace

    def _take(self, record: ImageRecord) -> None:
        content = record.content
        self._record = record
        self.name = record.name
        self.version = record.version
        self.id = record.id
        self.created_time = record.created_time
        self.created_by = {"userName": record.created_by}
        self.creation_state: str = content.state.value
        self.error = content.error
        self.description = content.description
        self.tags = dict(content.tags)
        self.properties = dict(content.properties)
        self.image_flavor = content.flavor
        self.image_build_log_uri = log_of(self.workspace.context, record).as_uri()

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def record(self) -> ImageRecord:
        """The image as the workspace keeps it."""
        return self._record

    @property
    def image_location(self) -> str | None:
        """The bundle's folder; None where the creation has not succeeded."""
        built = self._record.content.built
        return None if built is None else str(self.workspace.context.bundles / built.bundle_digest)

    @property
    def image_digest(self) -> str | None:
        """The SHA-256 of the bundle's manifest; None where the creation has not succeeded."""
        built = self._record.content.built
        return None if built is None else built.bundle_digest

    @property
    def creation_errors(self) -> str | None:
        """What stopped the creation; None where nothing did."""
        return self.error

    @property
    def models(self) -> builtins.list[Model]:
        """The models of the image that are still registered."""
        known = self.workspace.model_versions()
        return [known[model_id] for model_id in self._record.content.model_ids if model_id in known]

    def update_creation_state(self) -> None:
        """Take a new snapshot. Raises WebserviceException where the image is gone."""
        self._take(observe_image(self.workspace.context, self._record))

    # --- making and finding -------------------------------------------------------------------------------------------

    @staticmethod
    def create(
        workspace: Workspace, name: str, models: Sequence[Model | str], image_config: ImageConfiguration
    ) -> Image:
        """Make the next version of the image; prints the steps, and returns when that is over, well or not.

        ``models`` may hold ids (``name:version``). Raises what ``validate_configuration`` raises, and
        WebserviceException for a bad name. What fails later is the image's state: ``wait_for_creation`` raises it.
        """
        revision = revision_from_configuration(workspace, name, models, image_config)
        content = image_config.content(revision.inference)
        record = create_image(workspace.context, ImageRequest(name=name, revision=revision, content=content))
        return Image._from_record(workspace, record)

    @staticmethod
    def list(
        workspace: Workspace,
        image_name: str | None = None,
        model_name: str | None = None,
        model_id: str | None = None,
        tags: Sequence[Condition] | None = None,
        properties: Sequence[Condition] | None = None,
    ) -> builtins.list[Image]:
        """The images that fit, by name, newest first within a name."""
        wanted = ImageFilter(
            name=image_name, model_name=model_name, model_id=model_id, tags=tags or (), properties=properties or ()
        )
        found = find_images(workspace.context, wanted)
        return [Image._from_record(workspace, observe_image(workspace.context, record)) for record in found]

    @staticmethod
    def image_configuration(**options: Any) -> ContainerImageConfig:
        """A configuration of a class of images: ``ContainerImage.image_configuration`` has one."""
        raise NotImplementedError("An Image has no configuration: use ContainerImage.image_configuration(…).")

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Return when the image is made. Raises WebserviceException, with what stopped it, where it failed."""
        with Dots(shown=show_output, operation="Image creation operation", of=f"image {self.id}") as dots:
            self.update_creation_state()
            while self.creation_state == CreationState.RUNNING:
                dots.tick()
                time.sleep(_PAUSE_S)
                self.update_creation_state()
            if self.creation_state == CreationState.FAILED:
                raise self._failure()

    def _failure(self) -> WebserviceException:
        return WebserviceException(
            f"Image creation operation finished for image {self.id}, current state: {self.creation_state}\n"
            f"{self.error}",
            hint=f"The log of the creation: {self.image_build_log_uri}",
        )

    # --- using and changing -------------------------------------------------------------------------------------------

    def run(self, input_data: str | bytes) -> Any:
        """Serve the image on this machine for one request, and return the parsed JSON of the answer.

        Raises WebserviceException where the image was not created or the answer is not a success, DeploymentFailed (a
        WebserviceException) where the script does not come up.
        """
        from modelport.usecases.run_image import run_image  # noqa: PLC0415 - the HTTP client takes long to load

        return run_image(self.workspace.context, self._record, input_data)

    def update(self, tags: Mapping[str, str] | None = None) -> None:
        """Replace all tags."""
        self._take(change_image(self.workspace.context, self._record, tags=None if tags is None else labels(tags)))

    def add_tags(self, tags: Mapping[str, str]) -> None:
        """Add tags, or give them new values."""
        self._take(change_image(self.workspace.context, self._record, add_tags=labels(tags)))

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Remove the tags with these keys."""
        self._take(change_image(self.workspace.context, self._record, remove_tags=label_keys(tags)))

    def add_properties(self, properties: Mapping[str, str]) -> None:
        """Add properties. Raises WebserviceException for one that is there with another value."""
        self._take(
            change_image(self.workspace.context, self._record, add_properties=labels(properties, what="properties"))
        )

    def delete(self) -> None:
        """Delete this version. Raises ConflictException, naming the services, while one runs it."""
        delete_image(self.workspace.context, self._record)

    # --- writing down -------------------------------------------------------------------------------------------------

    def serialize(self) -> dict[str, Any]:
        """The image as a dictionary."""
        return {
            "name": self.name,
            "id": self.id,
            "version": self.version,
            "description": self.description,
            "tags": self.tags,
            "properties": self.properties,
            "createdTime": self.created_time.isoformat(),
            "createdBy": self.created_by,
            "creationState": self.creation_state,
            "error": self.error,
            "imageType": self.image_type,
            "imageFlavor": self.image_flavor,
            "imageLocation": self.image_location,
            "imageDigest": self.image_digest,
            "imageBuildLogUri": self.image_build_log_uri,
            "modelIds": [*self._record.content.model_ids],
            "modelDetails": [model.serialize() for model in self.models],
            "configuration": dict(self._record.content.asked),
        }

    @staticmethod
    def deserialize(workspace: Workspace, image_payload: Mapping[str, Any]) -> Image:
        """The image that the dictionary names, as it is now. Raises WebserviceException where it is not there."""
        return Image(workspace, id=image_payload["id"])

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(workspace={self.workspace!r}, name={self.name}, id={self.id}, "
            f"version={self.version}, creation_state={self.creation_state}, tags={self.tags}, "
            f"properties={self.properties})"
        )

    def deploy_service(self, name: str, config: Any, target: Any, *, overwrite: bool) -> Webservice:
        """What ``Webservice.deploy_from_image`` promises."""
        return deploy_image(self, name, config, target, overwrite=overwrite)


@dataclass(kw_only=True)
class ContainerImageConfig(ImageConfiguration):
    """What a ContainerImage is to be made of."""

    def create_image(self, workspace: Workspace, name: str, models: Sequence[Model | str]) -> Image:
        """The next version of the image of that name."""
        return Image.create(workspace, name, models, self)

    def deploy_locally(
        self, workspace: Workspace, name: str, models: Sequence[Model | str], local: LocalDeploymentConfiguration
    ) -> Webservice:
        """What ``Webservice.deploy_local_from_model`` promises."""
        return deploy_configuration(workspace, name, models, self, local)


class ContainerImage(Image):
    """An image of a script that answers requests."""

    image_flavor = "WebApiContainer"

    @staticmethod
    def image_configuration(  # type: ignore[override]
        execution_script: str,
        runtime: str,
        conda_file: str | None = None,
        docker_file: str | None = None,
        schema_file: str | None = None,
        dependencies: Sequence[str] | None = None,
        enable_gpu: bool | None = None,
        tags: Mapping[str, str] | None = None,
        properties: Mapping[str, str] | None = None,
        description: str | None = None,
        base_image: str | None = None,
        base_image_registry: object = None,
        cuda_version: str | None = None,
    ) -> ContainerImageConfig:
        """A configuration for an image (see ContainerImageConfig). ``docker_file``, ``enable_gpu``, ``base_image`` and
        ``cuda_version`` are recorded; the creation says that they are without effect on this machine.

        Raises WebserviceException and UserErrorException as ``validate_configuration`` does.
        """
        configuration = ContainerImageConfig(**locals())
        configuration.validate_configuration()
        return configuration


class UnknownImage(Image):
    """An image of a flavor that this Modelport does not know."""


def _split(image_id: str) -> tuple[str, int]:
    name, _, version = image_id.rpartition(":")
    if not name or not version.isdecimal():
        raise WebserviceException(f"Invalid image id {image_id!r}: it must be of the form name:version, as myimage:3.")
    return name, int(version)


def _find(
    workspace: Workspace,
    name: str | None,
    id: str | None,
    tags: Sequence[Condition] | None,
    properties: Sequence[Condition] | None,
    version: str | int | None,
) -> ImageRecord:
    if id is not None:
        name, version = _split(id) if ":" in id else (id, version)
    if not name:
        raise WebserviceException("Error, one of id or name must be provided.")
    wanted = ImageFilter(
        name=name, version=None if version is None else int(version), tags=tags or (), properties=properties or ()
    )
    return observe_image(workspace.context, find_image(workspace.context, wanted))
