"""Packages: models, script and environment as an image, or as a folder that builds one (azureml-v1 reference, 2.14)."""

from __future__ import annotations

import builtins
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelport import images
from modelport.domain.errors import StoreException, WebserviceException
from modelport.domain.images import CreationState
from modelport.domain.packages import Package
from modelport.packages import copy_context, find_engine
from modelport.sdk.environment import Environment
from modelport.sdk.environment_sections import ContainerRegistry
from modelport.sdk.new_revision import packaged_revision
from modelport.usecases.find_packages import delete_package, find_packages, package_folder
from modelport.usecases.package_models import CONTEXT, IMAGE, LOG, ImageChoice, PackageRequest, package_models

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
        """The OCI layout of the image, or the build context, as the workspace keeps it; ``save`` copies it."""
        folder = package_folder(self.workspace.context, self._package)
        return folder / (IMAGE if self._package.content.image else CONTEXT)

    @property
    def location(self) -> str:
        """The name of the image, which an engine knows it by after ``pull``; else the folder that builds one."""
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
        """Copy the folder: ``docker build`` needs nothing else of a build context, and an OCI layout is the image.

        What another package left there is replaced. Raises UserErrorException where something of these names is there
        that is of no package, and it stays; StoreException where it cannot be written.
        """
        target = Path(output_directory)
        try:
            if self._package.content.image:
                images.copy_layout(self.folder, target)
            else:
                copy_context(self.folder, target)
        except OSError as error:
            raise _unwritable(target, error) from error

    def save_archive(self, file: str | Path, platform: str | None = None) -> None:
        """Write the image as ``docker save`` does: ``docker load`` and ``podman load`` take it.

        Without a platform it is the image for that of this machine. Raises UserErrorException where there is none for
        it, WebserviceException where the package is no image, StoreException where it cannot be written.
        """
        wanted = images.Platform.parse(platform) if platform else images.Platform.of_this_machine()
        try:
            Path(file).absolute().parent.mkdir(parents=True, exist_ok=True)
            images.write_layout_archive(self.folder, self._image(), Path(file), platform=wanted)
        except OSError as error:
            raise _unwritable(Path(file), error) from error

    def pull(self, platform: str | None = None) -> str:
        """Have the container engine of this machine know the image, by its ``location``, which is returned.

        Without a platform it is the image for that of this machine. Raises UserErrorException where there is none for
        it, WebserviceException where the package is no image, and where no engine answers.
        """
        image, engine = self._image(), find_engine()
        if engine is None:
            raise WebserviceException(
                "The image is here, and no container engine to give it to answers on this machine (docker, podman).",
                hint="Start one; or package.push('registry.example.com/name:tag'); or package.save_archive(file).",
            )
        with tempfile.TemporaryDirectory(prefix="modelport-image-") as name:
            self.save_archive(Path(name) / "image.tar", platform)
            engine.load(Path(name) / "image.tar")
        print(f"The image {image} is on this machine: {engine.command} has it.")  # noqa: T201 - as v1 did
        return image

    def push(self, reference: str, registry: ContainerRegistry | None = None) -> str:
        """Push the image, for each of its platforms, and its bills of materials to a registry, under the name.

        Returns the name with the digest. ``registry`` says who asks; without it, Docker's configuration file does.
        Raises WebserviceException where the package is no image, RegistryException for what the registry does.
        """
        self._image()
        credentials = None if registry is None else credentials_of(registry)
        sent = images.push_layout(self.folder, reference, credentials, progress=self.workspace.context.progress)
        return sent.reference

    def _image(self) -> str:
        image = self._package.content.image
        if image is None:
            raise WebserviceException(
                "The package is a folder that builds an image, and no image that could be pulled.",
                hint="Save it (package.save(folder)), and build it: docker build -t NAME folder.",
            )
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
            "bundleDigest": content.bundle_digest,
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

        With ``generate_dockerfile`` the result is a folder that builds an image anywhere; without, it is that image,
        which needs no container engine. A model of a known framework needs no inference configuration
        (docs/no-code.md). Raises WebserviceException for one without an environment; what ``Model.deploy`` raises
        before it starts anything; RegistryException where the base image is one of a registry that does not give it.
        """
        choice = None if generate_dockerfile else ImageChoice()
        return package_with(workspace, models, inference_config, choice, name=image_name, label=image_label)


def package_with(
    workspace: Workspace,
    models: Sequence[Model | str],
    inference_config: InferenceConfig | None,
    choice: ImageChoice | None,
    *,
    name: str | None = None,
    label: str | None = None,
) -> ModelPackage:
    """``Model.package``, with a choice of how the image is made; None: a folder that builds one."""
    context = workspace.context
    revision = packaged_revision(context, models, inference_config)
    request = PackageRequest(name=name or DEFAULT_NAME, label=label or "latest", revision=revision)
    return ModelPackage(workspace, package_models(context, request, image=choice))


def credentials_of(registry: ContainerRegistry) -> images.Credentials | None:
    """Who asks, as v1's object says it."""
    if not registry.username or not registry.password:
        return None
    return images.Credentials(registry.username, registry.password, registry=registry.address or None)


def _unwritable(target: Path, error: OSError) -> StoreException:
    return StoreException(
        f"The package cannot be written to {target}: {error}.", hint="Choose another folder, or free some space."
    )
