"""Finished images, each in a layout of its own whose blobs are shared with the cache."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from modelport.images.blobs import Blobs, digest_of
from modelport.images.image import BuiltImage, ImageLayer, Platform
from modelport.images.manifests import MANIFEST, descriptor, write_layout
from modelport.images.sbom import bill_of_materials

SBOM = "sbom.cdx.json"
_IMAGES = "images"


def keep_image(
    cache: Path, layers: Sequence[ImageLayer], config: bytes, manifest: bytes, platform: Platform, *, name: str
) -> BuiltImage:
    """The image as a layout below the cache, named by its digest. What is there already stays as it is."""
    digest, config_digest = digest_of(manifest), digest_of(config)
    folder = cache / _IMAGES / digest.partition(":")[2]
    if not (folder / SBOM).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=folder.parent))
        try:
            _fill(draft, cache, layers, config, manifest, platform, name)
            draft.chmod(0o755)
            _settle(draft, folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return BuiltImage(
        layout=folder,
        digest=digest,
        config_digest=config_digest,
        layers=tuple(layers),
        platform=platform,
        sbom=folder / SBOM,
    )


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
    bill = bill_of_materials(kept, layers, cache / "components", name=name, digest=digest_of(manifest))
    (draft / SBOM).write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _settle(draft: Path, folder: Path) -> None:
    """Another builder of the same image may have been faster: its image is as good."""
    try:
        draft.rename(folder)
    except OSError:
        if not folder.exists():
            raise
