"""Create an image: the next version of its name, with a bundle and a locked environment of its own."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from modelport.domain.errors import ModelportError, WebserviceException
from modelport.domain.images import BuiltImage, CreationState, Image, ImageContent
from modelport.domain.names import check_image_name
from modelport.usecases.context import Context
from modelport.usecases.creation_log import Logged, is_held
from modelport.usecases.deploy import check_models
from modelport.usecases.find_images import KIND, body_of, image_of, keep_image
from modelport.usecases.prepare_revision import Prepared, RevisionRequest, bundles_held, prepare_bundle, variables_of
from modelport.usecases.register_model import current_user

LOG = "build.log"


@dataclass(frozen=True, kw_only=True)
class ImageRequest:
    """An image to be. Of ``content``, what the creation finds out is filled in."""

    name: str
    revision: RevisionRequest
    content: ImageContent


def create_image(context: Context, request: ImageRequest) -> Image:
    """Resolve, build and lock it; returns when that is over, well or not: ``content.state`` tells.

    What stops it is kept as ``content.error``, and told in the log. Raises WebserviceException for a bad name, before
    the image has a version.
    """
    check_image_name(request.name)
    check_models(request.revision.models)
    _remove_leftovers(context)
    with _log_folder(context, request.name) as (folder, log):
        content = replace(
            request.content,
            folder=folder.name,
            model_ids=tuple(model.id for model in request.revision.models),
            inference=request.revision.inference.configuration,
        )
        asset = context.registry.add_asset(KIND, request.name, body_of(content), created_by=current_user())
        image = image_of(asset)
        logged = replace(context, progress=Logged(context.progress, log))
        logged.progress.step(f"Creating image {image.id}")
        return _built(logged, image, request.revision, log)


def _built(context: Context, image: Image, request: RevisionRequest, log: TextIO) -> Image:
    try:
        with bundles_held(context):
            prepared = prepare_bundle(context, request)
            log.write(f"Locked environment ({prepared.interpreter.lock.kind}):\n{prepared.interpreter.lock.text}\n")
            context.progress.step(f"Image {image.id} is the bundle {prepared.bundle}")
            return keep_image(context, image, _succeeded(image.content, request, prepared))
    except BaseException as error:
        text = str(error) if isinstance(error, ModelportError) else repr(error)
        log.write(f"{text}\n")
        failed = keep_image(context, image, replace(image.content, state=CreationState.FAILED, error=text))
        if isinstance(error, ModelportError):
            return failed
        raise


def _succeeded(content: ImageContent, request: RevisionRequest, prepared: Prepared) -> ImageContent:
    lock = prepared.interpreter.lock
    built = BuiltImage(
        bundle_digest=prepared.bundle.name,
        lock_kind=lock.kind,
        lock_digest=lock.digest,
        python=lock.python,
        python_version=lock.python_version,
        environment_name=prepared.environment_name,
        environment_version=prepared.environment_version,
        environment_variables=variables_of(request),
    )
    return replace(content, state=CreationState.SUCCEEDED, built=built)


def observe_image(context: Context, image: Image) -> Image:
    """The image as it is now. One that nobody creates any more, because the program was killed, has failed."""
    asset = context.registry.asset(KIND, image.name, image.version)
    if asset is None:
        raise WebserviceException(f"ImageNotFound: the image {image.id} is not in the workspace any more.")
    image = image_of(asset)
    made_here = log_of(context, image).exists()
    if image.content.state.is_final or not made_here or is_being_created(context, image):
        return image
    # It may have been finished between the two looks.
    asset = context.registry.asset(KIND, image.name, image.version)
    if asset is None or image_of(asset).content.state.is_final:
        return image if asset is None else image_of(asset)
    error = "The program that created the image ended before it was done."
    return keep_image(context, image, replace(image.content, state=CreationState.FAILED, error=error))


def is_being_created(context: Context, image: Image) -> bool:
    """Whether a program is at it: that one holds a lock on the log."""
    return is_held(log_of(context, image))


def log_of(context: Context, image: Image) -> Path:
    """The log of the creation."""
    return _folder(context) / image.content.folder / LOG


@contextlib.contextmanager
def _log_folder(context: Context, name: str) -> Iterator[tuple[Path, TextIO]]:
    """A new folder and its log, locked while the image is being created."""
    folder = _folder(context) / f"{name}-{uuid.uuid4().hex[:12]}"
    folder.mkdir(parents=True)
    with (folder / LOG).open("w", encoding="utf-8") as log:
        fcntl.flock(log, fcntl.LOCK_EX)
        yield folder, log


def _folder(context: Context) -> Path:
    return context.folder / "images"


def _remove_leftovers(context: Context) -> None:
    """Folders that no image has and nobody works in: somebody was killed between two steps."""
    if not _folder(context).is_dir():
        return
    folders = list(_folder(context).iterdir())
    known = {image_of(asset).content.folder for asset in context.registry.assets(KIND)}
    for folder in folders:
        if folder.name not in known and (folder / LOG).exists() and not is_held(folder / LOG):
            shutil.rmtree(folder, ignore_errors=True)
