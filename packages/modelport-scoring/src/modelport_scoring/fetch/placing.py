"""A bundle, or an environment, in its place: whole and verified, or not at all, however often it is tried."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modelport_scoring.bundle import MANIFEST
from modelport_scoring.fetch.download import download
from modelport_scoring.fetch.failures import CannotWrite, Refused, named
from modelport_scoring.fetch.settings import BundleToFetch, EnvironmentToFetch
from modelport_scoring.fetch.sources import PIECE_BYTES
from modelport_scoring.fetch.unpack import UNREADABLE, Contents, Unpacked, unpack
from modelport_scoring.logs.journal import say

MARK = ".modelport-archive"
"""In an environment's folder: the digest of the archive that it was."""


def place_bundle(wanted: BundleToFetch, *, patience_s: float) -> bool:
    """Whether it had to be fetched. Raises FetchFailed."""
    folder = Path(wanted.to)

    def verify(new: Path, contents: Contents) -> None:
        verify_bundle(contents.files, (new / MANIFEST).read_bytes() if MANIFEST in contents.files else b"", wanted)

    with locked(folder):
        if (folder / MANIFEST).is_file():
            try:
                verify_bundle(files_of(folder), (folder / MANIFEST).read_bytes(), wanted)
            except Refused as error:
                say(f"{folder}: {error}; it is fetched anew")
            else:
                return False
        place(folder, wanted.url, wanted.sha256, name=wanted.digest, patience_s=patience_s, verify=verify)
    return True


def place_environment(wanted: EnvironmentToFetch, *, patience_s: float) -> bool:
    """Whether it had to be fetched. Raises FetchFailed."""
    folder = Path(wanted.to)

    def mark(new: Path, contents: Contents) -> None:
        if not contents.files:
            raise Refused("the archive of the environment is empty")
        (new / MARK).write_text(wanted.sha256, encoding="ascii")

    with locked(folder):
        if (folder / MARK).is_file() and (folder / MARK).read_text(encoding="ascii") == wanted.sha256:
            return False
        place(
            folder, wanted.url, wanted.sha256, name=wanted.sha256, patience_s=patience_s, verify=mark, is_bundle=False
        )
    return True


def place(
    folder: Path,
    url: str,
    sha256: str | None,
    *,
    name: str,
    patience_s: float,
    verify: Callable[[Path, Contents], None],
    is_bundle: bool = True,
) -> None:
    """Fetch and unpack beside the folder, or in it where it is a volume itself, and put it there in one step."""
    work = folder if os.path.ismount(folder) else folder.parent
    archive, new = work / f".{name}.tar", work / f".{name}.new"
    try:
        download(url, archive, sha256=sha256, patience_s=patience_s)
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o755)
        below = "" if is_bundle else below_in(archive, folder)
        contents = unpack(archive, new, below=below, links=not is_bundle)
        verify(new, contents)
        settle(new, folder)
        archive.unlink()
    except Refused as error:
        archive.unlink(missing_ok=True)
        shutil.rmtree(new, ignore_errors=True)
        raise Refused(f"{named(url)}: {error}" if named(url) not in str(error) else str(error)) from error
    except OSError as error:
        raise CannotWrite(f"{error.filename or folder}: {error.strerror}") from error


def below_in(archive: Path, folder: Path) -> str:
    """The folder's whole path, where the archive has it so, as a layer of an image; else nothing."""
    below = str(folder).strip("/")
    try:
        with tarfile.open(archive, mode="r|*") as members:
            first = members.next()
    except (*UNREADABLE, OSError):
        return ""  # ``unpack`` says what is wrong with it
    name = "" if first is None else first.name.strip("/")
    if not name:
        return ""
    return below if f"{name}/".startswith(f"{below}/") or f"{below}/".startswith(f"{name}/") else ""


def settle(new: Path, folder: Path) -> None:
    """Put the new folder into its place. Raises OSError."""
    if os.path.ismount(folder):
        for child in list(folder.iterdir()):
            if not child.name.startswith("."):
                remove(child)
        # the mark that says that all is there comes last
        for child in sorted(new.iterdir(), key=lambda child: child.name in (MARK, MANIFEST)):
            child.replace(folder / child.name)
        new.rmdir()
        return
    remove(folder)
    new.rename(folder)


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def verify_bundle(files: dict[str, Unpacked], manifest: bytes, wanted: BundleToFetch) -> None:
    """Raise Refused, naming the first file that is not as the manifest says."""
    digest = hashlib.sha256(manifest).hexdigest()
    if digest != wanted.digest:
        what = f"its {MANIFEST} has the digest {digest}" if manifest else f"it has no {MANIFEST}"
        raise Refused(f"this is not the bundle {wanted.digest}: {what}")
    listed: list[dict[str, Any]] = json.loads(manifest)["files"]
    for file in listed:
        found = files.get(file["path"])
        if found is None:
            raise Refused(f"{file['path']} is missing")
        if found != Unpacked(file["size"], file["sha256"], file["executable"]):
            raise Refused(f"{file['path']} is not as the bundle's manifest says: {found}")
    unlisted = files.keys() - {file["path"] for file in listed} - {MANIFEST}
    if unlisted:
        raise Refused(f"{min(unlisted)} is no file of the bundle's manifest")


def files_of(folder: Path) -> dict[str, Unpacked]:
    """What lies there, as ``unpack`` tells it; names with a dot at the top are ours."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith("."):
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(PIECE_BYTES):
                    digest.update(piece)
            status = path.stat()
            found[name] = Unpacked(status.st_size, digest.hexdigest(), bool(status.st_mode & 0o100))
    return found


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One at a time fetches into a folder that several share. Raises CannotWrite."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        where = folder if os.path.ismount(folder) else folder.parent
        lock = os.open(where / f".{folder.name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    except OSError as error:
        text = f"{error.strerror}: user {os.geteuid()} must be able to write there"
        raise CannotWrite(f"{error.filename or folder}: {text}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)
