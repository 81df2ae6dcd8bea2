"""What is read out of layers."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelport.exceptions import UserErrorException
from modelport.images.blobs import Blobs, digest_of
from modelport.images.file_tree import FileTree, extract, read_tree
from modelport.images.layers import compress, zstd
from modelport.images.manifests import layer_descriptor, layers_of
from modelport.images.pythons import ImagePython, pythons_of, server_python

from .made_of_files import DEBIAN, write_tar


def _tree(folder: Path, *layers: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> FileTree:
    blobs = Blobs(folder)
    made = [
        compress(blobs, "base", write_tar(folder / f"{number}.tar", layer, links if number == 0 else None))
        for number, layer in enumerate(layers)
    ]
    tree = read_tree(blobs, made, folder / "trees", where="the base")
    assert read_tree(blobs, made, folder / "trees", where="the base") == tree, "it is kept as it was"
    assert tree.sizes == [layer.bytes for layer in made]
    return tree


def test_upper_layers_take_away_what_lower_ones_have(tmp_path: Path) -> None:
    below = {"a/one": b"1", "a/two": b"2", "b/one": b"1", "b/deep/two": b"2", "etc/passwd": b"old"}
    above = {"a/.wh.one": b"", "b/.wh..wh..opq": b"", "b/three": b"3", "etc/passwd": b"new"}
    tree = _tree(tmp_path, below, above)
    assert [path for path in ("a/one", "a/two", "b/one", "b/deep/two", "b/three") if tree.has(path)] == [
        "a/two",
        "b/three",
    ]
    assert tree.text("etc/passwd") == "new"


def test_links_are_followed_as_the_kernel_does(tmp_path: Path) -> None:
    links = {"lib": "usr/lib", "usr/lib/here": "/usr/lib/x/../y", "loop": "loop", "usr/bin/sh": "../../lib/y/f"}
    tree = _tree(tmp_path, {"usr/lib/y/f": b"", "usr/lib/x/g": b""}, links=links)
    assert tree.resolve("lib/y/f") == "usr/lib/y/f"
    assert tree.resolve("/lib/here/f") == "usr/lib/y/f"
    assert tree.resolve("usr/bin/sh") == "usr/lib/y/f"
    assert tree.resolve("loop") is None
    assert tree.resolve("lib/nothing") is None


def test_pythons_and_the_c_library_are_found(tmp_path: Path) -> None:
    content = {
        **DEBIAN,
        "usr/local/bin/python3.12": b"",
        "usr/local/lib/python3.12/os.py": b"",
        "opt/conda/bin/python3.6": b"",
        "opt/conda/lib/python3.6/os.py": b"",
        "usr/bin/python3.9": b"without its library",
    }
    tree = _tree(tmp_path, content, links={"usr/bin/python3": "python3.11"})
    assert pythons_of(tree) == [
        ImagePython("3.12", "/usr/local/bin/python3.12"),
        ImagePython("3.11", "/usr/bin/python3.11"),
        ImagePython("3.6", "/opt/conda/bin/python3.6"),
    ]
    assert tree.glibc == "2.36"
    assert server_python(tree, "3.11") == ImagePython("3.11", "/usr/bin/python3.11"), "the one that is ours"
    assert server_python(tree, "3.10") == ImagePython("3.12", "/usr/local/bin/python3.12"), "else the newest"


def test_a_damaged_layer_is_named(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    layer = compress(blobs, "base 1 of 1", write_tar(tmp_path / "a.tar", {"a": b"x" * 100_000}))
    path = blobs.path(layer.digest)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserErrorException, match=r"A layer of the base cannot be read \(base 1 of 1, sha256:"):
        read_tree(blobs, [layer], tmp_path / "trees", where="the base")


def test_layers_compressed_with_zstd_are_read(tmp_path: Path) -> None:
    """Also those with frames that tell of the content: what Podman calls zstd:chunked."""
    plain = write_tar(tmp_path / "a.tar", {"etc/passwd": b"root"}).read_bytes()
    half = len(plain) // 2
    told = b"\x50\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"skipped"
    content = zstd.compress(plain[:half]) + told + zstd.compress(plain[half:]) + told
    blobs = Blobs(tmp_path)
    digest = blobs.add(content)
    described = {
        "layers": [{"digest": digest, "size": len(content), "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}]
    }
    (layer,) = layers_of(described, {"rootfs": {"diff_ids": [digest_of(plain)]}}, where="the base")
    tree = read_tree(blobs, [layer], tmp_path / "trees", where="the base")
    assert (tree.text("/etc/passwd"), tree.sizes) == ("root", [len(plain)])
    assert layer_descriptor(layer) == described["layers"][0], "it is passed on as it is"
    blobs.path(digest).write_bytes(content[: half // 64])
    with pytest.raises(UserErrorException, match=r"A layer of the base cannot be read"):
        read_tree(blobs, [layer], tmp_path / "others", where="the base")


def test_what_is_taken_out_stays_in_its_folder(tmp_path: Path) -> None:
    """Neither a link of an image nor a second name of a file leads astray."""
    outside = tmp_path / "outside"
    outside.mkdir()
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        for name, kind, link in (
            ("bin/liba.so", tarfile.SYMTYPE, str(outside)),
            ("bin/liba.so/libb.so", tarfile.REGTYPE, ""),
            ("../libc.so", tarfile.REGTYPE, ""),
            ("bin/first", tarfile.REGTYPE, ""),
            ("bin/libd.so", tarfile.LNKTYPE, "bin/first"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, link
            member.size = 3 if kind == tarfile.REGTYPE else 0
            tar.addfile(member, io.BytesIO(b"abc") if member.size else None)
    blobs = Blobs(tmp_path / "x")
    layer = compress(blobs, "base", archive)
    extract(blobs, [layer], lambda path: path.endswith(".so"), tmp_path / "root")
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "libc.so").exists()
    assert (tmp_path / "root" / "bin" / "libd.so").read_bytes() == b"abc"
