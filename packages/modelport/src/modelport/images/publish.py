"""Gives finished images away: to a registry, or as an archive for an engine."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from modelport.domain.progress import Progress
from modelport.images.blobs import Blobs, canonical_json
from modelport.images.image import BuiltImage, Credentials
from modelport.images.layers import WRITTEN_AT
from modelport.images.manifests import INDEX_FILE, LAYOUT_FILE, read_index
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
    blobs = Blobs(image.layout)
    root = _root(image.layout)
    bill = referrer(blobs, image.sbom.read_bytes(), MEDIA_TYPE, root)
    return push_manifest(
        blobs,
        root,
        reference,
        attached=[bill],
        neighbours=neighbours,
        credentials=credentials,
        progress=progress,
    )


def write_docker_archive(image: BuiltImage, reference: str, file: Path, *, without: Collection[str] = ()) -> None:
    """Write the image as ``docker save`` does, for ``docker load`` and ``podman load``: an OCI layout too.

    ``without``: diff ids of layers that the engine has already; Docker, not Podman, loads an archive without these.
    Raises UserErrorException for a bad name, OSError where the file cannot be written.
    """
    name = Reference.parse(reference)
    tag = f"{name.registry}/{name.repository}:{name.tag or 'latest'}"
    tag = tag.removeprefix("docker.io/").removeprefix("library/")
    blobs, root = Blobs(image.layout), _root(image.layout)
    manifest = blobs.read_json(root["digest"])
    layers = [layer["digest"] for layer in manifest["layers"]]
    row = {
        "Config": _place(manifest["config"]["digest"]),
        "RepoTags": [tag],
        "Layers": [_place(digest) for digest in layers],
    }
    index = read_index(image.layout)
    index["manifests"] = [
        {
            **root,
            "annotations": {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": name.tag or "latest"},
        }
    ]
    sent = [layer.digest for layer in image.layers if layer.diff_id not in without]
    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        for digest in dict.fromkeys([manifest["config"]["digest"], *sent, root["digest"]]):
            with blobs.path(digest).open("rb") as content:
                archive.addfile(_member(_place(digest), blobs.path(digest).stat().st_size), content)
        for path, text in (
            (LAYOUT_FILE, (image.layout / LAYOUT_FILE).read_bytes()),
            (INDEX_FILE, canonical_json(index)),
            ("manifest.json", json.dumps([row]).encode()),
        ):
            archive.addfile(_member(path, len(text)), io.BytesIO(text))


def _root(layout: Path) -> dict[str, Any]:
    root: dict[str, Any] = read_index(layout)["manifests"][0]
    return root


def _place(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


def _member(path: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.size, member.mode, member.mtime = size, 0o644, WRITTEN_AT
    return member
