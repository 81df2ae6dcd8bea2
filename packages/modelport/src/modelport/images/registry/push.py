"""Gives images to registries: blobs that are there are not sent, those of a neighbour are mounted."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from modelport.domain.errors import RegistryException
from modelport.domain.progress import Progress, Silent
from modelport.images.blobs import Blobs, canonical_json
from modelport.images.image import Credentials
from modelport.images.manifests import EMPTY, INDEX, INDEXES, MANIFEST, descriptor
from modelport.images.registry.client import ATTEMPTS, Interrupted, RegistryClient, pause_s
from modelport.images.registry.reference import Reference

PIECE_BYTES = 16 << 20
"""Larger blobs are sent in pieces of this size, so that a broken connection costs one piece."""


@dataclass
class Sent:
    """What a push did."""

    reference: str = ""
    """With the digest."""
    bytes: int = 0
    """Of blobs that went over the wire."""
    sent: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    mounted: list[str] = field(default_factory=list)


def push_manifest(
    blobs: Blobs,
    root: Mapping[str, Any],
    name: str,
    *,
    attached: Sequence[Mapping[str, Any]] = (),
    neighbours: Sequence[str] = (),
    credentials: Credentials | None = None,
    progress: Progress | None = None,
) -> Sent:
    """Push the manifest or index of the descriptor ``root``, everything that it names, and what is attached to it.

    ``neighbours``: repositories of the same registry that may have the same blobs. Raises UserErrorException for a bad
    name and RegistryException for everything that the registry does.
    """
    reference = Reference.parse(name)
    progress = progress or Silent()
    with RegistryClient(reference, actions="pull,push", credentials=credentials) as client:
        for neighbour in neighbours:
            client.auth.also(f"repository:{neighbour}:pull")
        pusher = _Pusher(client, blobs, neighbours, progress)
        pusher.push(root, reference.tag or str(root["digest"]))
        for manifest in attached:
            try:
                pusher.attach(manifest)
            except RegistryException as error:
                progress.step(f"The image is pushed, and its bill of materials not: {error.message}")
    pusher.done.reference = str(reference.at(str(root["digest"])))
    return pusher.done


class _Pusher:
    def __init__(self, client: RegistryClient, blobs: Blobs, neighbours: Sequence[str], progress: Progress) -> None:
        self.done = Sent()
        self._client = client
        self._blobs = blobs
        self._neighbours = neighbours
        self._progress = progress

    def push(self, entry: Mapping[str, Any], version: str) -> httpx.Response:
        """The manifest, after everything that it names: a registry takes it only then."""
        content = self._blobs.read(str(entry["digest"]))
        document = json.loads(content)
        for child in document.get("manifests", ()):
            self.push(child, str(child["digest"]))
        if entry["mediaType"] not in INDEXES:
            for blob in {each["digest"]: each for each in (document["config"], *document["layers"])}.values():
                self._push_blob(str(blob["digest"]), int(blob["size"]))
        return self._client.ask(
            "PUT",
            self._client.url(f"manifests/{version}"),
            expected=(201, 202),
            content=content,
            headers={"Content-Type": str(entry["mediaType"])},
        )

    def attach(self, entry: Mapping[str, Any]) -> None:
        """Push a manifest that refers to another; where the registry keeps no list of these, in a tag of its own."""
        response = self.push(entry, str(entry["digest"]))
        if "OCI-Subject" not in response.headers:
            subject = self._blobs.read_json(str(entry["digest"]))["subject"]["digest"]
            self._tag_referrer(entry, str(subject).replace(":", "-"))

    def _tag_referrer(self, entry: Mapping[str, Any], tag: str) -> None:
        url = self._client.url(f"manifests/{tag}")
        found = self._client.ask("GET", url, expected=(200, 404), headers={"Accept": INDEX})
        manifests = found.json()["manifests"] if found.status_code == 200 else []
        if any(each["digest"] == entry["digest"] for each in manifests):
            return
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*manifests, dict(entry)]}
        content = json.dumps(index).encode()
        self._client.ask("PUT", url, expected=(201, 202), content=content, headers={"Content-Type": INDEX})

    def _push_blob(self, digest: str, size: int) -> None:
        if digest in (*self.done.sent, *self.done.present, *self.done.mounted):
            return
        if self._client.has_blob(digest):
            self.done.present.append(digest)
            return
        location = self._begin(digest)
        if location is None:
            self.done.mounted.append(digest)
            return
        label = digest.partition(":")[2][:12]
        if size <= PIECE_BYTES:
            self._finish(location, digest, self._blobs.read(digest))
        else:
            self._finish(self._send_pieces(location, digest, size, label), digest, b"")
        self._progress.amount(label, size, size)
        self.done.sent.append(digest)
        self.done.bytes += size

    def _begin(self, digest: str) -> str | None:
        """Where to send the blob to; None where the registry took it from a neighbour."""
        for number, neighbour in enumerate(self._neighbours, start=1):
            response = self._start(f"?mount={digest}&from={neighbour}")
            if response.status_code == 201:
                return None
            if number == len(self._neighbours):
                return self._client.location(response)  # an upload like any other
            self._client.ask("DELETE", self._client.location(response), expected=(204, 404, 405))
        return self._client.location(self._start(""))

    def _start(self, query: str) -> httpx.Response:
        return self._client.ask("POST", self._client.url(f"blobs/uploads/{query}"), expected=(201, 202))

    def _send_pieces(self, location: str, digest: str, size: int, label: str) -> str:
        """Send all of it, going on behind what has arrived after a failure; where to finish it."""
        sent, failures = 0, 0
        with self._blobs.path(digest).open("rb") as file:
            while sent < size:
                file.seek(sent)
                piece = file.read(PIECE_BYTES)
                try:
                    location = self._send_piece(location, piece, sent)
                    sent += len(piece)
                except Interrupted as error:
                    failures += 1
                    if failures == ATTEMPTS:
                        raise self._client.failure("PATCH", location, str(error)) from error
                    time.sleep(pause_s(failures))
                    location, sent = self._resumed(location)
                self._progress.amount(label, min(sent, size - 1), size)
        return location

    def _send_piece(self, location: str, piece: bytes, start: int) -> str:
        headers = {
            "Content-Range": f"{start}-{start + len(piece) - 1}",
            "Content-Type": "application/octet-stream",
        }
        return self._client.location(self._client.once("PATCH", location, (202,), piece, headers))

    def _resumed(self, location: str) -> tuple[str, int]:
        """Where the upload goes on, and how much of it has arrived. A registry that cannot tell after a broken piece
        (distribution 2 is one) gets the blob from its beginning."""
        response = self._client.ask("GET", location, expected=(204, 400, 404, 416))
        if response.status_code != 204:
            return self._client.location(self._start("")), 0
        _, _, last = response.headers.get("Range", "0-0").rpartition("-")
        there = int(last) + 1 if int(last) else 0
        return self._client.location(response) if "Location" in response.headers else location, there

    def _finish(self, location: str, digest: str, rest: bytes) -> None:
        url = httpx.URL(location).copy_merge_params({"digest": digest})
        headers = {"Content-Type": "application/octet-stream"}
        self._client.ask("PUT", str(url), expected=(201,), content=rest, headers=headers)


def referrer(blobs: Blobs, content: bytes, media_type: str, subject: Mapping[str, Any]) -> dict[str, Any]:
    """The descriptor of a manifest that attaches the content to the image ``subject``.

    Source of the format: the OCI image specification, 1.1, "Guidelines for artifact usage".
    """
    empty = b"{}"
    for blob in (empty, content):
        blobs.add(blob)
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": media_type,
        "config": descriptor(EMPTY, empty),
        "layers": [descriptor(media_type, content)],
        "subject": dict(subject),
    }
    encoded = canonical_json(manifest)
    blobs.add(encoded)
    return descriptor(MANIFEST, encoded, artifactType=media_type)
