"""Make a revision: resolve and build its environment, build its bundle."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from modelport.bundles import BundleEnvironment, BundleRequest, PlaceModelFile, build_bundle
from modelport.domain.environments import EnvironmentDefinition, EnvironmentVersion, Interpreter, Lock
from modelport.domain.errors import StoreException
from modelport.domain.failures import Phase, in_phase
from modelport.domain.images import Image
from modelport.domain.models import ModelVersion, ResourceConfiguration
from modelport.domain.services import Revision, ServiceFilter
from modelport.environments.definition_json import definition_to_json
from modelport.usecases.context import Context
from modelport.usecases.download_model import place_model_file
from modelport.usecases.find_images import bundles_of_images
from modelport.usecases.pickled_versions import installed_scikit_learn, written_by_others
from modelport.usecases.resolve_for_models import resolve_for_models
from modelport.usecases.validate_inference import CheckedInference

SYSTEM = "system"
"""Name of the environment of a deployment that was given none: the caller's own interpreter."""


@dataclass(frozen=True, kw_only=True)
class RevisionRequest:
    """What a revision is to be made of. ``environment`` None: the caller's own interpreter."""

    models: Sequence[ModelVersion]
    inference: CheckedInference
    environment: EnvironmentDefinition | None = None
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    resources: ResourceConfiguration | None = None
    """What the model asks for where a deployment says nothing."""


@dataclass(frozen=True, kw_only=True)
class ImageRevision:
    """A revision that is to run an image, as it was built."""

    image: Image
    models: Sequence[ModelVersion]
    """Those of the image."""


