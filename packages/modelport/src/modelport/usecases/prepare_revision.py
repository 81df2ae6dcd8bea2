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
from modelport.domain.environments import EnvironmentDefinition, EnvironmentVersion, Interpreter
from modelport.domain.failures import Phase, in_phase
from modelport.domain.models import ModelVersion
from modelport.domain.services import Revision, ServiceFilter
from modelport.environments.definition_json import definition_to_json
from modelport.usecases.context import Context
from modelport.usecases.download_model import place_model_file
from modelport.usecases.pickled_versions import installed_scikit_learn, written_by_others
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


def prepare_revision(context: Context, request: RevisionRequest, *, number: int) -> tuple[Revision, Path]:
    """Everything a target needs to start the revision: the record and the folder of the bundle.

    Call it inside ``bundles_held``, and leave that only when the service's row refers to the revision. Raises
    EnvironmentException and its children, UserErrorException for code that cannot be shipped, StoreException.
    """
    interpreter = _interpreter(context, request.environment)
    registered = None if request.environment is None else context.registry.register_environment(request.environment)
    context.progress.step("Building the bundle")
    with in_phase(Phase.BUILD):
        bundle = build_bundle(context.bundles, _bundle_request(request, interpreter), place=_linker(context))
    installed = installed_scikit_learn(interpreter.lock, is_own=interpreter.command == (sys.executable,))
    for warning in written_by_others(bundle, installed):
        context.progress.step(warning)
    return _revision(request, interpreter, registered, bundle, number), bundle


def _interpreter(context: Context, definition: EnvironmentDefinition | None) -> Interpreter:
    with in_phase(Phase.RESOLVE):
        lock = context.environments.resolve(definition, progress=context.progress)
    for note in lock.notes:
        context.progress.step(note)
    with in_phase(Phase.BUILD):
        return context.environments.materialise(lock, progress=context.progress)


def _linker(context: Context) -> PlaceModelFile:
    def place(model: ModelVersion, path: str, target: Path) -> None:
        file = next(file for file in model.files if file.path == path)
        place_model_file(context, model, file, target, link=True)

    return place


def _bundle_request(request: RevisionRequest, interpreter: Interpreter) -> BundleRequest:
    definition, lock = request.environment, interpreter.lock
    return BundleRequest(
        script=request.inference.script,
        source_directory=request.inference.source_directory,
        models=tuple(request.models),
        environment=BundleEnvironment(
            definition.name if definition else SYSTEM, lock.kind, lock.digest, lock.python_version
        ),
        environment_variables=_variables(request),
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


def _variables(request: RevisionRequest) -> dict[str, str]:
    own = request.environment.environment_variables if request.environment else {}
    return {**own, **request.environment_variables}


def _revision(
    request: RevisionRequest,
    interpreter: Interpreter,
    registered: EnvironmentVersion | None,
    bundle: Path,
    number: int,
) -> Revision:
    return Revision(
        number=number,
        bundle_digest=bundle.name,
        model_ids=tuple(model.id for model in request.models),
        inference=request.inference.configuration,
        environment_name=registered.definition.name if registered else SYSTEM,
        environment_version=registered.version if registered else None,
        lock_digest=interpreter.lock.digest,
        interpreter=interpreter.command,
        keeps_python_path=interpreter.keeps_python_path,
        environment_variables=_variables(request),
        created_time=dt.datetime.now(dt.UTC),
    )


@contextlib.contextmanager
def bundles_held(context: Context) -> Iterator[None]:
    """While this is held no bundle is removed: one that was just built is not referred to yet."""
    with _bundles_lock(context, fcntl.LOCK_SH):
        yield


def remove_unused_bundles(context: Context) -> None:
    """Remove the bundles that no kept revision has. Does nothing while somebody builds one; the next call will."""
    try:
        with _bundles_lock(context, fcntl.LOCK_EX | fcntl.LOCK_NB):
            used = {
                revision.bundle_digest
                for service in context.registry.services(ServiceFilter())
                for revision in service.revisions
            }
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
