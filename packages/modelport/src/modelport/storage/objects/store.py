"""ObjectStore in a local folder (folders.py draws it)."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from modelport.domain.errors import StoreException
from modelport.storage.interface import MetadataStore, Staging
from modelport.storage.objects.failures import damaged_object, unreadable_object, writing
from modelport.storage.objects.folders import Folders, begin_session, is_abandoned
from modelport.storage.objects.staging import FolderStaging, Referenced, remove_objects, take_back
from modelport.storage.objects.streams import hashed, pieces, write_whole
from modelport.storage.objects.verification import Verified

_CANNOT_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""The file system, or its being another one, does not allow a hard link."""


def open_objects(folder: Path, *, referenced: Referenced) -> FolderStore:
    """Open the objects in ``folder``, which is created where it is missing.

    ``referenced`` (``MetadataStore.referenced_objects``) is asked before anything is removed: the database is the only
    one who knows whether a registration that failed, or a removal that took a while, was overtaken by another
    registration of the same content. Raises StoreException where the folder cannot be made.
    """
    folders = Folders(folder.absolute())
    with writing(folder):
        folders.create()
    return FolderStore(folders, referenced=referenced)


class FolderStore:
    """An ObjectStore (storage/interface.py says what each method promises)."""

    def __init__(self, folders: Folders, *, referenced: Referenced) -> None:
        self._folders = folders
        self._referenced = referenced
        self._verified = Verified()

    @contextlib.contextmanager
    def stage(self) -> Iterator[Staging]:
        with writing(self._folders.staging):
            session, lock = begin_session(self._folders)
        staging = FolderStaging(self._folders, session)
        try:
            yield staging
        finally:
            # What cannot be taken back now, because the database or the disk fails, the next sweep takes.
            with contextlib.suppress(OSError, StoreException):
                self._end(session, keep=staging.is_committed)
            os.close(lock)

    def open(self, digest: str) -> Iterator[bytes]:
        path = self._folders.object(digest)
        sha256 = hashlib.sha256()
        held_back = b""
        for piece in pieces(path, unreadable_object):
            sha256.update(piece)
            if held_back:
                yield held_back
            held_back = bytes(piece)
        if sha256.hexdigest() != digest:
            raise damaged_object(path, expected=digest, found=sha256.hexdigest())
        if held_back:
            yield held_back

    def place(self, digest: str, target: Path, *, link: bool, executable: bool = False) -> None:
        """A file that must be executable is copied: all links to a file have one mode."""
        beside = target.parent / f".{secrets.token_hex(8)}.partial"
        with writing(target):
            _refuse_existing(target)
            try:
                if not (link and not executable and self._link(digest, beside)):
                    self._copy(digest, beside, mode=_mode(read_only=link, executable=executable))
                beside.rename(target)
            finally:
                beside.unlink(missing_ok=True)
            self._verified.follow(target)

    def location(self, digest: str) -> str:
        path = self._folders.object(digest)
        _status(path)
        return path.as_uri()

    def remove_unreferenced(self, digests: Sequence[str], referenced: set[str]) -> None:
        """What a registration that is under way needs stays, too."""
        unreferenced = set(digests) - referenced
        with writing(self._folders.objects), self._folders.removing():
            remove_objects(self._folders, unreferenced, self._referenced)

    def sweep(self, store: MetadataStore) -> None:
        with writing(self._folders.staging):
            if not self._folders.sessions():
                return
            with self._folders.removing():
                for session in filter(is_abandoned, self._folders.sessions()):
                    take_back(self._folders, session, store.referenced_objects)

    def _end(self, session: Path, *, keep: bool) -> None:
        if keep:
            with self._folders.claiming():
                shutil.rmtree(session)
        else:
            with self._folders.removing():
                take_back(self._folders, session, self._referenced)

    def _link(self, digest: str, beside: Path) -> bool:
        """Make a verified hard link; False where the file system does not allow one."""
        path = self._folders.object(digest)
        seen = _status(path)
        try:
            beside.hardlink_to(path)
        except OSError as error:
            if error.errno in _CANNOT_LINK:
                return False
            raise
        # The link itself is what is checked: a registration may have replaced the object meanwhile.
        if not (self._verified.is_known(seen) and os.path.samestat(seen, beside.stat())):
            self._verified.check(beside, digest, name=path)
        self._verified.follow(beside)
        return True

    def _copy(self, digest: str, beside: Path, *, mode: int) -> None:
        path = self._folders.object(digest)
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
        try:
            found = hashed(pieces(path, unreadable_object), lambda piece: write_whole(descriptor, piece))
        finally:
            os.close(descriptor)
        if found != digest:
            raise damaged_object(path, expected=digest, found=found)


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise unreadable_object(path, error) from error


def _refuse_existing(target: Path) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _mode(*, read_only: bool, executable: bool) -> int:
    """Before the user's umask."""
    return (0o444 if read_only else 0o666) | (0o111 if executable else 0)