RevisionSource = RevisionRequest | ImageRevision


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A bundle, and the environment that it runs in."""

    bundle: Path
    interpreter: Interpreter
    registered: EnvironmentVersion | None

    @property
    def environment_name(self) -> str:
        return self.registered.definition.name if self.registered else SYSTEM

    @property
    def environment_version(self) -> str | None:
        return self.registered.version if self.registered else None


def prepare_revision(context: Context, request: RevisionSource, *, number: int) -> tuple[Revision, Path]:
    """Everything a target needs to start the revision: the record and the folder of the bundle.

    Call it inside ``bundles_held``, and leave that only when the service's row refers to the revision. Raises what
    ``prepare_bundle`` raises, and StoreException where the bundle of an image is not on this machine.
    """
    if isinstance(request, ImageRevision):
        return revision_of_image(context, request.image, number=number)
    prepared = prepare_bundle(context, request)
    return _revision(request, prepared, number), prepared.bundle


def prepare_bundle(context: Context, request: RevisionRequest) -> Prepared:
    """Resolve and build the environment, and build the bundle. Call it inside ``bundles_held``.

    Raises EnvironmentException and its children, UserErrorException for code that cannot be shipped, StoreException.
    """
    lock = resolved(context, request.environment, request.models)
    with in_phase(Phase.BUILD):
        interpreter = context.environments.materialise(lock, progress=context.progress)
    bundle, registered = bundle_of(context, request, lock)
    return Prepared(bundle=bundle, interpreter=interpreter, registered=registered)


def resolved(context: Context, definition: EnvironmentDefinition | None, models: Sequence[ModelVersion]) -> Lock:
    """The lock of an environment for these models, and what the user should know of it told.

    Raises EnvironmentException.
    """
    lock = resolve_for_models(context, definition, models)
    for note in lock.notes:
        context.progress.step(note)
    return lock


def bundle_of(context: Context, request: RevisionRequest, lock: Lock) -> tuple[Path, EnvironmentVersion | None]:
    """Register the environment and build the bundle. Call it inside ``bundles_held``.

    Raises UserErrorException for code that cannot be shipped, StoreException.
    """
    registered = None if request.environment is None else context.registry.register_environment(request.environment)
    context.progress.step("Building the bundle")
    with in_phase(Phase.BUILD):
        bundle = build_bundle(context.bundles, _bundle_request(request, lock), place=_linker(context))
    for warning in written_by_others(bundle, installed_scikit_learn(lock, is_own=lock.python == sys.executable)):
        context.progress.step(warning)
    return bundle, registered


def revision_of_image(context: Context, image: Image, *, number: int) -> tuple[Revision, Path]:
    """The revision that runs the image, whose environment is built again from its lock where it is gone."""
    built = image.content.built
    bundle = context.bundles / (built.bundle_digest if built else "")
    if built is None or not bundle.is_dir():
        raise StoreException(
            f"The image {image.id} is not on this machine: there is no bundle {bundle}.",
            hint="Deploy where it was created, or create it here again.",
        )
    lock = built.lock((bundle / "environment" / "lock.txt").read_text(encoding="utf-8"))
    with in_phase(Phase.BUILD):
        interpreter = context.environments.materialise(lock, progress=context.progress)
    revision = Revision(
        number=number,
        bundle_digest=built.bundle_digest,
        model_ids=image.content.model_ids,
        inference=image.content.inference,
        environment_name=built.environment_name,
        environment_version=built.environment_version,
        lock_digest=built.lock_digest,
        interpreter=interpreter.command,
        keeps_python_path=interpreter.keeps_python_path,
        environment_variables=built.environment_variables,
        created_time=dt.datetime.now(dt.UTC),
        image_id=image.id,
    )
    return revision, bundle


def _linker(context: Context) -> PlaceModelFile:
    def place(model: ModelVersion, path: str, target: Path) -> None:
        file = next(file for file in model.files if file.path == path)
        place_model_file(context, model, file, target, link=True)

    return place


def _bundle_request(request: RevisionRequest, lock: Lock) -> BundleRequest:
    definition = request.environment
    return BundleRequest(
        script=request.inference.script,
        source_directory=request.inference.source_directory,
        companions=request.inference.companions,
        models=tuple(request.models),
        environment=BundleEnvironment(
            definition.name if definition else SYSTEM, lock.kind, lock.digest, lock.python_version
        ),
        environment_variables=variables_of(request),
        environment_files={
            "environment.json": _definition_file(definition),
            "lock.txt": lock.text.encode(),
        },
    )


def _definition_file(definition: EnvironmentDefinition | None) -> bytes:
    """The definition as it is kept with the bundle: without the password of an image registry."""
    document = None if definition is None else definition_to_json(_without_password(definition))
    return json.dumps(document, indent=1, sort_keys=True).encode()


def _without_password(definition: EnvironmentDefinition) -> EnvironmentDefinition:
    registry = {key: value for key, value in definition.docker.base_image_registry.items() if key != "password"}
    return replace(definition, docker=replace(definition.docker, base_image_registry=registry))


def variables_of(request: RevisionRequest) -> dict[str, str]:
    """What is set for the worker, besides the variables of the contract."""
    own = request.environment.environment_variables if request.environment else {}
    return {**own, **request.environment_variables}


def _revision(request: RevisionRequest, prepared: Prepared, number: int) -> Revision:
    return Revision(
        number=number,
        bundle_digest=prepared.bundle.name,
        model_ids=tuple(model.id for model in request.models),
        inference=request.inference.configuration,
        environment_name=prepared.environment_name,
        environment_version=prepared.environment_version,
        lock_digest=prepared.interpreter.lock.digest,
        interpreter=prepared.interpreter.command,
        keeps_python_path=prepared.interpreter.keeps_python_path,
        environment_variables=variables_of(request),
        created_time=dt.datetime.now(dt.UTC),
    )


@contextlib.contextmanager
def bundles_held(context: Context) -> Iterator[None]:
    """While this is held no bundle is removed: one that was just built is not referred to yet."""
    with _bundles_lock(context, fcntl.LOCK_SH):
        yield


def remove_unused_bundles(context: Context) -> None:
    """Remove the bundles that no kept revision and no image has. Does nothing while somebody builds one; the next call
    will."""
    try:
        with _bundles_lock(context, fcntl.LOCK_EX | fcntl.LOCK_NB):
            used = {
                revision.bundle_digest
                for service in context.registry.services(ServiceFilter())
                for revision in service.revisions
            } | bundles_of_images(context)
            for folder in context.bundles.iterdir():
                if folder.is_dir() and not folder.name.startswith(".") and folder.name not in used:
                    shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        return


@contextlib.contextmanager
def _bundles_lock(context: Context, operation: int) -> Iterator[None]:
    context.bundles.mkdir(parents=True, exist_ok=True)
    with (context.bundles / ".lock").open("w") as file:
        fcntl.flock(file, operation)
        yield
