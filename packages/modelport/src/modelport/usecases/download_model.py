"""Copy a model out of the store, verified."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from modelport.domain.errors import StoreException, WebserviceException
from modelport.domain.models import ModelFile, ModelVersion
from modelport.usecases.context import Context


def download_model(context: Context, model: ModelVersion, *, target: Path, exist_ok: bool = False) -> Path:
    """Put the model's file or folder into the folder ``target`` and return its path there.

    Every byte is verified before the result appears under its name: a damaged store raises StoreException that names
    the file, and nothing is left. Raises WebserviceException where something is in the way and not ``exist_ok``.
    """
    final = target / model.entry
    if final.exists() and not exist_ok:
        raise WebserviceException(
            f"Cannot download {model.id}: {final} exists already.",
            hint="Give exist_ok=True (--overwrite) to replace it, or another target.",
        )
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".modelport-", dir=target) as beside:
            _place_all(context, model, Path(beside))
            _replace(Path(beside) / model.entry, final)
    except OSError as error:
        raise StoreException(
            f"Cannot write the model {model.id} to {target}: {error}.",
            hint="Choose another target, or free some space.",
        ) from error
    return final


def _place_all(context: Context, model: ModelVersion, folder: Path) -> None:
    done, total = 0, model.size
    for file in model.files:
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        place_model_file(context, model, file, path, link=False)
        done += file.size
        context.progress.amount(model.id, done, total)


def place_model_file(context: Context, model: ModelVersion, file: ModelFile, path: Path, *, link: bool) -> None:
    """Put one file of a model at ``path``. Raises StoreException that names the model's file and the store's."""
    try:
        context.objects.place(file.sha256, path, link=link, executable=file.executable)
    except StoreException as error:
        raise StoreException(
            f"The file {file.path!r} of the model {model.id} is damaged in the store: {error.message}",
            hint="Register the model again from its source; the other files and versions are not touched.",
        ) from error


def _replace(new: Path, final: Path) -> None:
    """Take the place of what is there."""
    if final.is_dir() and not final.is_symlink():
        shutil.rmtree(final)
    new.replace(final)
