"""Package models with their script and locked environment, as an image or for one to be built of them."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from modelport import images
from modelport.bundles import building_folder, read_manifest, remove_if_dead
from modelport.domain.environments import EnvironmentDefinition, EnvironmentKind, Lock
from modelport.domain.errors import StoreException, WebserviceException
from modelport.domain.failures import Phase, in_phase
from modelport.domain.models import ModelVersion
from modelport.domain.names import check_image_name
from modelport.domain.packages import Package, PackageContent
from modelport.images import Credentials, ImageSettings, Platform
from modelport.packages import PackagePlan, plan_package, write_context
from modelport.usecases.context import Context
from modelport.usecases.creation_log import Logged
from modelport.usecases.deploy import check_models
from modelport.usecases.find_packages import KIND, find_packages, folder_of_packages, package_of
from modelport.usecases.prepare_revision import (
    RevisionRequest,
    bundle_of,
    bundles_held,
    remove_unused_bundles,
    resolved,
)
from modelport.usecases.register_model import current_user

LOG = "build.log"
CONTEXT = "context"
IMAGE = "image"


@dataclass(frozen=True, kw_only=True)
class ImageChoice:
    """How the image of a package is made; ``base`` and ``pythons`` as of ImageSettings."""

    base: str | None = None
    pythons: str | None = None
    platforms: tuple[Platform, ...] = field(default_factory=lambda: (Platform.of_this_machine(),))
    credentials: Credentials | None = None
    """For the registry of the base; None: those of the environment, else those of Docker's configuration file."""


@dataclass(frozen=True, kw_only=True)
class PackageRequest:
    """A package to be. ``name`` is that of the image which is built of it."""

    name: str
    revision: RevisionRequest
    label: str = "latest"

    @property
    def image(self) -> str:
        """Name and label, as engines have them."""
        return f"{self.name}:{self.label}"


def package_models(context: Context, request: PackageRequest, *, image: ImageChoice | None = None) -> Package:
    """Lock the environment and write the folder that an image is built from; or, where one is chosen, the image.

    Raises WebserviceException without an environment; what ``bundle_of`` and ``build_image`` raise.
    """
    check_image_name(request.name)
    check_models(request.revision.models)
    definition = request.revision.environment
    if definition is None:
        raise WebserviceException(
            "A package needs an environment: an image has none of the packages of the Python that makes it.",
            hint="Give the InferenceConfig an environment=, or a conda_file=.",
        )
    _remove_leftovers(context)
    with _package_folder(context, request.name) as (folder, final):
        content = _write(context, request, definition, folder, image)
        # Its lock goes with it, so that nobody takes it for a leftover before there is a row.
        folder.rename(final)
        body = msgspec.to_builtins(replace(content, folder=final.name))
        asset = context.registry.add_asset(KIND, request.name, body, created_by=current_user())
    remove_unused_bundles(context)
    return package_of(asset)


def _write(
    context: Context,
    request: PackageRequest,
    definition: EnvironmentDefinition,
    folder: Path,
    image: ImageChoice | None,
) -> PackageContent:
    with (folder / LOG).open("w", encoding="utf-8") as log:
        logged = replace(context, progress=Logged(context.progress, log))
        with bundles_held(logged):
            lock = _lock(logged, definition, request.revision.models)
            bundle, registered = bundle_of(logged, request.revision, lock)
            with in_phase(Phase.BUILD):
                if image is None:
                    _write_files(folder / CONTEXT, bundle, request, definition, lock, logged)
                else:
                    _write_image(folder / IMAGE, bundle, request, definition, image, logged)
    assert registered is not None  # there is an environment
    return PackageContent(
        folder="",
        model_ids=tuple(model.id for model in request.revision.models),
        environment_name=registered.definition.name,
        environment_version=registered.version,
        bundle_digest=bundle.name,
        image=None if image is None else request.image,
    )


def _write_image(
    folder: Path,
    bundle: Path,
    request: PackageRequest,
    definition: EnvironmentDefinition,
    choice: ImageChoice,
    context: Context,
) -> None:
    settings = ImageSettings(
        name=request.name,
        workspace=context.record.name,
        base=choice.base,
        pythons=choice.pythons,
        credentials=choice.credentials or images.base_credentials(definition.docker),
    )
    try:
        made = [
            images.build_image(
                bundle, settings=replace(settings, platform=each), cache=context.images, progress=context.progress
            )
            for each in choice.platforms
        ]
        images.copy_images(made, folder, reference=request.label)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _write_files(
    folder: Path,
    bundle: Path,
    request: PackageRequest,
    definition: EnvironmentDefinition,
    lock: Lock,
    context: Context,
) -> None:
    plan = plan_package(read_manifest(bundle), definition, lock, name=request.name, workspace=context.record.name)
    for note in plan.notes:
        context.progress.step(note)
    context.progress.step("Writing the package")
    _write_context(folder, bundle, plan=plan, context=context)


def _write_context(folder: Path, bundle: Path, *, plan: PackagePlan, context: Context) -> None:
    try:
        write_context(folder, plan, bundle=bundle, progress=context.progress)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> StoreException:
    return StoreException(
        f"The package cannot be written to {folder}: {error}.",
        hint="Free some disk space, or set MODELPORT_HOME to a folder that can be written.",
    )


def _lock(context: Context, definition: EnvironmentDefinition, models: Sequence[ModelVersion]) -> Lock:
    """Resolved here; but an interpreter that the environment names is one of its image, not of this machine."""
    python = definition.python
    if not python.user_managed_dependencies:
        return resolved(context, definition, models)
    named = python.interpreter_path
    return Lock(
        kind=EnvironmentKind.SYSTEM,
        digest=hashlib.sha256(f"image\n{named}".encode()).hexdigest(),
        text="",
        python=named,
        python_version="",
    )


@contextmanager
def _package_folder(context: Context, name: str) -> Iterator[tuple[Path, Path]]:
    """A folder to write in, and the place where it is to be moved when it is whole."""
    root = folder_of_packages(context)
    root.mkdir(parents=True, exist_ok=True)
    with building_folder(root) as folder:
        yield folder, root / f"{name}-{uuid.uuid4().hex[:12]}"


def _remove_leftovers(context: Context) -> None:
    """Folders that no package has and nobody holds: somebody was killed before there was a row."""
    root = folder_of_packages(context)
    folders = [folder for folder in root.iterdir() if not folder.name.startswith(".")] if root.is_dir() else []
    known = {package.content.folder for package in find_packages(context)}
    for folder in folders:
        if folder.name not in known:
            remove_if_dead(folder)
