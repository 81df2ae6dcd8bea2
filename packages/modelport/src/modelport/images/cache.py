"""The folder that images are made in: who uses it at this moment, and what of it can go."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from modelport.domain.errors import ConflictException

_LOCK = ".lock"
_DRAFT = ".draft-"
_DRAFTS = (f"{_DRAFT}*", "tmp*")
"""What files and folders are called until they are whole; a program that was killed leaves them behind."""
LAYERS, IMAGES = "layers", "images"
_BY_LAYER = ("trees", "components")
"""Small files that are read out of layers: they go by age alone, and are written again when they are missed."""

KEPT_ANYWAY_S = 3600.0
"""What was used within this time may be in somebody's hands: an image on its way to a registry or an engine."""


@contextlib.contextmanager
def in_use(cache: Path) -> Iterator[None]:
    """Nothing is pruned while this is held. Whoever is the only one removes what killed programs left behind."""
    with _locked(cache) as lock:
        if _take(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _remove_drafts(cache)
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def used(path: Path) -> None:
    """Remember that the file or folder was of use at this moment."""
    with contextlib.suppress(OSError):
        os.utime(path)


@dataclass(frozen=True, kw_only=True)
class Pruned:
    """What was removed, or would be. Bytes are those of the disk: of a file with several names, with the last one."""

    images: int
    layers: int
    freed_bytes: int
    kept_bytes: int


def prune(cache: Path, *, unused_for_s: float, most_bytes: int | None = None, is_rehearsal: bool = False) -> Pruned:
    """Remove what was not used for that long, and of the rest what was used longest ago, until no more than
    ``most_bytes`` are left. What was used within the last hour stays. With ``is_rehearsal`` nothing is removed.

    Raises ConflictException while an image is made.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache) as lock:
        if not _take(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            raise ConflictException(
                f"An image is being made in {cache} at this moment.", hint="Try again when that has finished."
            )
        if not is_rehearsal:
            _remove_drafts(cache)
        return _Pruning(cache, now=time.time()).run(unused_for_s, most_bytes, is_rehearsal=is_rehearsal)


class _Pruning:
    """One look at the cache, and what becomes of it."""

    def __init__(self, cache: Path, *, now: float) -> None:
        self._cache = cache
        self._now = now
        folders = [folder for folder in _entries(cache / IMAGES) if folder.is_dir()]
        self._units = {path: self._age(path) for path in (*folders, *_entries(cache / LAYERS))}
        """Images, and layers by what they are made of, with the seconds since they were used."""
        self._digests = {path: frozenset(_digests(path)) for path in self._units}
        self._blobs = {path: self._age(path) for path in _entries(cache / "blobs" / "sha256")}

    def _age(self, path: Path) -> float:
        return self._now - path.stat().st_mtime

    def run(self, unused_for_s: float, most_bytes: int | None, *, is_rehearsal: bool) -> Pruned:
        limit_s = max(unused_for_s, KEPT_ANYWAY_S)
        gone = {path for path, age in self._units.items() if age > limit_s}
        if most_bytes is not None:
            gone = self._until_small(gone, most_bytes, limit_s)
        files = self._files(gone, limit_s)
        freed, whole = _bytes(files), _bytes(_files_below(self._cache))
        if not is_rehearsal:
            _remove(gone, files)
        return Pruned(
            images=sum(path.is_dir() if is_rehearsal else path.parent.name == IMAGES for path in gone),
            layers=sum(path.parent.name == LAYERS for path in gone),
            freed_bytes=freed,
            kept_bytes=whole - freed,
        )

    def _until_small(self, gone: set[Path], most_bytes: int, limit_s: float) -> set[Path]:
        whole = _bytes(_files_below(self._cache))
        oldest_first = sorted(self._units.keys() - gone, key=self._units.__getitem__, reverse=True)
        for path in oldest_first:
            if self._units[path] <= KEPT_ANYWAY_S or whole - _bytes(self._files(gone, limit_s)) <= most_bytes:
                break
            gone = gone | {path}
        return gone

    def _files(self, gone: set[Path], limit_s: float) -> list[Path]:
        """The files that go with these: blobs that nothing has any more, and what was read out of layers long ago."""
        needed = frozenset[str]().union(*(self._digests[path] for path in self._units.keys() - gone))
        released = frozenset[str]().union(*(self._digests[path] for path in gone))
        blobs = [
            path
            for path, age in self._blobs.items()
            if path.name not in needed and (path.name in released or age > limit_s)
        ]
        read = [path for folder in _BY_LAYER for path in _entries(self._cache / folder)]
        old = [path for path in read if self._age(path) > limit_s]
        return [*blobs, *old, *(file for path in gone for file in _files_below(path))]


def _digests(unit: Path) -> Iterator[str]:
    """The blobs that an image or a layer has, without ``sha256:``. Nothing of one that cannot be read."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        if unit.is_dir():
            yield from (path.name for path in _entries(unit / "blobs" / "sha256"))
        else:
            yield str(json.loads(unit.read_bytes())["digest"]).partition(":")[2]


def _bytes(files: Iterable[Path]) -> int:
    """What the disk gets back without these files: each content counts once, and only where no other name of it is
    left."""
    names: dict[tuple[int, int], list[os.stat_result]] = {}
    for file in files:
        about = file.stat()
        names.setdefault((about.st_dev, about.st_ino), []).append(about)
    return sum(found[0].st_size for found in names.values() if len(found) == found[0].st_nlink)


def discard(folder: Path) -> None:
    """Remove the folder, which is gone at once: a program that is killed leaves no half of it under its name."""
    draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=folder.parent))
    with contextlib.suppress(FileNotFoundError):
        folder.rename(draft)
    shutil.rmtree(draft, ignore_errors=True)


def _remove(gone: Iterable[Path], files: Iterable[Path]) -> None:
    for path in gone:
        if path.is_dir():
            discard(path)
    for file in files:
        file.unlink(missing_ok=True)


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return [path for path in folder.iterdir() if not any(path.match(draft) for draft in _DRAFTS)]
    return []


def _files_below(path: Path) -> list[Path]:
    return [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]


def _remove_drafts(cache: Path) -> None:
    for folder in (IMAGES, LAYERS, "blobs/sha256", *_BY_LAYER):
        for pattern in _DRAFTS:
            for path in (cache / folder).glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)


@contextlib.contextmanager
def _locked(cache: Path) -> Iterator[int]:
    """The lock's file, which nobody holds yet."""
    cache.mkdir(parents=True, exist_ok=True)
    lock = os.open(cache / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield lock
    finally:
        os.close(lock)


def _take(lock: int, operation: int) -> bool:
    try:
        fcntl.flock(lock, operation)
    except BlockingIOError:
        return False
    return True
