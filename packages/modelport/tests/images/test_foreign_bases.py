"""Bases that somebody else wrote, and that say what is not so."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from modelport.domain.progress import Silent
from modelport.exceptions import UserErrorException
from modelport.images.bases import BaseImage, Bases
from modelport.images.blobs import Blobs, digest_of
from modelport.images.image import Platform
from modelport.images.manifests import CONFIG, MANIFEST, descriptor, write_layout

from .made_of_files import DEBIAN, write_tar

AMD64 = Platform("amd64")
GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


def foreign_layout(
    folder: Path, *, layer: Mapping[str, Any] | None = None, config: Mapping[str, Any] | None = None
) -> tuple[Path, str]:
    """A layout with one layer, and the layer's digest. ``layer`` and ``config`` change what is said of them."""
    blobs = Blobs(folder / "layout")
    archive = write_tar(folder / "debian.tar", DEBIAN).read_bytes()
    digest = blobs.add(packed := gzip.compress(archive))
    diff_ids = ["sha256:" + hashlib.sha256(archive).hexdigest()]
    about = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    text = json.dumps({**about, **(config or {})}).encode()
    blobs.add(text)
    entry = {"mediaType": GZIP, "digest": digest, "size": len(packed), **(layer or {})}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, text), "layers": [entry]}
    blobs.add(content := json.dumps(manifest).encode())
    write_layout(blobs.root, [descriptor(MANIFEST, content)])
    return blobs.root, digest


def read(folder: Path, base: Path, platform: Platform = AMD64) -> BaseImage:
    return Bases(folder / "cache", progress=Silent()).read(str(base), platform)


def test_a_digest_is_no_path(tmp_path: Path) -> None:
    layout, _ = foreign_layout(tmp_path, layer={"digest": "sha256:a/../../../../outside"})
    (layout / "blobs" / "sha256" / "a").symlink_to(tmp_path)
    (tmp_path / "outside").write_bytes(b"of somebody")
    with pytest.raises(UserErrorException, match=r"layout is damaged: it names 'sha256:a/\.\./.*no digest"):
        read(tmp_path, layout)
    assert not (tmp_path / "cache").exists()
    for digest in ("sha256:../..", "sha256:", "../../x", "sha512:" + "0" * 64, "sha256:" + "A" * 64):
        with pytest.raises(ValueError, match="is no digest"):
            Blobs(tmp_path / "cache").has(digest)


def test_layers_are_copied_and_seen_to_be_what_they_are_called(tmp_path: Path) -> None:
    layout, digest = foreign_layout(tmp_path)
    read(tmp_path, layout)
    foreign, kept = Blobs(layout).path(digest), Blobs(tmp_path / "cache").path(digest)
    content = kept.read_bytes()
    foreign.write_bytes(b"changed afterwards")
    assert kept.read_bytes() == content
    kept.unlink()
    with pytest.raises(UserErrorException, match=rf"layout is damaged: its layer {digest} .* its digest is sha256:"):
        read(tmp_path, layout)
    assert not kept.exists()


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_layer_is_a_file(tmp_path: Path, kind: str) -> None:
    layout, digest = foreign_layout(tmp_path)
    foreign = Blobs(layout).path(digest)
    foreign.rename(tmp_path / "elsewhere")
    if kind == "link":
        foreign.symlink_to(tmp_path / "elsewhere")
    else:
        os.mkfifo(foreign)
    with pytest.raises(UserErrorException, match=r"cannot be taken(.|\n)*links are not followed"):
        read(tmp_path, layout)
    assert not Blobs(tmp_path / "cache").has(digest)


def test_the_files_of_a_base_are_those_of_its_layers_whatever_it_says_of_them(tmp_path: Path) -> None:
    honest, _ = foreign_layout(tmp_path / "honest")
    said = read(tmp_path, honest).config["rootfs"]
    packed = gzip.compress(write_tar(tmp_path / "bare.tar", {"etc/passwd": b""}).read_bytes())
    bare = {"digest": digest_of(packed), "size": len(packed)}
    lying, _ = foreign_layout(tmp_path / "lying", layer=bare, config={"rootfs": said})
    Blobs(lying).add(packed)
    assert not read(tmp_path, lying).tree.has("usr/bin/python3.11")


def test_a_layer_of_an_archive_is_called_by_a_digest(tmp_path: Path) -> None:
    config = {"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": ["../../x"]}}
    row = {"Config": "config.json", "Layers": ["layer.tar"]}
    layer = write_tar(tmp_path / "layer.tar", DEBIAN).read_bytes()
    content = {"manifest.json": json.dumps([row]).encode(), "config.json": json.dumps(config).encode()}
    base = write_tar(tmp_path / "base.tar", {**content, "layer.tar": layer})
    with pytest.raises(UserErrorException, match=r"base\.tar is damaged: its layers are called \['\.\./\.\./x'\]"):
        read(tmp_path, base)
