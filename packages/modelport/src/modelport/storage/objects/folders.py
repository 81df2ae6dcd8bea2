"""Where things lie in a store's folder, and who may touch them when.

::

    ab/<sha256>                  the files, mode 0444
    staging/<session>/           one registration that is under way; its owner holds a lock (flock) on the folder
    staging/<session>/incoming-1 a file that is being copied
    staging/<session>/<sha256>   a claim, empty: the registration needs this object

Locks are the system's, on the folders themselves: they end with the process that holds them, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Folders:
    """The folders of one store."""

    def __init__(self, root: Path) -> None:
        self.objects = root
        self.staging = root / "staging"

    def create(self) -> None:
        """Make what is missing. Raises OSError."""
        self.staging.mkdir(parents=True, exist_ok=True)

    def object(self, digest: str) -> Path:
        return self.objects / digest[:2] / digest

    def sessions(self) -> list[Path]:
        return [entry for entry in self.staging.iterdir() if entry.is_dir()]

    def claiming(self) -> contextlib.AbstractContextManager[None]:
        """Held while a session begins, claims an object or ends; by any number at once."""
        return _locked(self.staging, fcntl.LOCK_SH)

    def removing(self) -> contextlib.AbstractContextManager[None]:
        """Held while objects are removed; nobody else claims or removes meanwhile."""
        return _locked(self.staging, fcntl.LOCK_EX)


@contextlib.contextmanager
def _locked(folder: Path, operation: int) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)


def begin_session(folders: Folders) -> tuple[Path, int]:
    """A new session's folder, and the open descriptor that holds its lock."""
    with folders.claiming():
        session = Path(tempfile.mkdtemp(dir=folders.staging))
        flush_folder(folders.staging)
        descriptor = os.open(session, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    return session, descriptor


def is_abandoned(session: Path) -> bool:
    """Nobody holds the session's lock: its process died."""
    descriptor = os.open(session, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def claims(session: Path) -> set[str]:
    """The digests that the session needs."""
    return {entry.name for entry in session.iterdir() if _DIGEST.fullmatch(entry.name)}


def flush_folder(folder: Path) -> None:
    """Bring the folder's entries to the disk: a file's own fsync does not."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
