"""Copying the user's code into a bundle: the whole source folder, or the one script."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from modelport.bundles.manifest import BundleFile
from modelport.domain.errors import UserErrorException

LEFT_OUT = frozenset({"__pycache__"})
"""Caches of the interpreter. Nothing else is left out: .gitignore is not looked at (azureml-v1 reference, 1.2)."""

_PIECE = 1024 * 1024


def ship_folder(source: Path, app: Path) -> list[BundleFile]:
    """Copy ``source`` to ``app/<its name>`` and return what was copied, with paths below the bundle's folder.

    Raises UserErrorException for what cannot be shipped: a broken link, a loop of links, a pipe or a device.
    """
    name = folder_name(source)
    return [_copy(path, app / name / relative, f"app/{name}/{relative.as_posix()}") for path, relative in _walk(source)]


def ship_script(script: Path, app: Path) -> list[BundleFile]:
    """Copy the one script to ``app/<its name>``."""
    return [_copy(script, app / script.name, f"app/{script.name}")]


def folder_name(source: Path) -> str:
    """The name that a source folder keeps below the app root."""
    return source.resolve().name or "source"


def _walk(source: Path) -> Iterator[tuple[Path, Path]]:
    """Files below ``source``, links followed, as (path, path relative to the source), in a fixed order."""

    def below(folder: Path, relative: Path, above: frozenset[tuple[int, int]]) -> Iterator[tuple[Path, Path]]:
        about = folder.stat()
        identity = (about.st_dev, about.st_ino)
        if identity in above:
            raise UserErrorException(
                f"The source folder has a loop of links: {folder} leads back to a folder above it.",
                hint="Remove the link, or name a source_directory that does not hold it.",
            )
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            if entry.name in LEFT_OUT:
                continue
            path = folder / entry.name
            if entry.is_dir():
                yield from below(path, relative / entry.name, above | {identity})
            else:
                _refuse_what_is_no_file(path)
                yield path, relative / entry.name

    yield from below(source, Path(), frozenset())


def _refuse_what_is_no_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserErrorException(
            f"Cannot ship {path}: {'the link leads nowhere' if path.is_symlink() else error}.",
            hint="Remove it from the source folder, or mend it.",
        ) from error
    if not stat.S_ISREG(mode):
        raise UserErrorException(
            f"Cannot ship {path}: it is neither a file nor a folder.",
            hint="Remove it, or name a source_directory that does not hold it.",
        )


def _copy(source: Path, target: Path, name: str) -> BundleFile:
    """Copy and hash in one pass: what was hashed is what was copied, also while somebody edits the file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    try:
        with source.open("rb") as reader, target.open("wb") as writer:
            while piece := reader.read(_PIECE):
                digest.update(piece)
                writer.write(piece)
                size += len(piece)
    except PermissionError as error:
        raise UserErrorException(f"Cannot ship {source}: {error}.", hint="Make the file readable.") from error
    executable = bool(source.stat().st_mode & stat.S_IXUSR)
    if executable:
        shutil.copymode(source, target)
    return BundleFile(name, size, digest.hexdigest(), executable)
