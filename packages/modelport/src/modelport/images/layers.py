"""Layers: archives that come out the same, bit by bit, whenever and wherever the same files go in."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import json
import lzma
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

if sys.version_info >= (3, 14):
    from compression import zstd as zstd
else:
    from backports import zstd as zstd

from modelport.domain.errors import StoreException
from modelport.images.blobs import CHUNK_BYTES, Blobs, Count, Draft
from modelport.images.cache import used
from modelport.images.image import ImageLayer

FORMAT = 2
"""Goes up when the same files give another archive, so that nothing older is taken from a cache."""

WRITTEN_AT = 315532800
"""The time of every file, seconds since the epoch: 1980, the first that zip files can tell."""

_LEVEL = 6

_COMPRESSED: Mapping[bytes, Callable[[Path], object]] = {
    b"\x1f\x8b": gzip.open,
    b"\x28\xb5\x2f\xfd": zstd.open,
    b"\xfd7zXZ\x00": lzma.open,
    b"BZh": bz2.open,
}
"""How such files begin (RFC 1952, RFC 8878, the formats of xz and bzip2), and what reads them."""

UNREADABLE = (tarfile.TarError, EOFError, OSError, zlib.error, zstd.ZstdError, lzma.LZMAError)
"""What reading a damaged archive raises."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing in an image: a file with its ``source`` or ``content``, a link to ``target``, or a folder.

    ``path`` is absolute in the image. ``owner`` is the number of user and group. ``sha256``, hexadecimal: what the
    source's content has to be, where somebody relies on it.
    """

    path: str
    source: Path | None = None
    content: bytes | None = None
    target: str | None = None
    executable: bool = False
    owner: int = 0
    sha256: str | None = None

    @property
    def is_folder(self) -> bool:
        return self.source is None and self.content is None and self.target is None


def entries_below(folder: Path, place: str, *, owner: int = 0) -> Iterator[Entry]:
    """The folder's content, and the folder itself, as it is to lie at ``place`` in the image."""
    yield Entry(path=place, owner=owner)
    with os.scandir(folder) as found:
        children = sorted(found, key=lambda child: child.name)
    for child in children:
        path = f"{place}/{child.name}"
        if child.is_symlink():
            yield Entry(path=path, target=str(Path(child.path).readlink()), owner=owner)
        elif child.is_dir():
            yield from entries_below(Path(child.path), path, owner=owner)
        else:
            executable = bool(child.stat().st_mode & 0o111)
            yield Entry(path=path, source=Path(child.path), executable=executable, owner=owner)


def write_layer(blobs: Blobs, name: str, entries: Iterable[Entry]) -> ImageLayer:
    """Write the archive of the entries as a blob. Their order does not matter; of two for one path the last counts.

    Raises StoreException, and keeps nothing, where a source is not what its entry says.
    """
    wanted = {entry.path: entry for entry in entries}
    with blobs.draft() as compressed:
        packer = Gzip(compressed)
        with tarfile.open(fileobj=cast(Any, packer), mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(wanted):
                _add(archive, wanted[path])
        packer.finish()
    return ImageLayer(
        name=name,
        digest=compressed.digest,
        diff_id=packer.content.digest,
        bytes=packer.content.size,
        compressed_bytes=compressed.size,
    )


class Gzip:
    """Compresses what is written to it. ``gzip.GzipFile`` would do, but what it writes differs between Pythons."""

    def __init__(self, target: Draft) -> None:
        self.content = Count()
        self._target = target
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._checksum = 0
        target.write(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff")  # RFC 1952: deflate, no name, no time, any system

    def write(self, data: bytes) -> int:
        self._checksum = zlib.crc32(data, self._checksum)
        self.content.add(data)
        self._target.write(self._packer.compress(data))
        return len(data)

    def finish(self) -> None:
        self._target.write(self._packer.flush())
        size = self.content.size & 0xFFFFFFFF
        self._target.write(self._checksum.to_bytes(4, "little") + size.to_bytes(4, "little"))


def _add(archive: tarfile.TarFile, entry: Entry) -> None:
    member = tarfile.TarInfo(entry.path.strip("/"))
    member.mtime = WRITTEN_AT
    member.uid = member.gid = entry.owner
    if entry.target is not None:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, entry.target, 0o777
        archive.addfile(member)
    elif entry.is_folder:
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(member)
    else:
        member.mode = 0o755 if entry.executable else 0o644
        _add_content(archive, member, entry)


def _add_content(archive: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry) -> None:
    if entry.source is None:
        content = entry.content or b""
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
        return
    with entry.source.open("rb") as file:
        member.size = os.fstat(file.fileno()).st_size
        source = _Hashed(file)
        archive.addfile(member, cast(Any, source))
    if entry.sha256 is not None and source.digest != f"sha256:{entry.sha256}":
        raise StoreException(
            f"{entry.source} is not what it was: its SHA-256 should be {entry.sha256}, and it is another.",
            hint="Deploy or package again; the bundle is then built anew.",
        )


class _Hashed(Count):
    """Counts what is read of a file."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__()
        self._file = file

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.add(data)
        return data


class LayerCache:
    """Layers by what they are made of."""

    def __init__(self, blobs: Blobs, folder: Path) -> None:
        self.blobs = blobs
        self._folder = folder

    def layer(self, name: str, key: str, make: Callable[[], Iterable[Entry]]) -> tuple[ImageLayer, bool]:
        """The layer of that key, and whether it was there already; else it is written of what ``make`` returns."""
        kept = self.get(key)
        if kept is not None:
            return dataclasses.replace(kept, name=name), True
        layer = write_layer(self.blobs, name, make())
        self.put(key, layer)
        return layer, False

    def get(self, key: str) -> ImageLayer | None:
        try:
            layer = ImageLayer(**json.loads(self._file(key).read_text(encoding="utf-8")))
            is_here = self.blobs.has(layer.digest, layer.compressed_bytes)
        except (OSError, ValueError, TypeError):
            return None
        if not is_here:
            return None
        used(self._file(key))
        return layer

    def put(self, key: str, layer: ImageLayer) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self._folder, delete=False, encoding="utf-8") as draft:
            json.dump(dataclasses.asdict(layer), draft)
            draft.flush()
            os.fsync(draft.fileno())
        Path(draft.name).rename(self._file(key))

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"


def opened(archive: Path) -> IO[bytes]:
    """The archive's own content, where it is compressed with gzip, zstd, xz or bzip2 too. What reads it raises
    UNREADABLE."""
    with archive.open("rb") as file:
        start = file.read(max(map(len, _COMPRESSED)))
    for begin, reader in _COMPRESSED.items():
        if start.startswith(begin):
            return cast(IO[bytes], reader(archive))
    return archive.open("rb")


def compress(blobs: Blobs, name: str, archive: Path) -> ImageLayer:
    """A layer of an archive that is there, compressed already or not."""
    with blobs.draft() as compressed, opened(archive) as content:
        packer = Gzip(compressed)
        while chunk := content.read(CHUNK_BYTES):
            packer.write(chunk)
        packer.finish()
    return ImageLayer(
        name=name,
        digest=compressed.digest,
        diff_id=packer.content.digest,
        bytes=packer.content.size,
        compressed_bytes=compressed.size,
    )
