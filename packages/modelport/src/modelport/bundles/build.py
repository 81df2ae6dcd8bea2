"""Building a bundle: whole under its final name, or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport.bundles.manifest import FILE_NAME, BundleEnvironment, BundleFile, BundleModel, Manifest
from modelport.bundles.shipping import folder_name, ship_companions, ship_folder, ship_script
from modelport.domain.errors import StoreException
from modelport.domain.models import ModelVersion

_BUILDING = ".building-"
_MODELS = "azureml-models"

PlaceModelFile = Callable[[ModelVersion, str, Path], None]
"""Puts the model's file of that path at a target, verified."""


@dataclass(frozen=True, kw_only=True)
class BundleRequest:
    """What goes into a bundle. Paths are absolute and checked."""

    script: Path
    source_directory: Path | None
    companions: Mapping[str, Path] = field(default_factory=dict)
    """Files and folders to ship beside the script, by their names in the app root."""
    models: tuple[ModelVersion, ...]
    environment: BundleEnvironment
    environment_variables: Mapping[str, str]
    environment_files: Mapping[str, bytes]
    """Content of the files below ``environment/``."""


def build_bundle(root: Path, request: BundleRequest, *, place: PlaceModelFile) -> Path:
    """Build the bundle in ``root`` and return its folder. Where the same bundle is there already, it is used as it is.

    Raises UserErrorException for code that cannot be shipped, StoreException where the folder cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        with building_folder(root) as folder:
            manifest = _fill_code(folder, request)
            final = root / manifest.digest
            if not _is_whole(final, manifest):
                _fill_models(folder, request, place)
                (folder / FILE_NAME).write_bytes(manifest.to_bytes())
                _settle(folder, final, manifest)
            return final
    except OSError as error:
        raise StoreException(
            f"The bundle cannot be written below {root}: {error}.",
            hint="Free some disk space, or set MODELPORT_HOME to a folder that can be written.",
        ) from error


@contextlib.contextmanager
def building_folder(root: Path) -> Iterator[Path]:
    """A folder to build in, locked while its builder lives; what dead builders left is removed first.

    Its name begins with a dot. What is not moved away is removed in the end.
    """
    for left in root.glob(f"{_BUILDING}*"):
        remove_if_dead(left)
    folder, descriptor = _locked_folder(root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(root: Path) -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock. Until it is locked another builder may take it for dead."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=root))
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)


def remove_if_dead(folder: Path) -> None:
    """Remove the folder of a builder that does not live any more."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass  # its builder lives
    finally:
        os.close(descriptor)


def _fill_code(folder: Path, request: BundleRequest) -> Manifest:
    app = folder / "app"
    app.mkdir()
    if request.source_directory is None:
        source_name, files = None, ship_script(request.script, app)
        entry = request.script.name
    else:
        source_name, files = folder_name(request.source_directory), ship_folder(request.source_directory, app)
        entry = f"{source_name}/{request.script.relative_to(request.source_directory).as_posix()}"
    files += ship_companions(request.companions, app)
    files += _fill_environment(folder / "environment", request.environment_files)
    files += [
        BundleFile(_model_path(model, file.path), file.size, file.sha256, file.executable)
        for model in request.models
        for file in model.files
    ]
    return Manifest(
        entry_script=entry,
        source_directory=source_name,
        models=tuple(
            BundleModel(model.name, model.version, model.framework, model.framework_version) for model in request.models
        ),
        environment=request.environment,
        environment_variables=dict(request.environment_variables),
        files=tuple(sorted(files)),
    )


def _fill_environment(folder: Path, contents: Mapping[str, bytes]) -> list[BundleFile]:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [
        BundleFile(f"environment/{name}", len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    ]


def _model_path(model: ModelVersion, path: str) -> str:
    return f"{_MODELS}/{model.name}/{model.version}/{path}"


def _fill_models(folder: Path, request: BundleRequest, place: PlaceModelFile) -> None:
    for model in request.models:
        for file in model.files:
            target = folder / _model_path(model, file.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            place(model, file.path, target)


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    """The bundle is there, every file in its size, and the small ones, which are no links into the store, unchanged.

    (Models are hashed before a service starts; here that would have each deployment read them twice.)
    """
    try:
        if (folder / FILE_NAME).read_bytes() != manifest.to_bytes():
            return False
        return all(_is_right(folder / file.path, file) for file in manifest.files)
    except OSError:
        return False


def _is_right(path: Path, file: BundleFile) -> bool:
    if path.stat().st_size != file.size:
        return False
    if file.path.startswith(f"{_MODELS}/"):
        return True
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == file.sha256


def _settle(folder: Path, final: Path, manifest: Manifest) -> None:
    """Give the bundle its name. Another builder of the same bundle may have been faster: its bundle is as good.

    One that is damaged gives way.
    """
    folder.chmod(0o755)
    if final.exists() and not _is_whole(final, manifest):
        final.rename(folder.parent / f"{_BUILDING}{uuid.uuid4().hex}")  # the next builder removes it
    try:
        folder.rename(final)
    except OSError:
        if not final.exists():
            raise
