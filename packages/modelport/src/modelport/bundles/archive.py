"""Bundles and environments as archives, for targets that fetch them from elsewhere: ``modelport_scoring.fetch``."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from modelport.bundles.manifest import FILE_NAME
from modelport.bundles.verify import verify_bundle
from modelport.domain.errors import StoreException
from modelport_scoring.fetch.failures import FetchFailed
from modelport_scoring.fetch.sources import put

_WRITTEN_AT = 315532800
"""The time of every file: 1980, so that equal contents give equal bytes."""


@dataclass(frozen=True)
class Archive:
    """A file of tar. ``digest``: of the bundle that it holds, None for an environment."""

    path: Path
    sha256: str
    size: int
    digest: str | None = None


def pack_bundle(bundle: Path, target: Path) -> Archive:
    """Write the bundle to ``target``, verified: the same bundle always gives the same bytes.

    Raises StoreException for a damaged bundle, or where the archive cannot be written.
    """
    manifest = verify_bundle(bundle)
    names = [FILE_NAME, *(file.path for file in manifest.files)]
    return _pack(bundle, sorted(names), target, digest=manifest.digest)


def pack_environment(folder: Path, target: Path) -> Archive:
    """Write what lies in the environment's folder, links as links, to ``target``. Raises StoreException.

    What an image has as its environment layer is such an archive already.
    """
    return _pack(folder, sorted(_names_below(folder)), target, digest=None)


def upload(archive: Archive, url: str) -> None:
    """Put the archive at an address: ``file://``, one of http that takes PUT (a signed one), or ``s3://``, ``gs://``,
    ``az://`` with the credentials of this machine. Raises StoreException."""
    try:
        put(archive.path, url)
    except FetchFailed as error:
        raise StoreException(
            f"The archive cannot be stored: {error}.",
            hint="See that the store can be reached from here, and that its credentials are set.",
        ) from error


def _names_below(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        links = [name for name in folders if Path(root, name).is_symlink()]
        for name in (*files, *links):
            yield Path(root, name).relative_to(folder).as_posix()


def _pack(folder: Path, names: list[str], target: Path, *, digest: str | None) -> Archive:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.{os.getpid()}")
        with tarfile.open(aside, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in names:
                _add(archive, folder / name, name)
        with aside.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        aside.replace(target)
        return Archive(target, sha256, target.stat().st_size, digest)
    except OSError as error:
        raise StoreException(
            f"The archive {target} cannot be written: {error}.", hint="Free some disk space, or choose another folder."
        ) from error


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = _WRITTEN_AT
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        archive.addfile(member)
        return
    member.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
    with path.open("rb") as file:
        member.size = os.fstat(file.fileno()).st_size
        archive.addfile(member, file)
