"""Packages: models, script and environment as a folder that builds an image anywhere (azureml-v1 reference, 2.14)."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport.domain.errors import StoreException, WebserviceException
from modelport.domain.images import CreationState
from modelport.domain.packages import Package
from modelport.packages import ContainerEngine, copy_context, find_engine
from modelport.sdk.environment import Environment
from modelport.sdk.environment_sections import ContainerRegistry
from modelport.usecases.find_models import find_model_by_id
from modelport.usecases.find_packages import delete_package, find_packages, package_folder
from modelport.usecases.package_models import CONTEXT, LOG, PackageRequest, package_models
from modelport.usecases.prepare_revision import RevisionRequest

if TYPE_CHECKING:
    from modelport.sdk.inference import InferenceConfig
    from modelport.sdk.model import Model
    from modelport.sdk.workspace import Workspace

DEFAULT_NAME = "package"


class ModelPackage:
    """A package. ``Model.package`` makes one; ``ModelPackage.list`` finds those of a workspace again."""

    def __init__(self, workspace: Workspace, package: Package) -> None:
        self.workspace = workspace
        self._package = package
        self.name = package.name
        self.id = package.id
        self.created_time = package.created_time
        self.state: str = CreationState.SUCCEEDED.value

    @property
    def folder(self) -> Path:
        """The build context as the workspace keeps it; ``save`` copies it."""
        return package_folder(self.workspace.context, self._package) / CONTEXT

    @property
    def location(self) -> str:
        """The image, where one was built; else the folder that builds one."""
        return self._package.content.image or str(self.folder)

    @property
    def environment(self) -> Environment:
        """The environment of the package, as it was registered."""
        content = self._package.content
        return Environment.get(self.workspace, content.environment_name, content.environment_version)

    @property
    def model_ids(self) -> builtins.list[str]:
        """Ids of the models in it."""
        return [*self._package.content.model_ids]

    @staticmethod
    def list(workspace: Workspace) -> builtins.list[ModelPackage]:
        """The packages of the workspace, by name, newest first within a name."""
        return [ModelPackage(workspace, package) for package in find_packages(workspace.context)]

    def update_creation_state(self) -> None:
        """Nothing changes: a package is there when ``Model.package`` returns, or that has raised."""

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Returns at once, for the same reason; its steps were shown while it was made."""
        if show_output:
            print("Package creation Succeeded")  # noqa: T201 - show_output asks for it

    def get_logs(self, decode: bool = True, offset: int = 0) -> str | bytes:
        """The log of the creation from a byte on, as text or as bytes."""
        content = (self.folder.parent / LOG).read_bytes()[offset:]
        return content.decode("utf-8", errors="replace") if decode else content

    def save(self, output_directory: str | Path) -> None:
        """Copy the folder that builds the image: ``docker build`` needs nothing else.

        What another package left there is replaced. Raises StoreException where it cannot be written.
        """
        try:
            copy_context(self.folder, Path(output_directory))
        except OSError as error:
            raise StoreException(
                f"The package cannot be written to {output_directory}: {error}.",
                hint="Choose another folder, or free some space.",
            ) from error

    def pull(self) -> str:
        """The name of the image, which the container engine of this machine has since it was built.

        Raises WebserviceException where no image was built, or the engine has it no more.
        """
        image = self._package.content.image
        if image is None:
            raise WebserviceException(
                "The package is a folder that builds an image, and no image that could be pulled.",
                hint="Save it (package.save(folder)), and build it: docker build -t NAME folder.",
            )
        engine = _engine()
        if not engine.has(image):
            raise WebserviceException(
                f"The image {image} is not there any more ({engine.command}).", hint="Package the models again."
            )
        print(f"The image {image} is on this machine: {engine.command} has it.")  # noqa: T201 - as v1 did
        return image

    def get_container_registry(self) -> ContainerRegistry:
        """The registry of the environment's base image; without an address, it is the container engine's own."""
        return self.environment.docker.base_image_registry

    def delete(self) -> None:
        """Remove it from the workspace; what was saved of it stays."""
        delete_package(self.workspace.context, self._package)

    def serialize(self) -> dict[str, Any]:
        """The package as a dictionary."""
        content = self._package.content
        return {
            "packageId": self.id,
            "name": self.name,
            "version": self._package.version,
            "state": self.state,
            "location": self.location,
            "environmentName": content.environment_name,
            "environmentVersion": content.environment_version,
            "modelIds": self.model_ids,
            "createdTime": self.created_time.isoformat(),
            "createdBy": {"userName": self._package.created_by},
        }

    def __repr__(self) -> str:
        return f"ModelPackage(workspace={self.workspace!r}, id={self.id}, state={self.state}, location={self.location})"


class ModelPackaging:
    """``Model.package``."""

    @staticmethod
    def package(
        workspace: Workspace,
        models: Sequence[Model | str],
        inference_config: InferenceConfig | None = None,
        generate_dockerfile: bool = False,
        image_name: str | None = None,
        image_label: str | None = None,
    ) -> ModelPackage:
        """Package models, script and locked environment (docs/packages.md).

        With ``generate_dockerfile`` the result is a folder that builds an image anywhere; without, that image is built
        by the container engine of this machine. Raises WebserviceException without an inference configuration that has
        an environment, and where no engine answers; and what ``Model.deploy`` raises before it starts anything.
        """
        if inference_config is None:
            raise WebserviceException(
                "A package needs an inference configuration.",
                hint="Give inference_config=InferenceConfig(entry_script='score.py', environment=environment).",
            )
        checked = inference_config.validate_configuration()
        context = workspace.context
        engine = None if generate_dockerfile else _engine()
        request = PackageRequest(
            name=image_name or DEFAULT_NAME,
            label=image_label or "latest",
            revision=RevisionRequest(
                models=[find_model_by_id(context, model if isinstance(model, str) else model.id) for model in models],
                inference=checked,
                environment=inference_config.environment_definition(),
            ),
        )
        return ModelPackage(workspace, package_models(context, request, engine=engine))


def _engine() -> ContainerEngine:
    engine = find_engine()
    if engine is None:
        raise WebserviceException(
            "An image is built by a container engine, and none answers on this machine (docker, podman).",
            hint="Start one; or use generate_dockerfile=True and package.save(folder), and build the folder elsewhere.",
        )
    return engine
