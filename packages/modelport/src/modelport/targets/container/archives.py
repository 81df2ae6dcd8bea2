"""Files on their way into a container and out of it: archives of tar, which is what engines take and give."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

END_BYTES = 2 * tarfile.BLOCKSIZE
"""Two blocks of zeros end an archive. ``tarfile`` fills a record behind them, which is for tapes: podman's process that
unpacks has gone by then, now and then, and writing to it breaks the copy off."""


@dataclass(frozen=True)
class File:
    """One file, or a folder where there is no content."""

    path: str
    content: bytes | None = None
    mode: int = 0o644
    user: int = 0
    group: int = 0


def packed(files: Iterable[File], *, written_at: float = 0.0) -> bytes:
    """The archive of the files, always the same for the same files and the same time."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as writer:
        for file in files:
            member = tarfile.TarInfo(file.path)
            member.mode, member.uid, member.gid, member.mtime = file.mode, file.user, file.group, written_at
            if file.content is None:
                member.type = tarfile.DIRTYPE
                writer.addfile(member)
            else:
                member.size = len(file.content)
                writer.addfile(member, io.BytesIO(file.content))
        end = writer.offset + END_BYTES
    return archive.getvalue()[:end]


def first_file(archive: bytes) -> bytes | None:
    """The content of the archive's only file; None where there is none."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as reader:
        for member in reader:
            content = reader.extractfile(member)
            if content is not None:
                return content.read()
    return None
