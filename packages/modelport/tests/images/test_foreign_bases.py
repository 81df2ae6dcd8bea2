"""Bases that somebody else wrote, and that say what is not so."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import json
import lzma
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from modelport.domain.progress import Silent
from modelport.exceptions import RegistryException, UserErrorException
from modelport.images.bases import BaseImage, Bases
from modelport.images.blobs import Blobs, digest_of
from modelport.images.image import Platform
from modelport.images.layers import zstd
from modelport.images.manifests import CONFIG, MANIFEST, descriptor, read_index, write_layout
from modelport.images.registry import client

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


Answer = Callable[[int, bytes], tuple[int, bytes]]
"""Status and body for a blob, of the first byte that is asked for and the whole."""


def _honest(start: int, content: bytes) -> tuple[int, bytes]:
    return (206, content[start:]) if start else (200, content)


@contextlib.contextmanager
def registry_of(layout: Path, *, answer: Answer = _honest) -> Iterator[str]:
    """A registry with the image of the layout, which answers for its layers as it likes; the image's name there."""
    blobs = Blobs(layout)
    (manifest,) = read_index(layout)["manifests"]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, version = self.path.rpartition("/")
            if not kind.startswith("/v2/x/"):
                self._say(200, b"{}")
            elif kind.endswith("/manifests"):
                self._say(200, blobs.read(manifest["digest"]))
            else:
                content, start = blobs.read(version), self.headers.get("Range", "bytes=0-")
                self._say(*(answer if content[:2] == b"\x1f\x8b" else _honest)(int(start[6:].rstrip("-")), content))

        def _say(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked may have seen enough
                self.wfile.write(content)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}/x/y:1"
        finally:
            server.shutdown()
            thread.join()


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


def test_the_platform_is_the_one_that_the_image_names(tmp_path: Path) -> None:
    layout, _ = foreign_layout(tmp_path)
    wanted = Platform("arm64")
    with pytest.raises(UserErrorException, match=r"layout is an image for linux/amd64, and linux/arm64 is wanted"):
        read(tmp_path, layout, wanted)
    with registry_of(layout) as name, pytest.raises(UserErrorException, match=r"is an image for linux/amd64, and"):
        read(tmp_path, Path(name), wanted)
    with registry_of(layout) as name:
        assert read(tmp_path, Path(name)).tree.has("usr/bin/python3.11")


def _ignores_ranges_and_ends_early(start: int, content: bytes) -> tuple[int, bytes]:
    return 200, content[:-9]


def _never_ends(start: int, content: bytes) -> tuple[int, bytes]:
    return 200, content + bytes(10_000_000)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (_ignores_ranges_and_ends_early, r"failed 5 times to answer .*the answer ended after \d+ bytes of \d+"),
        (_never_ends, r"gave a damaged blob: it is larger than \d+ bytes"),
    ],
)
def test_a_registry_that_has_another_size_is_not_asked_for_ever(
    tmp_path: Path, answer: Answer, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_FIRST_PAUSE_S", 0.001)
    layout, digest = foreign_layout(tmp_path)
    with registry_of(layout, answer=answer) as name, pytest.raises(RegistryException, match=said):
        read(tmp_path, Path(name))
    assert not Blobs(tmp_path / "cache").has(digest)


@pytest.mark.parametrize("kind", ["layout", "registry"])
def test_a_blob_that_lost_its_content_is_taken_again(tmp_path: Path, kind: str) -> None:
    layout, digest = foreign_layout(tmp_path)
    kept = Blobs(tmp_path / "cache").path(digest)
    kept.parent.mkdir(parents=True)
    kept.touch()
    with registry_of(layout) as name:
        assert read(tmp_path, layout if kind == "layout" else Path(name)).tree.has("usr/bin/python3.11")
    assert kept.read_bytes() == Blobs(layout).read(digest)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress, lzma.compress, bz2.compress])
def test_a_root_file_system_may_be_compressed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    base = tmp_path / "base"
    base.write_bytes(pack(write_tar(tmp_path / "debian.tar", DEBIAN).read_bytes()))
    assert read(tmp_path, base).tree.has("usr/bin/python3.11")


@pytest.mark.parametrize(
    "content",
    [b"no archive", gzip.compress(b"none"), zstd.compress(bytes(9000))[:-9]],
    ids=["bytes", "another file", "half of one"],  # gzip tells the time, which is another in each process of the tests
)
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "base").write_bytes(content)
    with pytest.raises(UserErrorException, match=r"base cannot be read as an archive"):
        read(tmp_path, tmp_path / "base")
