"""Errors of the file system as exceptions that say where, why and what to try."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from modelport.domain.errors import StoreException, UserErrorException

_HINTS = {
    errno.ENOSPC: "The disk is full: free some space and try again; what was registered before is not touched.",
    errno.EDQUOT: "The disk quota is used up: free some space and try again; nothing that was registered is touched.",
    errno.EROFS: "The file system is read-only: choose another folder for the workspace.",
    errno.EACCES: "Give this user the right to write there.",
    errno.EPERM: "Give this user the right to write there.",
    errno.EEXIST: "Choose another place, or remove what is there.",
    errno.ENOTDIR: "A file is where a folder should be: move it away.",
    errno.EIO: "The disk reports an error: check it.",
}


@contextlib.contextmanager
def writing(place: Path) -> Iterator[None]:
    """Raise StoreException for an OSError inside; ``place`` is what was being written."""
    try:
        yield
    except OSError as error:
        raise StoreException(
            f"Cannot write {place}: {error.strerror or error}.",
            hint=_HINTS.get(error.errno or 0, "Check the disk and the rights to the folder."),
        ) from error


def unreadable_source(path: Path, error: OSError) -> UserErrorException:
    """For a file of the user's that is to be added."""
    return UserErrorException(f"Cannot read {path}: {error.strerror or error}.")


def unreadable_object(path: Path, error: OSError) -> StoreException:
    if error.errno == errno.ENOENT:
        return StoreException(f"The file {path} of the model store is missing.", hint=_REPAIR)
    return StoreException(
        f"The file {path} of the model store cannot be read: {error.strerror or error}.",
        hint="Check the disk and the rights to the file.",
    )


def damaged_object(path: Path, *, expected: str, found: str) -> StoreException:
    return StoreException(
        f"The file {path} of the model store is damaged: the SHA-256 of its content is {found}, not {expected}.",
        hint=_REPAIR,
    )


_REPAIR = "Register the same file again, or put it back from a backup: either repairs the store."
