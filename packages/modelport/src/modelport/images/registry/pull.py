"""Takes images from registries. What is here already is not fetched again; what was interrupted goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport.domain.errors import RegistryException
from modelport.domain.progress import Progress
from modelport.images.blobs import CHUNK_BYTES, Blobs, Draft, digest_of
from modelport.images.image import Credentials, Platform
from modelport.images.manifests import manifest_for
from modelport.images.registry.client import ATTEMPTS, Interrupted, RegistryClient, pause_s
from modelport.images.registry.reference import Reference


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """An image whose blobs are here."""

    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    digest: str
    """Of the manifest of the platform."""


def pull_image(
    name: str, blobs: Blobs, *, platform: Platform, credentials: Credentials | None = None, progress: Progress
) -> Pulled:
    """Fetch the image for the platform into the blobs.

    Raises UserErrorException for a bad name and an image of other platforms, RegistryException for everything that the
    registry does.
    """
    reference = Reference.parse(name)
    with RegistryClient(reference, actions="pull", credentials=credentials) as client:
        digests: dict[str, str] = {}

        def fetch(entry: Mapping[str, Any]) -> bytes:
            content = _manifest(client, str(entry["digest"]))
            digests["last"] = digest_of(content)
            return content

        first = _manifest(client, reference.version)
        digests["last"] = digest_of(first)
        manifest = manifest_for(json.loads(first), platform, fetch, where=name)
        _fetch_blob(client, blobs, manifest["config"], progress)
        for layer in manifest["layers"]:
            _fetch_blob(client, blobs, layer, progress)
        config = blobs.read_json(manifest["config"]["digest"])
        return Pulled(manifest=manifest, config=config, digest=digests["last"])


def _manifest(client: RegistryClient, version: str) -> bytes:
    content = client.manifest(version).content
    if version.startswith("sha256:") and digest_of(content) != version:
        raise RegistryException(
            f"The registry {client.reference.registry} gave another manifest than {version}: {digest_of(content)}.",
            hint="Something between here and the registry changes what it says.",
        )
    return content


def _fetch_blob(client: RegistryClient, blobs: Blobs, entry: Mapping[str, Any], progress: Progress) -> None:
    digest, size = str(entry["digest"]), int(entry["size"])
    if blobs.has(digest, size):
        return
    try:
        with blobs.draft(digest) as draft:
            _fill(client, draft, digest, size, progress)
    except ValueError as error:
        raise RegistryException(
            f"The registry {client.reference.registry} gave a damaged blob: {error}.", hint="Try again."
        ) from error


def _fill(client: RegistryClient, draft: Draft, digest: str, size: int, progress: Progress) -> None:
    """In as many pieces as the connection breaks it into. An attempt that brought something is none lost.

    Raises ValueError where the registry sends more than the size.
    """
    failures = 0
    url = client.url(f"blobs/{digest}")
    label = digest.partition(":")[2][:12]
    while draft.size < size:
        had = draft.size
        try:
            with client.stream(url, start=had) as response:
                skip = had if response.status_code == 200 else 0  # a registry that knows no ranges begins anew
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    if draft.size + len(chunk[skip:]) > size:
                        raise ValueError(f"it is larger than {size} bytes")
                    draft.write(chunk[skip:])
                    skip = max(0, skip - len(chunk))
                    progress.amount(label, draft.size, size)
            if draft.size == had:
                raise Interrupted(f"the answer ended after {had} bytes of {size}")
        except Interrupted as error:
            failures = 1 if draft.size > had else failures + 1
            if failures == ATTEMPTS:
                raise client.failure("GET", url, str(error)) from error
            time.sleep(pause_s(failures))
