"""Register files as the next version of a model."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from modelport.bundles import files_below
from modelport.domain.errors import ModelPathNotFoundException, UserErrorException
from modelport.domain.models import ModelDescription, ModelDraft, ModelFile, ModelVersion
from modelport.domain.names import check_model_name
from modelport.storage.interface import Staging
from modelport.usecases.context import Context
from modelport.usecases.what_is_there import what_is_there


@dataclass(frozen=True, kw_only=True)
class ModelRegistration(ModelDescription):
    """What is to be registered. ``path`` is a file or a folder; ``child_paths`` chooses files below a folder."""

    path: Path
    name: str
    child_paths: Sequence[str] | None = None


def register_model(context: Context, registration: ModelRegistration, *, version: int | None = None) -> ModelVersion:
    """Copy the files into the store, then make the version visible, in one transaction.

    It gets the next number, or ``version``. Raises ConflictException where that is not above every number so far,
    WebserviceException for a bad name, ModelPathNotFoundException where there is nothing at the path,
    UserErrorException for an empty folder or a child path that is not there, StoreException where it cannot be
    written.
    """
    sources = check_registration(registration)
    with context.objects.stage() as staging:
        files = tuple(_stage(context, staging, source, path) for source, path in sources)
        registered = context.registry.add_model(_draft(registration, files), version=version)
        staging.commit()
    return registered


def check_registration(registration: ModelRegistration) -> list[tuple[Path, str]]:
    """The files that are to be copied, with their paths in the version's folder. Raises as ``register_model`` does."""
    check_model_name(registration.name)
    return list(_sources(registration))


def _draft(registration: ModelRegistration, files: tuple[ModelFile, ...]) -> ModelDraft:
    said: dict[str, Any] = {part.name: getattr(registration, part.name) for part in fields(ModelDescription)}
    return ModelDraft(
        name=registration.name,
        files=tuple(sorted(files)),
        is_folder=registration.path.is_dir(),
        created_by=current_user(),
        **said,
    )


def current_user() -> str:
    """The name of the user, for ``created_by``; empty where the system has none for the user id."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _stage(context: Context, staging: Staging, source: Path, path: str) -> ModelFile:
    digest, size = staging.add_file(source, label=path, progress=context.progress)
    return ModelFile(path, size, digest, bool(source.stat().st_mode & 0o100))


def _sources(registration: ModelRegistration) -> Iterator[tuple[Path, str]]:
    """The files to take, with their paths in the version's folder: a folder keeps its own name there."""
    root = registration.path
    if root.is_file():
        if registration.child_paths:
            raise UserErrorException(f"child_paths chooses files below a folder, and {root} is a file.")
        yield root, root.name
        return
    if not root.is_dir():
        raise ModelPathNotFoundException(
            f"Error, unable to find the model path {str(root)!r} (looked for {root.absolute()}).",
            hint=what_is_there(root),
        )
    files = list(_below(root, registration.child_paths))
    if not files:
        raise UserErrorException(f"The model folder {root} holds no files.", hint="Save the model into it first.")
    name = root.resolve().name or "model"
    for file in files:
        yield file, f"{name}/{file.relative_to(root).as_posix()}"


def _below(root: Path, child_paths: Sequence[str] | None) -> Iterator[Path]:
    if child_paths is None:
        yield from (path for path, _ in files_below(root, left_out=frozenset()))
        return
    chosen = (file for child in child_paths for file in _chosen(root, child))
    yield from dict.fromkeys(chosen)  # child paths may overlap; a version has each file once


def _chosen(root: Path, child: str) -> Iterator[Path]:
    """The files of one child path, written below ``root`` without ``..``: that is how they are kept."""
    path = Path(os.path.normpath(root.absolute() / child))
    try:
        path = root / path.relative_to(os.path.normpath(root.absolute()))
    except ValueError:
        raise _not_below(root, child) from None
    if not path.resolve().is_relative_to(root.resolve()) or not path.exists():
        raise _not_below(root, child)
    yield from (_below(path, None) if path.is_dir() else [path])


def _not_below(root: Path, child: str) -> UserErrorException:
    return UserErrorException(
        f"The child path {child!r} is not below the model folder {root}.", hint=what_is_there(root / child)
    )
