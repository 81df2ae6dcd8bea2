"""Images on their way into an engine."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import BinaryIO

import docker
from docker.errors import APIError, ImageLoadError, ImageNotFound

from modelport.domain.errors import StoreException, WebserviceException
from modelport.targets.container.holder import REFERENCE, holder_archive
from modelport.targets.container.image import ServiceImage


def load(client: docker.DockerClient, image: ServiceImage, reference: str) -> None:
    """Have the engine know the image by that name; nothing is sent that it has. Raises
    WebserviceException, and StoreException where there is no room for its archive here."""
    if _has(client, reference):
        return
    known = _known_layers(client, image.diff_ids) if _takes_parts(client) else frozenset()
    with tempfile.TemporaryDirectory(prefix="modelport-image-") as folder:
        archive = Path(folder) / "image.tar"
        try:
            image.write(reference, archive, known)
        except OSError as error:
            raise StoreException(
                f"The image cannot be written for the engine: {error}.",
                hint="Free some space, or name another folder for temporary files in TMPDIR.",
            ) from error
        with archive.open("rb") as content:
            _send(client, content)
    if not _has(client, reference):
        raise WebserviceException(f"The container engine took the image {reference}, and does not know it afterwards.")


def load_holder(client: docker.DockerClient) -> str:
    """Have the engine know the image of the containers that only hold a network; returns its name."""
    if not _has(client, REFERENCE):
        _send(client, holder_archive(client.info()["Architecture"]))
    return REFERENCE


def _send(client: docker.DockerClient, archive: BinaryIO | bytes) -> None:
    """Raises WebserviceException with what the engine says where it cannot keep the image."""
    try:
        client.images.load(archive)
    except ImageLoadError as error:
        raise WebserviceException(
            f"The container engine does not load the image: {error}.",
            hint="Where its machine has no space left: docker system df (podman system df) shows what takes it.",
        ) from error


def remove_unused(client: docker.DockerClient, repository: str) -> None:
    """Remove the images of a service, and that of the holders, but for those that a container has."""
    used = {container.attrs["ImageID"] for container in client.containers.list(all=True, sparse=True)}
    for name in (repository, REFERENCE):
        for image in client.images.list(name):
            if image.id not in used:
                with contextlib.suppress(APIError):  # somebody has just begun to use it
                    for tag in image.tags:
                        if name in (tag, tag.rpartition(":")[0]):  # others are of somebody else
                            client.images.remove(tag)


def _has(client: docker.DockerClient, reference: str) -> bool:
    try:
        client.images.get(reference)
    except ImageNotFound:
        return False
    return True


def _takes_parts(client: docker.DockerClient) -> bool:
    """Whether it loads an archive that lacks layers which it has: Docker does with its own store, Podman does not."""
    about = client.version()
    names = {part.get("Name", "") for part in about.get("Components") or ()}
    return "Engine" in names and client.info().get("Driver") == "overlay2"


def _known_layers(client: docker.DockerClient, diff_ids: tuple[str, ...]) -> frozenset[str]:
    """Those that the engine has one on the other in the same order: that is how it names them."""
    most = 0
    for present in client.api.images(all=False):
        try:
            layers = client.images.get(present["Id"]).attrs["RootFS"].get("Layers") or []
        except APIError:  # it was removed meanwhile
            continue
        same = next((n for n, pair in enumerate(zip(layers, diff_ids, strict=False)) if pair[0] != pair[1]), None)
        most = max(most, min(len(layers), len(diff_ids)) if same is None else same)
    return frozenset(diff_ids[:most])
