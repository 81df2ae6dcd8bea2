"""Checking that a bundle still is what it was built to be."""

from __future__ import annotations

import hashlib
from pathlib import Path

from modelport.bundles.manifest import Manifest, read_manifest
from modelport.domain.errors import StoreException


def verify_bundle(folder: Path) -> Manifest:
    """Read the bundle and compare every file with the manifest.

    Raises StoreException that names the first wrong file.
    """
    manifest = read_manifest(folder)
    for file in manifest.files:
        path = folder / file.path
        try:
            with path.open("rb") as reader:
                digest = hashlib.file_digest(reader, "sha256").hexdigest()
        except OSError as error:
            raise _damaged(path, str(error)) from error
        if digest != file.sha256:
            raise _damaged(path, f"its SHA-256 is {digest}, it should be {file.sha256}")
    return manifest


def _damaged(path: Path, reason: str) -> StoreException:
    return StoreException(
        f"The bundle is damaged: {path}: {reason}.",
        hint="Register the model again from its source and update the service with the new version.",
    )
