"""Finished images, each in a layout of its own whose blobs are shared with the cache."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelport.images.blobs import Blobs, canonical_json, digest_of
from modelport.images.cache import IMAGES, discard, used
from modelport.images.image import BuiltImage, ImageLayer, Platform
from modelport.images.manifests import INDEX, INDEX_FILE, LAYOUT_FILE, MANIFEST, descriptor, read_index, write_layout
from modelport.images.sbom import bill_of_materials
from modelport.packages.saving import check_nothing_is_lost


def sbom_name(architecture: str) -> str:
    """The file with the bill of materials of an image, beside the files of its layout."""
    return f"sbom-{architecture}.cdx.json"


def keep_image(
    cache: Path, layers: Sequence[ImageLayer], config: bytes, manifest: bytes, platform: Platform, *, name: str
) -> BuiltImage:
    """The image as a layout below the cache, named by its digest. What is there already stays as it is."""
    digest, config_digest = digest_of(manifest), digest_of(config)
    folder = cache / IMAGES / digest.partition(":")[2]
    texts = {config_digest: len(config), digest: len(manifest)}
    if not _is_whole(folder, layers, texts, platform):
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
        try:
            _fill(draft, cache, layers, config, manifest, platform, name)
            draft.chmod(0o755)
            _sync(draft)
            if not _is_whole(folder, layers, texts, platform):  # another builder may have been faster
                discard(folder)
            _settle(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    used(folder)
    return BuiltImage(
        layout=folder,
        digest=digest,
        config_digest=config_digest,
        layers=tuple(layers),
        platform=platform,
        sbom=folder / sbom_name(platform.architecture),
    )


def _is_whole(folder: Path, layers: Sequence[ImageLayer], texts: Mapping[str, int], platform: Platform) -> bool:
    """Whether all of the image is there; a program that was killed, or a loss of power, may have left less."""
    blobs = Blobs(folder)
    sizes = {**texts, **{layer.digest: layer.compressed_bytes for layer in layers}}
    files = [folder / name for name in (INDEX_FILE, LAYOUT_FILE, sbom_name(platform.architecture))]
    return all(blobs.has(digest, size) for digest, size in sizes.items()) and all(
        file.is_file() and file.stat().st_size > 0 for file in files
    )


def _sync(folder: Path) -> None:
    """Have the files and the folders on the disk, before the image has its name."""
    for path in (*folder.rglob("*"), folder):
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)


def _fill(
    draft: Path,
    cache: Path,
    layers: Sequence[ImageLayer],
    config: bytes,
    manifest: bytes,
    platform: Platform,
    name: str,
) -> None:
    blobs, kept = Blobs(draft), Blobs(cache)
    for layer in layers:
        kept.share(layer.digest, blobs)
    blobs.add(config)
    about = {"os": platform.os, "architecture": platform.architecture}
    write_layout(draft, [descriptor(MANIFEST, manifest, platform=about)])
    blobs.add(manifest)
    bill = bill_of_materials(kept, layers, cache / "components", name=name)
    text = json.dumps(bill, indent=1, sort_keys=True) + "\n"
    (draft / sbom_name(platform.architecture)).write_text(text, encoding="utf-8")


def copy_images(images: Sequence[BuiltImage], folder: Path, *, reference: str) -> str:
    """Write a layout with the images, one for each platform, linked where the file system allows; returns the digest
    of the image, or of the index of several. The folder must not exist. Raises OSError."""
    blobs = Blobs(folder)
    entries = []
    for image in images:
        source = Blobs(image.layout)
        for layer in image.layers:
            source.share(layer.digest, blobs)
        for digest in (image.config_digest, image.digest):
            source.share(digest, blobs)
        (folder / image.sbom.name).write_bytes(image.sbom.read_bytes())
        entries += read_index(image.layout)["manifests"]
    if len(entries) == 1:
        (root,) = entries
    else:
        index = canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})
        blobs.add(index)
        root = descriptor(INDEX, index)
    write_layout(folder, [root], reference=reference)
    return str(root["digest"])


def copy_layout(folder: Path, target: Path) -> None:
    """Copy a layout, for somebody to take away. What another layout left there is replaced; other files stay.

    Raises UserErrorException where something of these names is there that is of no layout of ours, OSError.
    """
    bills = [*target.glob(sbom_name("*"))]
    if not (bills and (target / LAYOUT_FILE).is_file() and (target / INDEX_FILE).is_file()):
        check_nothing_is_lost(target, [path.name for path in folder.iterdir()])
        bills = []
    target.mkdir(parents=True, exist_ok=True)
    if bills:
        shutil.rmtree(target / "blobs", ignore_errors=True)
    for old in bills:
        old.unlink()
    for path in sorted(folder.iterdir(), key=Path.is_dir):  # first what shows that it is a layout
        if path.is_dir():
            shutil.copytree(path, target / path.name)
        else:
            shutil.copyfile(path, target / path.name)


def _settle(draft: Path, folder: Path) -> None:
    """Another builder of the same image may have been faster: its image is as good."""
    try:
        draft.rename(folder)
    except OSError:
        if not folder.exists():
            raise
