"""Archives, unpacked as if their maker meant harm: nothing outside, and nothing but files, folders and links."""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import tarfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from modelport_scoring.fetch.download import write
from modelport_scoring.fetch.failures import CannotWrite, Refused
from modelport_scoring.fetch.sources import PIECE_BYTES

ZSTANDARD = b"\x28\xb5\x2f\xfd"
UNREADABLE = (tarfile.TarError, EOFError, zlib.error, ValueError, TypeError)
"""What ``tarfile`` raises for an archive that is none; the last where one in gzip is cut off in its first bytes."""

PROGRAM = re.compile(r"bin/python[\d.]*")
"""What of an environment may lead out of it: to the Python of the image."""


@dataclass(frozen=True)
class Unpacked:
    """One file, as it was written."""

    size: int
    sha256: str
    executable: bool


@dataclass
class Contents:
    """What an archive held. Paths are relative, with ``/``."""

    files: dict[str, Unpacked] = field(default_factory=dict)
    links: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)


def unpack(archive: Path, folder: Path, *, below: str = "", links: bool = False) -> Contents:
    """Write the archive (tar, or tar in gzip) into the empty folder.

    ``below``: a folder in the archive whose content it is; outside of it there may be only the folders above it.
    ``links``: whether there may be links, which must stay inside, but for a Python. Raises Refused and CannotWrite.
    """
    refuse_unknown(archive)
    contents = Contents()
    try:
        with tarfile.open(archive, mode="r|*") as members:
            for member in members:
                path = safe_path(member.name, below=below)
                if path is not None:
                    put_member(members, member, path, folder, contents, links=links)
    except UNREADABLE as error:
        raise Refused(f"{archive.name} is no archive that can be read: {error}") from error
    for link in sorted(contents.links):
        check_link(folder, link)
    return contents


def refuse_unknown(archive: Path) -> None:
    """Say it plainly, where it is a kind of archive that this Python cannot read."""
    with archive.open("rb") as file:
        if file.read(4) == ZSTANDARD:
            raise Refused(f"{archive.name} is compressed with zstandard; only tar and tar in gzip are read here")


def safe_path(name: str, *, below: str) -> str | None:
    """Where the member belongs, relative to the folder; None for one above ``below``. Raises Refused."""
    if "\0" in name or "\\" in name or name.startswith("/") or ".." in name.split("/"):
        raise Refused(f"the archive has a path that leads out of it: {name!r}")
    path = posixpath.normpath(name)
    if not below:
        return None if path == "." else path
    if path == below or f"{below}/".startswith(f"{path}/") or path == ".":
        return None
    if not path.startswith(f"{below}/"):
        raise Refused(f"the archive has {name!r}, which is not below {below}")
    return path.removeprefix(f"{below}/")


def put_member(
    members: tarfile.TarFile, member: tarfile.TarInfo, path: str, folder: Path, contents: Contents, *, links: bool
) -> None:
    """Raises Refused and CannotWrite."""
    above = posixpath.dirname(path)
    if path in contents.files or path in contents.links or any(part in contents.links for part in ancestors(path)):
        raise Refused(f"the archive has {path!r} twice, or below a link")
    try:
        if member.isdir():
            (folder / path).mkdir(mode=0o755, parents=True, exist_ok=True)
            contents.folders.add(path)
            return
        (folder / above).mkdir(mode=0o755, parents=True, exist_ok=True)
        if member.issym() and links:
            (folder / path).symlink_to(member.linkname)
            contents.links.add(path)
        elif member.isreg() and not member.issparse():
            contents.files[path] = put_file(members, member, folder / path)
        else:
            kind = "a link" if member.issym() or member.islnk() else "neither a file nor a folder"
            raise Refused(f"the archive's {path!r} is {kind}")
    except OSError as error:
        raise CannotWrite(f"{folder / path}: {error.strerror}") from error


def ancestors(path: str) -> list[str]:
    """The folders that the path goes through."""
    parts = path.split("/")[:-1]
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def put_file(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> Unpacked:
    """Write it as a new file. Raises OSError and CannotWrite."""
    content = members.extractfile(member)
    assert content is not None
    digest = hashlib.sha256()
    executable = bool(member.mode & 0o100)
    with target.open("xb") as file:
        while piece := content.read(PIECE_BYTES):
            digest.update(piece)
            write(file, piece)
    target.chmod(0o755 if executable else 0o644)
    return Unpacked(member.size, digest.hexdigest(), executable)


def check_link(folder: Path, link: str) -> None:
    """Raise Refused for a link that leads out, unless it is the Python of an environment, and that is there.

    When all is unpacked, since what a link leads through may be a link itself.
    """
    target = Path(os.path.realpath(folder / link))
    if target.is_relative_to(os.path.realpath(folder)):
        return
    if PROGRAM.fullmatch(link) and target.name.startswith("python"):
        if os.access(target, os.X_OK):
            return
        raise Refused(f"the archive's {link!r} is the Python of another image: {target} is no program here")
    raise Refused(f"the archive's {link!r} is a link that leads out of it, to {target}")
