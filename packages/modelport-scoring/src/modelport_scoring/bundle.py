"""What the data plane needs to know of a bundle (docs/architecture/02-bundle.md), and its private copy of the code."""

from __future__ import annotations

import shutil
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


class BundleInvalid(Exception):
    """The bundle cannot be served; the message names the file."""


def read_manifest(bundle: Path) -> Manifest:
    """The manifest of the bundle. Raises BundleInvalid."""
    path = bundle / MANIFEST
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise BundleInvalid(f"{path}: {error.strerror}") from error
    except msgspec.MsgspecError as error:
        raise BundleInvalid(f"{path}: {error}") from error
    if manifest.format != FORMAT:
        raise BundleInvalid(f"{path}: format {manifest.format} is not known here, only {FORMAT}")
    return manifest


def make_working_folder(bundle: Path, *, work: Path) -> Path:
    """Copy the bundle's ``app/`` into the working folder, link the models there, and return the app root.

    Whatever an earlier start left there is removed first. Raises OSError, also where a file could not be copied.
    """
    remove_working_folder(work)
    app = work / "app"
    try:
        shutil.copytree(bundle / "app", app)
    except shutil.Error as error:
        source, _, reason = error.args[0][0]
        raise OSError(f"{source}: {reason}") from error
    models = bundle / "azureml-models"
    if models.is_dir():
        (app / "azureml-models").symlink_to(models.resolve(), target_is_directory=True)
    return app


def remove_working_folder(work: Path) -> None:
    """Remove it, as far as it can be removed; a link in it is removed, never what it leads to."""
    shutil.rmtree(work, ignore_errors=True)


def model_directory(manifest: Manifest, *, app: Path) -> str | None:
    """The value of ``AZUREML_MODEL_DIR`` (reference, 5.3), None where there is no model."""
    if not manifest.models:
        return None
    if len(manifest.models) > 1:
        return str(app / "azureml-models")
    model = manifest.models[0]
    return str(app / "azureml-models" / model.name / str(model.version))
