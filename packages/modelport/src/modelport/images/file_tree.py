"""Which files an image has, found by reading its layers: nothing is unpacked, no engine is asked."""

from __future__ import annotations

import dataclasses
import json
import posixpath
import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from modelport.domain.errors import UserErrorException
from modelport.images.blobs import Blobs, digest_of
from modelport.images.cache import used
from modelport.images.image import ImageLayer
from modelport.images.layers import UNREADABLE, opened

_GONE = ".wh."
_ALL_GONE = ".wh..wh..opq"
"""Names in a layer that take away what layers below have: the OCI layer specification, "Whiteouts"."""

_KEPT = (
    "etc/passwd",
    "etc/group",
    "etc/os-release",
    "usr/lib/os-release",
    "var/lib/dpkg/status",
    "lib/apk/db/installed",
)
"""Files whose text is kept with the tree."""

_C_LIBRARY = re.compile(r"libc(\.so\.6|-2\.\d+\.so)$")
_C_VERSION = re.compile(rb"GNU C Library [^\n]* version (\d+\.\d+)")
_FORMAT = 2
_STEPS = 40
"""So many links lead to a file at most: as in the kernel."""


@dataclass
class FileTree:
    """The files of an image. Paths have no leading slash."""

    links: dict[str, str | None] = field(default_factory=dict)
    """Every path; where it is a link, what it says."""
    folders: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    glibc: str | None = None
    """Version of the GNU C library; None where there is none."""
    sizes: list[int] = field(default_factory=list)
    """Bytes of each layer's archive."""

    def resolve(self, path: str) -> str | None:
        """Where the path leads, links followed; None where that is nothing."""
        return self._resolved(path.strip("/"), _STEPS)

    def _resolved(self, path: str, steps: int) -> str | None:
        found = ""
        parts = path.split("/")
        for number, part in enumerate(parts):
            here = posixpath.normpath(posixpath.join(found, part))
            target = self.links.get(here)
            if target is not None:
                if steps == 0:
                    return None
                rest = "/".join(parts[number + 1 :])
                start = target.lstrip("/") if target.startswith("/") else posixpath.join(found, target)
                return self._resolved(posixpath.normpath(posixpath.join(start, rest)), steps - 1)
            found = here
        return found if found in self.links else None

    def has(self, path: str) -> bool:
        return self.resolve(path) is not None

    def is_file(self, path: str) -> bool:
        found = self.resolve(path)
        return found is not None and found not in self.folders

    def below(self, folder: str) -> Iterator[str]:
        """Everything that lies in the folder, at any depth."""
        prefix = folder.strip("/") + "/"
        return (path for path in self.links if path.startswith(prefix))

    def text(self, path: str) -> str:
        """The text of one of the files that are kept; empty where there is none."""
        found = self.resolve(path)
        return self.texts.get(found or "", "")

    def take(self, stream: IO[bytes]) -> None:
        """The next layer, as an archive."""
        counted = _Counted(stream)
        with tarfile.open(fileobj=cast(Any, counted), mode="r|") as archive:
            for member in archive:
                self._take_member(archive, member)
        while counted.read(1 << 20):
            pass  # the end of an archive is padded
        self.sizes.append(counted.count)

    def _take_member(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = posixpath.normpath(member.name).strip("/")
        folder, name = posixpath.split(path)
        if name == _ALL_GONE:
            self._remove_below(folder)
        elif name.startswith(_GONE):
            self._remove(posixpath.join(folder, name.removeprefix(_GONE)))
        elif path != ".":
            self._add(path, member)
            if member.isfile():
                self._look_into(path, archive, member)

    def _add(self, path: str, member: tarfile.TarInfo) -> None:
        if not member.isdir():
            self._remove_below(path) if path in self.folders else None
        self.folders.discard(path)
        self.links[path] = member.linkname if member.issym() else None
        if member.isdir():
            self.folders.add(path)

    def _look_into(self, path: str, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        self.texts.pop(path, None)
        if path not in _KEPT and not _C_LIBRARY.search(path):
            return
        file = archive.extractfile(member)
        content = file.read() if file else b""
        if path in _KEPT:
            self.texts[path] = content.decode("utf-8", errors="replace")
        elif found := _C_VERSION.search(content):
            self.glibc = found[1].decode()

    def _remove(self, path: str) -> None:
        self._remove_below(path)
        self.links.pop(path, None)
        self.folders.discard(path)
        self.texts.pop(path, None)

    def _remove_below(self, folder: str) -> None:
        for path in list(self.below(folder)):
            self.links.pop(path, None)
            self.folders.discard(path)
            self.texts.pop(path, None)


class _Counted:
    """Counts what is read of a stream."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.count += len(data)
        return data


def read_tree(blobs: Blobs, layers: Sequence[ImageLayer], cache: Path, *, where: str) -> FileTree:
    """The tree of the layers; read once, then kept in the folder ``cache``.

    Raises UserErrorException, naming ``where``, for layers that are damaged.
    """
    # by the digests, which were seen to be true: the diff ids are what an image says of itself
    key = digest_of("\n".join([str(_FORMAT), *(layer.digest for layer in layers)]).encode()).partition(":")[2]
    kept = cache / f"{key}.json"
    try:
        content = json.loads(kept.read_text(encoding="utf-8"))
        used(kept)
        return FileTree(**{**content, "folders": set(content["folders"])})
    except (OSError, ValueError, TypeError):
        pass
    tree = FileTree()
    for layer in layers:
        with _opened(blobs, layer) as stream:
            _guarded(lambda stream=stream: tree.take(stream), layer, where)  # type: ignore[misc]
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=cache, delete=False, encoding="utf-8") as draft:
        json.dump({**dataclasses.asdict(tree), "folders": sorted(tree.folders)}, draft)
    Path(draft.name).rename(kept)
    return tree


def _guarded(work: Callable[[], None], layer: ImageLayer, where: str) -> None:
    try:
        work()
    except UNREADABLE as error:
        raise UserErrorException(
            f"A layer of {where} cannot be read ({layer.name}, {layer.digest}): {error}.",
            hint="Pull or save the image anew.",
        ) from error


def _opened(blobs: Blobs, layer: ImageLayer) -> IO[bytes]:
    return opened(blobs.path(layer.digest))


def extract(blobs: Blobs, layers: Iterable[ImageLayer], wanted: Callable[[str], bool], folder: Path) -> None:
    """Write the wanted files and links of the layers below the folder, under the paths that they have."""
    kept = [*layers]
    targets: dict[str, list[Path]] = {}
    for path, archive, member in _members(blobs, kept):
        if not wanted(path):
            continue
        if member.islnk():  # a second name of a file that may not be wanted by its first
            targets.setdefault(posixpath.normpath(member.linkname).strip("/"), []).append(folder / path)
        else:
            _write(archive, member, folder / path, folder)
    if targets:
        for path, archive, member in _members(blobs, kept):
            for target in targets.get(path, ()):
                _write(archive, member, target, folder)


def _members(blobs: Blobs, layers: Iterable[ImageLayer]) -> Iterator[tuple[str, tarfile.TarFile, tarfile.TarInfo]]:
    for layer in layers:
        with _opened(blobs, layer) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                yield posixpath.normpath(member.name).strip("/"), archive, member


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, root: Path) -> None:
    if not target.parent.resolve().is_relative_to(root.resolve()):
        return  # by way of a link of the image: nothing outside is written
    if member.isdir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
    elif file := archive.extractfile(member):
        with target.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        target.chmod(0o755 if member.mode & 0o111 else 0o644)
