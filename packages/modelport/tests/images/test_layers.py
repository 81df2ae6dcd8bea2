"""Archives that come out the same."""

from __future__ import annotations

import gzip
import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from modelport.images.blobs import Blobs
from modelport.images.layers import WRITTEN_AT, Entry, LayerCache, compress, entries_below, write_layer


def _folder(root: Path, *names: str) -> Path:
    """A folder with files, the one named ``run`` executable, and a link to that."""
    folder = root / "content"
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"content of {name}")
    (folder / "run").chmod(0o755)
    (folder / "link").symlink_to("run")
    return folder


def test_the_same_files_are_the_same_layer(tmp_path: Path) -> None:
    first = _folder(tmp_path / "1", "run", "a/one", "b/two")
    second = _folder(tmp_path / "2", "b/two", "a/one", "run")
    (second / "run").chmod(0o700)
    (second / "b/two").chmod(0o600)
    os.utime(second / "a/one", (1, 1))
    one = write_layer(Blobs(tmp_path / "x"), "code", entries_below(first, "/var/app", owner=7))
    two = write_layer(Blobs(tmp_path / "y"), "code", [*entries_below(second, "/var/app", owner=7)][::-1])
    assert one == two


def test_a_layer_says_what_lies_in_it(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "x")
    entries = [*entries_below(_folder(tmp_path, "run", "data"), "/var/app", owner=7)]
    layer = write_layer(blobs, "code", [*entries, Entry(path="/etc/hosts", content=b"x")])
    packed = blobs.read(layer.digest)
    archive = gzip.decompress(packed)
    assert layer.digest == "sha256:" + hashlib.sha256(packed).hexdigest()
    assert layer.diff_id == "sha256:" + hashlib.sha256(archive).hexdigest()
    assert (layer.bytes, layer.compressed_bytes) == (len(archive), len(packed))
    with tarfile.open(blobs.path(layer.digest)) as members:
        found = {each.name: (each.mode, each.uid, each.gid, each.mtime, each.linkname) for each in members}
    assert found == {
        "etc/hosts": (0o644, 0, 0, WRITTEN_AT, ""),
        "var/app": (0o755, 7, 7, WRITTEN_AT, ""),
        "var/app/data": (0o644, 7, 7, WRITTEN_AT, ""),
        "var/app/link": (0o777, 7, 7, WRITTEN_AT, "run"),
        "var/app/run": (0o755, 7, 7, WRITTEN_AT, ""),
    }


def test_an_archive_becomes_a_layer_compressed_or_not(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    content = os.urandom(3_000_000) + bytes(3_000_000)
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "packed").write_bytes(gzip.compress(content))
    plain, packed = compress(blobs, "base", tmp_path / "plain"), compress(blobs, "base", tmp_path / "packed")
    assert plain == packed
    assert plain.diff_id == "sha256:" + hashlib.sha256(content).hexdigest()
    assert gzip.decompress(blobs.read(plain.digest)) == content


def test_a_layer_is_made_once(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    cache = LayerCache(blobs, tmp_path / "layers")
    made = []

    def entries() -> list[Entry]:
        made.append(1)
        return [Entry(path="/a", content=b"a")]

    first, was_there = cache.layer("one", "key", entries)
    assert not was_there
    assert cache.layer("two", "key", entries)[0].name == "two"
    assert cache.layer("one", "key", entries) == (first, True)
    blobs.path(first.digest).unlink()
    assert cache.layer("one", "key", entries) == (first, False), "its blob was gone"
    assert len(made) == 2
    blobs.path(first.digest).write_bytes(b"")
    assert cache.layer("one", "key", entries) == (first, False), "a loss of power left it empty"


def test_what_has_its_name_is_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[str, int]] = []

    def fsync(file: int) -> None:
        synced.append((Path(f"/proc/self/fd/{file}").readlink().name, os.fstat(file).st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    digest = Blobs(tmp_path).add(b"content")
    assert Blobs(tmp_path).has(digest, 7)
    ((name, size),) = synced
    assert name.startswith(".draft-")
    assert size == 7
