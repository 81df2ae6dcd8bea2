"""The documents of images: indexes, manifests, configurations, and folders that hold them.

Source of the formats: the OCI image specification, 1.1; Docker's schema 2, which differs in media types alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from modelport.domain.errors import UserErrorException
from modelport.images.blobs import Blobs, canonical_json, digest_of, is_digest
from modelport.images.image import GZIP_LAYER, ZSTD_LAYER, ImageLayer, Platform

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
_DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
INDEXES = (INDEX, _DOCKER_INDEX)
MANIFESTS = (MANIFEST, _DOCKER_MANIFEST)

_TAR_LAYER = "application/vnd.oci.image.layer.v1.tar"
_READABLE_LAYERS = {
    GZIP_LAYER: GZIP_LAYER,
    ZSTD_LAYER: ZSTD_LAYER,
    _TAR_LAYER: _TAR_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.gzip": GZIP_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": ZSTD_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar": _TAR_LAYER,
}
"""Media types of layers that are read, and what the same bytes are called in an OCI manifest."""

LAYOUT_FILE = "oci-layout"
INDEX_FILE = "index.json"
_REFERENCE = "org.opencontainers.image.ref.name"

Fetch = Callable[[Mapping[str, Any]], bytes]
"""The content of a descriptor."""


def descriptor(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    """What names the content in other documents."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def layer_descriptor(layer: ImageLayer) -> dict[str, Any]:
    """The layer as a manifest names it."""
    return {"mediaType": layer.media_type, "digest": layer.digest, "size": layer.compressed_bytes}


def manifest_for(found: Mapping[str, Any], platform: Platform, fetch: Fetch, *, where: str) -> dict[str, Any]:
    """The manifest for the platform; ``found`` is it, or an index that leads to it.

    Raises UserErrorException, naming ``where``, where there is none.
    """
    if "manifests" not in found:
        return _checked_manifest(found, where)
    for entry in found["manifests"]:
        if entry.get("mediaType") in INDEXES or _fits(entry, platform):
            _check_digest(entry, where)
            return manifest_for(json.loads(fetch(entry)), platform, fetch, where=where)
    there = sorted({_platform_of(entry) for entry in found["manifests"]} - {"unknown/unknown"})
    raise UserErrorException(
        f"{where} has no image for {platform}. It has: {', '.join(there) or 'none'}.",
        hint="Name another base image, or another platform.",
    )


def _checked_manifest(found: Mapping[str, Any], where: str) -> dict[str, Any]:
    if found.get("schemaVersion") != 2 or "config" not in found:
        raise UserErrorException(
            f"{where} is no image: its manifest is of the type {found.get('mediaType')!r}, schema "
            f"{found.get('schemaVersion')!r}.",
            hint="Images of Docker's schema 1 have to be pushed again by a Docker of this decade.",
        )
    for entry in (found["config"], *found["layers"]):
        _check_digest(entry, where)
    return dict(found)


def _check_digest(entry: Mapping[str, Any], where: str) -> None:
    """Digests become names of files: nothing else may be one."""
    if not is_digest(entry.get("digest")):
        raise UserErrorException(
            f"{where} is damaged: it names {entry.get('digest')!r}, which is no digest of the form sha256:<64 digits>.",
            hint="Pull or save the image anew, from where you trust it.",
        )


def _fits(entry: Mapping[str, Any], platform: Platform) -> bool:
    about = entry.get("platform")
    if about is None:
        return entry.get("mediaType") in MANIFESTS and "artifactType" not in entry
    return (about.get("os"), about.get("architecture")) == (platform.os, platform.architecture)


def _platform_of(entry: Mapping[str, Any]) -> str:
    about = entry.get("platform") or {}
    return f"{about.get('os', 'unknown')}/{about.get('architecture', 'unknown')}"


def layers_of(manifest: Mapping[str, Any], config: Mapping[str, Any], *, where: str) -> tuple[ImageLayer, ...]:
    """The layers of a manifest. Their uncompressed sizes are not known yet: 0.

    Raises UserErrorException for layers that cannot be read.
    """
    diff_ids = config["rootfs"]["diff_ids"]
    layers = manifest["layers"]
    if len(diff_ids) != len(layers):
        raise UserErrorException(f"{where} is damaged: {len(layers)} layers, {len(diff_ids)} of them described.")
    return tuple(
        ImageLayer(
            name=f"base {number} of {len(layers)}",
            digest=layer["digest"],
            diff_id=diff_id,
            bytes=0,
            compressed_bytes=layer["size"],
            media_type=_readable(str(layer["mediaType"]), where),
        )
        for number, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True), start=1)
    )


def _readable(media_type: str, where: str) -> str:
    if media_type not in _READABLE_LAYERS:
        raise UserErrorException(
            f"{where} has a layer of the type {media_type}, which is not read here.",
            hint="Layers may be plain, or compressed with gzip or zstd: push it anew with --compression-format gzip.",
        )
    return _READABLE_LAYERS[media_type]


def write_layout(folder: Path, manifests: Iterable[Mapping[str, Any]], *, reference: str | None = None) -> None:
    """Make a layout of the folder, which has the blobs: the file that says so, and the index of the manifests."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LAYOUT_FILE).write_bytes(canonical_json({"imageLayoutVersion": "1.0.0"}))
    entries = [dict(entry) for entry in manifests]
    if reference is not None and entries:
        entries[0]["annotations"] = {**entries[0].get("annotations", {}), _REFERENCE: reference}
    (folder / INDEX_FILE).write_bytes(canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}))


def read_index(folder: Path) -> dict[str, Any]:
    """The index of a layout. Raises UserErrorException where the folder is none."""
    try:
        document: dict[str, Any] = json.loads((folder / INDEX_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise UserErrorException(
            f"{folder} is no OCI layout: {error}.", hint="A layout is a folder with index.json and blobs."
        ) from error
    return document


def fetch_from(blobs: Blobs, *, where: str) -> Fetch:
    """Reads descriptors of a layout."""

    def fetch(entry: Mapping[str, Any]) -> bytes:
        try:
            content = blobs.read(entry["digest"])
        except OSError as error:
            raise UserErrorException(f"{where} is damaged: {error}.") from error
        if digest_of(content) != entry["digest"]:
            raise UserErrorException(f"{where} is damaged: {entry['digest']} has another content.")
        return content

    return fetch
