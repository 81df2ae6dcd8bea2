"""One registration's files on their way into the store, and the taking back of those that nothing refers to."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from modelport.domain.errors import StoreException
from modelport.domain.progress import Progress
from modelport.storage.objects.failures import unreadable_object, unreadable_source, writing
from modelport.storage.objects.folders import Folders, claims, flush_folder
from modelport.storage.objects.streams import FlushingWriter, digest_of, hashed, pieces

Referenced = Callable[[Sequence[str]], set[str]]
"""Those of the digests that a model version refers to: ``MetadataStore.referenced_objects``."""


class FolderStaging:
    """A Staging (storage/interface.py)."""

    def __init__(self, folders: Folders, session: Path) -> None:
        self._folders = folders
        self._session = session
        self._numbers = itertools.count(1)
        self.is_committed = False

    def add_file(self, source: Path, *, label: str, progress: Progress) -> tuple[str, int]:
        incoming = self._session / f"incoming-{next(self._numbers)}"
        with writing(incoming):
            digest, size = _copy_in(source, incoming, label=label, progress=progress)
        with writing(self._folders.object(digest)):
            self._promote(incoming, digest)
        return digest, size

    def commit(self) -> None:
        self.is_committed = True

    def _promote(self, incoming: Path, digest: str) -> None:
        """Give the file its name among the objects. The claim comes first: from then on nobody removes the object."""
        target = self._folders.object(digest)
        with self._folders.claiming():
            (self._session / digest).touch()
            flush_folder(self._session)
            if _is_shared_and_right(target, digest):
                incoming.unlink()
                return
            if not target.parent.is_dir():
                target.parent.mkdir(exist_ok=True)
                flush_folder(self._folders.objects)
            incoming.replace(target)
            flush_folder(target.parent)


def take_back(folders: Folders, session: Path, referenced: Referenced) -> None:
    """Remove the session, and the objects that it alone needed. The caller holds ``folders.removing()``.

    The order matters: whoever has no claim by now has either committed, which ``referenced`` then sees, or must wait
    for the lock, and will find the object gone.
    """
    remove_objects(folders, claims(session), referenced, leaving=session)
    shutil.rmtree(session)


def remove_objects(folders: Folders, digests: set[str], referenced: Referenced, *, leaving: Path | None = None) -> None:
    """Remove those of the objects that no version refers to and no session but ``leaving`` claims.

    The caller holds ``folders.removing()``.
    """
    claimed = {digest for session in folders.sessions() if session != leaving for digest in claims(session)}
    candidates = sorted(digests - claimed)
    if not candidates:
        return
    for digest in set(candidates) - referenced(candidates):
        _remove_object(folders.object(digest))


def _remove_object(path: Path) -> None:
    path.unlink(missing_ok=True)
    if path.parent.is_dir() and not any(path.parent.iterdir()):
        path.parent.rmdir()


def _copy_in(source: Path, incoming: Path, *, label: str, progress: Progress) -> tuple[str, int]:
    """Copy the source, whole and flushed to the disk; its SHA-256 and size, of what was written."""
    descriptor = os.open(incoming, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with ThreadPoolExecutor(max_workers=1) as flushing:
            writer = FlushingWriter(descriptor, flushing)
            counter = _Counter(writer, label=label, progress=progress, total=_size(source))
            digest = hashed(pieces(source, unreadable_source), counter.consume)
            os.fchmod(descriptor, 0o444)
            writer.finish()
        counter.finish()
    finally:
        os.close(descriptor)
    return digest, counter.done


class _Counter:
    """Writes pieces and reports how far it is. A file may grow or shrink while it is read: what was read counts."""

    def __init__(self, writer: FlushingWriter, *, label: str, progress: Progress, total: int) -> None:
        self._writer = writer
        self._label = label
        self._progress = progress
        self._total = total
        self.done = 0

    def consume(self, piece: memoryview) -> None:
        self._writer.write(piece)
        self.done += len(piece)
        if self.done < self._total:
            self._progress.amount(self._label, self.done, self._total)

    def finish(self) -> None:
        self._progress.amount(self._label, self.done, self.done)


def _size(source: Path) -> int:
    try:
        return source.stat().st_size
    except OSError as error:
        raise unreadable_source(source, error) from error


def _is_shared_and_right(path: Path, digest: str) -> bool:
    """The object is there, hard-linked to a bundle, and undamaged: a second copy would take space.

    An object without other links is simply replaced by the new copy, which also repairs a damaged one.
    """
    if not path.is_file() or path.stat().st_nlink == 1:
        return False
    try:
        return digest_of(path, unreadable_object) == digest
    except StoreException:
        return False
