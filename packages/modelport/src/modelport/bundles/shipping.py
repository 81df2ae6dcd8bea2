"""Copying the user's code into a bundle: the whole source folder, or the one script."""

from __future__ import annotations

import hashlib
import shutil
import stat
from collections.abc import Iterator, Mapping
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
    return [
        _copy(path, app / name / relative, f"app/{name}/{relative.as_posix()}")
        for path, relative in files_below(source, left_out=LEFT_OUT)
    ]


def ship_script(script: Path, app: Path) -> list[BundleFile]:
    """Copy the one script to ``app/<its name>``."""
    return [_copy(script, app / script.name, f"app/{script.name}")]


def ship_companions(companions: Mapping[str, Path], app: Path) -> list[BundleFile]:
    """Copy each file or folder to ``app/<its name there>``. Raises UserErrorException as ``ship_folder`` does."""
    shipped = []
    for name, source in companions.items():
        files = files_below(source, left_out=LEFT_OUT) if source.is_dir() else [(source, Path())]
        for path, relative in files:
            below = Path(name) / relative
            shipped.append(_copy(path, app / below, f"app/{below.as_posix()}"))
    return shipped


def folder_name(source: Path) -> str:
    """The name that a source folder keeps below the app root."""
    return source.resolve().name or "source"


def files_below(root: Path, *, left_out: frozenset[str]) -> Iterator[tuple[Path, Path]]:
    """Files below a folder, links followed, as (path, path relative to the folder), in a fixed order.

    Entries with a name in ``left_out`` are passed over. Raises UserErrorException for a link that leads nowhere or back
    to a folder above it, for a pipe and for a device.
    """
    yield from _below(root, Path(), above=frozenset(), left_out=left_out)


def _below(
    folder: Path, relative: Path, *, above: frozenset[tuple[int, int]], left_out: frozenset[str]
) -> Iterator[tuple[Path, Path]]:
    about = folder.stat()
    identity = (about.st_dev, about.st_ino)
    if identity in above:
        raise UserErrorException(
            f"There is a loop of links: {folder} leads back to a folder above it.",
            hint="Remove the link, or name a folder that does not hold it.",
        )
    for path in _entries(folder):
        if path.name in left_out:
            continue
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            yield from _below(path, relative / path.name, above=above | {identity}, left_out=left_out)
        elif stat.S_ISREG(mode):
            yield path, relative / path.name
        else:
            raise UserErrorException(
                f"Cannot take {path}: it is neither a file nor a folder.",
                hint="Remove it, or name a folder that does not hold it.",
            )


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise UserErrorException(
            f"Cannot take the folder {folder}: {error.strerror}.", hint="Make it readable, or move it away."
        ) from error


def _mode(path: Path) -> int:
    """What the path leads to. Raises UserErrorException where that cannot be told, or where no manifest can name it."""
    try:
        path.name.encode()
        return path.stat().st_mode
    except UnicodeEncodeError as error:
        raise UserErrorException(
            f"Cannot take {str(path)!r}: its name is not UTF-8.", hint="Rename it, or remove it from the folder."
        ) from error
    except OSError as error:
        raise UserErrorException(
            f"Cannot take {path}: {'the link leads nowhere' if path.is_symlink() else error}.",
            hint="Remove it from the folder, or mend it.",
        ) from error


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
