"""Takes models and environments of a v1 workspace over, from the folders that they were downloaded into."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelport.bundles import files_below
from modelport.domain.errors import ModelportError, UserErrorException
from modelport.domain.models import ModelFilter, ModelVersion
from modelport.environments.definition_json import DEFINITION_FILE, load_definition
from modelport.usecases.context import Context
from modelport.usecases.register_model import ModelRegistration, register_model

MODELS_FOLDER = "azureml-models"
_HIDDEN = (".DS_Store", "Thumbs.db", ".amlignore")


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One version of a model or an environment. ``id`` is empty, and ``problem`` says why, where it was not taken."""

    kind: str
    """``model`` or ``environment``."""
    source: str
    id: str = ""
    note: str = ""
    problem: str = ""


def take_over(context: Context, folder: Path) -> list[Taken]:
    """Register the models in ``azureml-models/<name>/<version>/…`` below the folder, or ``<name>/<version>/…`` in it.

    And the environment of every folder with an ``azureml_environment.json``.

    Versions are registered in the order of their numbers and keep them where no number as high was given out in the
    workspace. What is registered already, with the same files, is not registered again. What cannot be taken does not
    stop the rest. Raises UserErrorException where there is neither.
    """
    if not folder.is_dir():
        raise UserErrorException(f"There is no folder {folder}.", hint="Name the folder that has azureml-models in it.")
    taken = [_model(context, version, folder) for version in _versions(_models_root(folder))]
    taken += [_environment(context, found, folder) for found in sorted(_environment_folders(folder))]
    if not taken:
        raise UserErrorException(
            f"{folder} holds no models and no environments.",
            hint=f"It should hold {MODELS_FOLDER}/<name>/<version>/…, each with the file or folder that Model.download "
            f"made, or folders with an {DEFINITION_FILE}.",
        )
    return taken


@dataclass(frozen=True)
class _Downloaded:
    name: str
    version: int
    folder: Path


def _models_root(folder: Path) -> Path:
    below = folder / MODELS_FOLDER
    return below if below.is_dir() else folder


def _versions(root: Path) -> Iterator[_Downloaded]:
    """The versions, by name, oldest first: numbers only grow."""
    for model in sorted(entry for entry in root.iterdir() if entry.is_dir()):
        numbered = [entry for entry in model.iterdir() if entry.is_dir() and entry.name.isdigit()]
        for entry in sorted(numbered, key=lambda found: int(found.name)):
            yield _Downloaded(model.name, int(entry.name), entry)


def _model(context: Context, found: _Downloaded, folder: Path) -> Taken:
    source = _relative(found.folder, folder)
    entries = [entry for entry in sorted(found.folder.iterdir()) if entry.name not in _HIDDEN]
    if len(entries) != 1:
        there = "nothing" if not entries else "several files or folders"
        problem = f"{source} holds {there}; the folder of a version holds one file or one folder, as v1 made it"
        return Taken(kind="model", source=source, problem=problem)
    same = _registered_already(context, found, entries[0])
    if same is not None:
        return Taken(kind="model", source=source, id=same.id, note="is registered already")
    last = max((model.version for model in context.registry.models(ModelFilter(name=found.name))), default=0)
    keeps = found.version > last
    registration = ModelRegistration(
        path=entries[0], name=found.name, properties={"importedFrom": f"{found.name}:{found.version}"}
    )
    try:
        model = register_model(context, registration, version=found.version if keeps else None)
    except (ModelportError, OSError) as error:
        return Taken(kind="model", source=source, problem=str(error))
    note = "" if keeps else f"was {found.name}:{found.version}: numbers up to {last} were given out already"
    return Taken(kind="model", source=source, id=model.id, note=note)


def _registered_already(context: Context, found: _Downloaded, entry: Path) -> ModelVersion | None:
    """The version that came of an earlier call, or that has this number and these files."""
    origin = f"{found.name}:{found.version}"
    for model in context.registry.models(ModelFilter(name=found.name)):
        came_from_it = model.properties.get("importedFrom") == origin
        if (came_from_it or model.version == found.version) and _has_the_files(model, entry):
            return model
    return None


def _has_the_files(model: ModelVersion, entry: Path) -> bool:
    kept = {file.path: (file.size, file.sha256) for file in model.files}
    given = dict(_files(entry))
    if kept.keys() != given.keys() or any(kept[path][0] != file.stat().st_size for path, file in given.items()):
        return False
    return all(kept[path][1] == _sha256(file) for path, file in given.items())


def _files(entry: Path) -> Iterator[tuple[str, Path]]:
    if entry.is_file():
        yield entry.name, entry
        return
    for path, _ in files_below(entry, left_out=frozenset()):
        yield f"{entry.name}/{path.relative_to(entry).as_posix()}", path


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _environment_folders(folder: Path) -> Iterator[Path]:
    for current, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name != MODELS_FOLDER]
        if DEFINITION_FILE in files:
            yield Path(current)


def _environment(context: Context, found: Path, folder: Path) -> Taken:
    source = _relative(found, folder)
    try:
        definition, version = load_definition(found)
        registered = context.registry.register_environment(definition)
    except (ModelportError, OSError) as error:
        return Taken(kind="environment", source=source, problem=str(error))
    moved = version is not None and version != registered.version
    note = f"was version {version}: environments are numbered anew" if moved else ""
    return Taken(kind="environment", source=source, id=f"{definition.name}:{registered.version}", note=note)


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() or "."
