"""Gives finished images away: to a registry, or as an archive for an engine."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelport.domain.errors import UserErrorException
from modelport.domain.progress import Progress
from modelport.images.blobs import Blobs, canonical_json
from modelport.images.image import BuiltImage, Credentials, Platform
from modelport.images.layers import WRITTEN_AT
from modelport.images.layout import sbom_name
from modelport.images.manifests import INDEX_FILE, INDEXES, LAYOUT_FILE, read_index
from modelport.images.registry.push import Sent, push_manifest, referrer
from modelport.images.registry.reference import Reference
from modelport.images.sbom import MEDIA_TYPE


def push(
    image: BuiltImage, reference: str, credentials: Credentials | None = None, *, progress: Progress | None = None
) -> str:
    """Push the image under the name; returns the name with its digest, which never means another image.

    Without credentials those of Docker's configuration file count. Raises UserErrorException for a bad name,
    RegistryException for everything that the registry does.
    """
    return push_counted(image, reference, credentials, progress=progress).reference


def push_counted(
    image: BuiltImage,
    reference: str,
    credentials: Credentials | None = None,
    *,
    neighbours: Sequence[str] = (),
    progress: Progress | None = None,
) -> Sent:
    """As ``push``; returns what was sent. ``neighbours``: repositories of the same registry that may have the same
    blobs, which it then takes from there."""
    return push_layout(image.layout, reference, credentials, neighbours=neighbours, progress=progress)


def push_layout(
    layout: Path,
    reference: str,
    credentials: Credentials | None = None,
    *,
    neighbours: Sequence[str] = (),
    progress: Progress | None = None,
) -> Sent:
    """As ``push_counted``, for everything that a layout holds: an image, or the images of several platforms."""
    blobs, root = Blobs(layout), _root(layout)
    bills = [
        referrer(blobs, (layout / sbom_name(_architecture(image))).read_bytes(), MEDIA_TYPE, image)
        for image in _images(blobs, root)
    ]
    return push_manifest(
        blobs,
        root,
        reference,
        attached=bills,
        neighbours=neighbours,
        credentials=credentials,
        progress=progress,
    )


def write_docker_archive(image: BuiltImage, reference: str, file: Path, *, without: Collection[str] = ()) -> None:
    """Write the image as ``docker save`` does, for ``docker load`` and ``podman load``: an OCI layout too.

    ``without``: diff ids of layers that the engine has already; Docker, not Podman, loads an archive without these.
    Raises UserErrorException for a bad name, OSError where the file cannot be written.
    """
    write_layout_archive(image.layout, reference, file, platform=image.platform, without=without)


def write_layout_archive(
    layout: Path, reference: str, file: Path, *, platform: Platform, without: Collection[str] = ()
) -> None:
    """As ``write_docker_archive``, for the image that a layout holds for the platform. Raises UserErrorException where
    it holds none."""
    name = Reference.parse(reference)
    tag = f"{name.registry}/{name.repository}:{name.tag or 'latest'}"
    tag = tag.removeprefix("docker.io/").removeprefix("library/")
    blobs = Blobs(layout)
    root = _image_for(blobs, _root(layout), platform, layout)
    manifest = blobs.read_json(root["digest"])
    layers = [layer["digest"] for layer in manifest["layers"]]
    diff_ids = blobs.read_json(manifest["config"]["digest"])["rootfs"]["diff_ids"]
    sent = [digest for digest, diff_id in zip(layers, diff_ids, strict=True) if diff_id not in without]
    row = {"Config": _place(manifest["config"]["digest"]), "RepoTags": [tag], "Layers": [*map(_place, layers)]}
    names = {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": name.tag or "latest"}
    index = {**read_index(layout), "manifests": [{**root, "annotations": names}]}
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        for digest in dict.fromkeys([manifest["config"]["digest"], *sent, root["digest"]]):
            with blobs.path(digest).open("rb") as content:
                archive.addfile(_member(_place(digest), blobs.path(digest).stat().st_size), content)
        for path, text in (
            (LAYOUT_FILE, (layout / LAYOUT_FILE).read_bytes()),
            (INDEX_FILE, canonical_json(index)),
            ("manifest.json", json.dumps([row]).encode()),
        ):
            archive.addfile(_member(path, len(text)), io.BytesIO(text))


def _root(layout: Path) -> dict[str, Any]:
    root: dict[str, Any] = read_index(layout)["manifests"][0]
    return root


def _images(blobs: Blobs, root: dict[str, Any]) -> list[dict[str, Any]]:
    """The descriptors of the images: the root itself, or what it lists."""
    return list(blobs.read_json(root["digest"])["manifests"]) if root["mediaType"] in INDEXES else [root]


def _architecture(image: Mapping[str, Any]) -> str:
    return str(image["platform"]["architecture"])


def _image_for(blobs: Blobs, root: dict[str, Any], platform: Platform, layout: Path) -> dict[str, Any]:
    images = {_architecture(image): image for image in _images(blobs, root)}
    if platform.architecture not in images:
        raise UserErrorException(
            f"{layout} has no image for {platform}. It has: {', '.join(images)}.",
            hint=f"Package the models for {platform} too: --platform {platform}.",
        )
    return images[platform.architecture]


def _place(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _member(path: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size, member.mode, member.mtime = size, 0o644, WRITTEN_AT
    return member
