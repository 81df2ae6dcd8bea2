"""Snapshots of source folders: what a run was made of, kept once for each content."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from azureml._runs.registering import SNAPSHOTS
from modelport.domain.errors import UserErrorException
from modelport.usecases.context import Context
from modelport.usecases.ignore_rules import IgnoreRules

_NEVER = frozenset({".git", "__pycache__", ".ipynb_checkpoints"})
_PRODUCTS = frozenset({"outputs", "logs"})
"""Of the source folder itself: what earlier runs wrote there is not this one's."""

_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Limit:
    """How much a snapshot may hold."""

    files: int
    total_bytes: int


def take_snapshot(context: Context, source: Path, *, limit: Limit | None = None) -> str | None:
    """Keep the files of the folder; returns the snapshot's id, which the same content has too. None where they are
    more than the limit: then the rest of the folder is not looked at.

    Left out is what ``.amlignore`` (else ``.gitignore``) says, and the folders ``outputs`` and ``logs``. Raises
    UserErrorException where there is no such folder, or a file cannot be read.
    """
    if not source.is_dir():
        raise UserErrorException(f"There is no source directory {str(source)!r} (looked for {source.absolute()}).")
    files = _within(limit, source, _files(source, IgnoreRules.of(source), left_out=context.folder.resolve()))
    if files is None:
        return None
    root = context.folder / SNAPSHOTS
    root.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=root) as name:
        aside = Path(name) / "snapshot"
        aside.mkdir()
        digest = hashlib.sha256()
        for file in files:
            digest.update(f"{file}\0{_copy(source / file, aside / file)}\n".encode())
        snapshot = digest.hexdigest()
        if not (root / snapshot).exists():
            _place(aside, root / snapshot)
    return snapshot


def _within(limit: Limit | None, source: Path, files: Iterator[str]) -> list[str] | None:
    """The files; None where they are more than the limit."""
    if limit is None:
        return list(files)
    found: list[str] = []
    size = 0
    for file in files:
        found.append(file)
        size += (source / file).stat().st_size
        if len(found) > limit.files or size > limit.total_bytes:
            return None
    return found


def lay_out(context_folder: Path, snapshot: str, target: Path) -> None:
    """Copy the snapshot to ``target``, which must not exist."""
    shutil.copytree(context_folder / SNAPSHOTS / snapshot, target)


def _place(aside: Path, target: Path) -> None:
    try:
        aside.rename(target)
    except OSError:
        if not target.is_dir():  # somebody else has just kept the same
            raise


def _files(folder: Path, rules: IgnoreRules, *, left_out: Path) -> Iterator[str]:
    """The relative names, links followed, each folder once; what is no regular file is passed over."""
    yield from _below(folder, Path(), rules, passed={left_out, folder.resolve()})


def _below(folder: Path, relative: Path, rules: IgnoreRules, *, passed: set[Path]) -> Iterator[str]:
    skipped = _NEVER if relative != Path() else _NEVER | _PRODUCTS
    for entry in sorted(os.scandir(folder / relative), key=lambda entry: entry.name):
        name = (relative / entry.name).as_posix()
        if entry.is_dir():
            real = (folder / name).resolve()
            if entry.name in skipped or real in passed or rules.ignores(name, is_folder=True):
                continue
            passed.add(real)
            yield from _below(folder, relative / entry.name, rules, passed=passed)
        elif entry.is_file() and not rules.ignores(name, is_folder=False):
            yield name


def _copy(source: Path, target: Path) -> str:
    """Copy and hash in one pass; returns the SHA-256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    try:
        with source.open("rb") as reader, target.open("wb") as writer:
            while piece := reader.read(_PIECE):
                digest.update(piece)
                writer.write(piece)
    except PermissionError as error:
        raise UserErrorException(
            f"Cannot take {source}: {error}.", hint="Make it readable, or name it in .amlignore."
        ) from error
    if source.stat().st_mode & stat.S_IXUSR:
        shutil.copymode(source, target)
    return digest.hexdigest()
