"""What the data plane needs to know of a bundle (docs/architecture/02-bundle.md), and its private copy of the code."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

MANIFEST = "bundle.json"
FORMAT = 1


class BundledModel(msgspec.Struct, frozen=True):
    """One model of the manifest. What else the manifest says of it does not matter here."""

    name: str
    version: int | str


class Manifest(msgspec.Struct, frozen=True):
    """The part of ``bundle.json`` that serving needs."""

    format: int
    entry_script: str
    source_directory: str | None = None
    models: list[BundledModel] = []
    environment_variables: dict[str, str] = {}
    model_directory: str | None = None
    """The path that ``AZUREML_MODEL_DIR`` names, where the models do not lie in the bundle."""


class BundleInvalid(Exception):
    """The bundle cannot be served; the message names the file."""


def read_manifest(bundle: Path) -> Manifest:
    """The manifest of the bundle. Raises BundleInvalid."""
    path = bundle / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise BundleInvalid(f"{path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BundleInvalid(f"{path}: {error}") from error
    if manifest.format != FORMAT:
        raise BundleInvalid(f"{path}: format {manifest.format} is not known here, only {FORMAT}")
    return manifest


class WorkingFolder:
    """Where the workers of a revision run: a copy of the bundle's ``app/`` (docs/adr/0001-working-folder.md).

    A revision whose workers are replaced by others of the same revision is there twice for a while: the folder stays
    until the last one has left.
    """

    def __init__(self, path: Path) -> None:
        self.app = path / "app"
        """The app root."""
        self._path = path
        self._present = 0

    def fill(self, bundle: Path) -> None:
        """Copy the bundle's ``app/`` there and link the models. Whatever an earlier start left is removed first.

        Raises OSError, also where a file could not be copied.
        """
        self.remove()
        try:
            shutil.copytree(bundle / "app", self.app)
        except shutil.Error as error:
            source, _, reason = error.args[0][0]
            raise OSError(f"{source}: {reason}") from error
        models = bundle / "azureml-models"
        if models.is_dir():
            (self.app / "azureml-models").symlink_to(models.resolve(), target_is_directory=True)

    def enter(self) -> None:
        """Somebody works there."""
        self._present += 1

    def leave(self) -> bool:
        """Somebody does no more; returns whether that was the last one, so that it can be removed."""
        self._present -= 1
        return self._present <= 0

    def remove(self) -> bool:
        """Remove it, as far as it can be removed; a link in it is removed, never what it leads to. Whether nothing is
        left."""
        return remove_tree(self._path)


class FolderInPlace(WorkingFolder):
    """An app root that lies ready, as in an image: it is used as it is, and stays."""

    def __init__(self, app: Path) -> None:
        super().__init__(app)
        self.app = app

    def fill(self, bundle: Path) -> None:
        """Everything is there."""

    def remove(self) -> bool:
        """It is not ours."""
        return True


def remove_tree(path: Path) -> bool:
    """Remove the folder as far as it can be removed, also where a script has made folders in it that nobody may write
    to, as some caches are. Whether nothing is left."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for folder in folders_of(path):
            with contextlib.suppress(OSError):
                folder.chmod(0o700)
        shutil.rmtree(path, ignore_errors=True)
    return not path.exists()


def folders_of(path: Path) -> Iterator[Path]:
    """The folder and those in it, each before it is looked into; no links."""
    yield path
    for parent, names, _ in os.walk(path):
        yield from (folder for folder in (Path(parent, name) for name in names) if not folder.is_symlink())


def model_directory(manifest: Manifest, *, app: Path) -> str | None:
    """The value of ``AZUREML_MODEL_DIR`` (reference, 5.3), None where there is no model."""
    if manifest.model_directory is not None or not manifest.models:
        return manifest.model_directory
    if len(manifest.models) > 1:
        return str(app / "azureml-models")
    model = manifest.models[0]
    return str(app / "azureml-models" / model.name / str(model.version))
