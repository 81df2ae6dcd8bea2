"""What an image stands on: an image of a registry, of a layout, of an archive, of an engine, or a root file system."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modelport.domain.errors import UserErrorException
from modelport.domain.progress import Progress
from modelport.images.blobs import Blobs, is_digest
from modelport.images.cache import LAYERS
from modelport.images.file_tree import FileTree, read_tree
from modelport.images.image import Credentials, ImageLayer, Platform
from modelport.images.layers import UNREADABLE, LayerCache, compress, opened
from modelport.images.manifests import (
    INDEX_FILE,
    LAYOUT_FILE,
    fetch_from,
    layers_of,
    manifest_for,
    read_index,
)
from modelport.images.registry.pull import pull_image
from modelport.packages.engine import find_engine

ENGINE = "engine:"


@dataclass(frozen=True, kw_only=True)
class BaseImage:
    """A base. Its layers lie in the cache's blobs."""

    name: str
    layers: tuple[ImageLayer, ...]
    config: Mapping[str, Any]
    tree: FileTree = field(repr=False)
    digest: str | None = None
    """Of the manifest that it was read from, if it was."""


class Bases:
    """Reads bases. What is read is kept below the folder ``cache``."""

    def __init__(self, cache: Path, *, credentials: Credentials | None = None, progress: Progress) -> None:
        self.blobs = Blobs(cache)
        self.layers = LayerCache(self.blobs, cache / LAYERS)
        self._trees = cache / "trees"
        self._credentials = credentials
        self._progress = progress

    def read(self, base: str, platform: Platform) -> BaseImage:
        """The image that is named as ``ImageSettings.base`` says.

        Raises UserErrorException where it is not there, damaged, or of another platform; RegistryFailed where a
        registry does not give it.
        """
        path = Path(base)
        if base.startswith(ENGINE):
            return self._of_engine(base.removeprefix(ENGINE), platform)
        if (path / INDEX_FILE).is_file():
            return self._of_layout(path, platform, where=base)
        if path.is_file():
            return self._of_archive(path, platform, where=base)
        if base.startswith(("/", "./", "../")) or base.endswith(".tar"):
            raise UserErrorException(
                f"The base image {base} is not there.",
                hint="Name a reference of a registry, a folder with an OCI layout, an archive of an image, or "
                f"{ENGINE}NAME for an image that the container engine has.",
            )
        return self._of_registry(base, platform)

    def _of_registry(self, reference: str, platform: Platform) -> BaseImage:
        self._progress.step(f"Pulling the base image {reference}")
        pulled = pull_image(
            reference, self.blobs, platform=platform, credentials=self._credentials, progress=self._progress
        )
        return self._base(reference, pulled.manifest, pulled.config, platform, digest=pulled.digest)

    def _of_layout(self, folder: Path, platform: Platform, *, where: str) -> BaseImage:
        other = Blobs(folder)
        fetch = fetch_from(other, where=where)
        manifest = manifest_for(read_index(folder), platform, fetch, where=where)
        config = json.loads(fetch(manifest["config"]))
        for layer in manifest["layers"]:
            self._take(layer, other, where)
        return self._base(where, manifest, config, platform)

    def _take(self, layer: Mapping[str, Any], layout: Blobs, where: str) -> None:
        digest = layer["digest"]
        if self.blobs.has(digest, layer["size"]):
            return
        try:
            self.blobs.take(digest, layout)
        except (OSError, ValueError) as error:
            raise UserErrorException(
                f"{where} is damaged: its layer {digest} cannot be taken: {error}.",
                hint="Write the layout anew, with the layers as files: links are not followed (cp -L copies them).",
            ) from error

    def _of_archive(self, file: Path, platform: Platform, *, where: str) -> BaseImage:
        with _archive(file, where) as archive:
            names = _first_names(archive)
        if LAYOUT_FILE in names or "manifest.json" in names:
            with tempfile.TemporaryDirectory(prefix="modelport-base-") as name:
                with _archive(file, where) as archive:
                    archive.extractall(name, filter="data")
                if (Path(name) / "manifest.json").exists():
                    return self._of_docker(Path(name), platform, where=where)
                return self._of_layout(Path(name), platform, where=where)
        return self._of_root(file, platform, where=where)

    def _of_docker(self, folder: Path, platform: Platform, *, where: str) -> BaseImage:
        """What ``docker save`` wrote, unpacked."""
        images = json.loads((folder / "manifest.json").read_bytes())
        config = json.loads((folder / images[0]["Config"]).read_bytes())
        _check_platform(where, config, platform)
        files = [folder / layer for layer in images[0]["Layers"]]
        if not all(file.resolve().is_relative_to(folder.resolve()) for file in files):
            raise UserErrorException(f"{where} is damaged: its layers lie outside of it.")
        if not all(map(is_digest, config["rootfs"]["diff_ids"])):
            raise UserErrorException(f"{where} is damaged: its layers are called {config['rootfs']['diff_ids']}.")
        layers = [
            self._compressed(file, diff_id, f"base {number} of {len(files)}")
            for number, (file, diff_id) in enumerate(zip(files, config["rootfs"]["diff_ids"], strict=True), start=1)
        ]
        return self._with_tree(where, layers, config)

    def _of_root(self, file: Path, platform: Platform, *, where: str) -> BaseImage:
        """A root file system, as debootstrap and ``docker export`` make them."""
        key = _digest_of_file(file).replace(":", "-")
        layer = self.layers.get(key)
        if layer is None:
            layer = compress(self.blobs, "base", file)
            self.layers.put(key, layer)
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        config = {
            "os": platform.os,
            "architecture": platform.architecture,
            "config": {"Env": [f"PATH={path}"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        }
        return self._with_tree(where, [layer], config)

    def _of_engine(self, image: str, platform: Platform) -> BaseImage:
        engine = find_engine()
        if engine is None:
            raise UserErrorException(
                f"The base image {ENGINE}{image} is one of a container engine, and none answers (docker, podman).",
                hint="Start one, name it by MODELPORT_CONTAINER_ENGINE, or name an image of a registry.",
            )
        self._progress.step(f"Taking the base image {image} from {engine.command}")
        with tempfile.TemporaryDirectory(prefix="modelport-base-") as name:
            file = Path(name) / "image.tar"
            engine.save(image, file)
            return self._of_archive(file, platform, where=image)

    def _compressed(self, file: Path, diff_id: str, name: str) -> ImageLayer:
        key = diff_id.replace(":", "-")
        kept = self.layers.get(key)
        if kept is None:
            kept = compress(self.blobs, name, file)
            if kept.diff_id == diff_id:
                self.layers.put(key, kept)
        if kept.diff_id != diff_id:
            raise UserErrorException(f"The layer {name} of {file.name} is damaged: it is {kept.diff_id}.")
        return replace(kept, name=name)

    def _base(
        self,
        name: str,
        manifest: Mapping[str, Any],
        config: Mapping[str, Any],
        platform: Platform,
        *,
        digest: str | None = None,
    ) -> BaseImage:
        _check_platform(name, config, platform)
        return self._with_tree(name, layers_of(manifest, config, where=name), config, digest=digest)

    def _with_tree(
        self, name: str, layers: Sequence[ImageLayer], config: Mapping[str, Any], *, digest: str | None = None
    ) -> BaseImage:
        tree = read_tree(self.blobs, layers, self._trees, where=name)
        sized = tuple(replace(layer, bytes=size) for layer, size in zip(layers, tree.sizes, strict=True))
        return BaseImage(name=name, layers=sized, config=config, tree=tree, digest=digest)


@contextlib.contextmanager
def _archive(file: Path, where: str) -> Iterator[tarfile.TarFile]:
    try:
        with opened(file) as content, tarfile.open(fileobj=content, mode="r:") as archive:
            yield archive
    except UNREADABLE as error:
        raise UserErrorException(
            f"{where} cannot be read as an archive: {error}.",
            hint="Write it by docker save; it may be compressed with gzip, zstd, xz or bzip2.",
        ) from error


def _first_names(archive: tarfile.TarFile) -> set[str]:
    """Names at the top: those of archives of images are few, and a root file system shows itself soon."""
    names: set[str] = set()
    for member in archive:
        name = member.name.removeprefix("./")
        names.add(name)
        if name.startswith(("etc/", "usr/", "bin/", "var/")):
            break
    return names


def _digest_of_file(file: Path) -> str:
    with file.open("rb") as reader:
        return "sha256:" + hashlib.file_digest(reader, "sha256").hexdigest()


def _check_platform(where: str, config: Mapping[str, Any], platform: Platform) -> None:
    """What the image says of itself: an index need not say it, and a reference may lead to no index."""
    if (config.get("os"), config.get("architecture")) != (platform.os, platform.architecture):
        raise UserErrorException(
            f"{where} is an image for {config.get('os')}/{config.get('architecture')}, and {platform} is wanted.",
            hint="Name another base image, or another platform.",
        )
