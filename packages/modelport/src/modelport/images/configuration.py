"""The configuration and the manifest of an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

from modelport.images.bases import BaseImage
from modelport.images.blobs import canonical_json
from modelport.images.image import ImageLayer, Platform
from modelport.images.manifests import CONFIG, MANIFEST, descriptor, layer_descriptor
from modelport.images.server import SERVER_PROGRAM
from modelport.packages.plan import APP_ROOT, PORT, USER

COMMAND = (SERVER_PROGRAM, "-P", "-m", "modelport_scoring.container")

_SECOND_NS = 1_000_000_000
_EPOCH = "1970-01-01T00:00:00Z"
"""Images tell no time: the same content is the same image, whenever it was made."""
_ANNOTATIONS = "org.opencontainers.image"


def labels_of(base: BaseImage, *, title: str, more: Mapping[str, str]) -> dict[str, str]:
    """What the image says of itself: the OCI image specification, "Pre-Defined Annotation Keys"."""
    labels = {
        f"{_ANNOTATIONS}.title": title,
        f"{_ANNOTATIONS}.base.name": base.name.rpartition("/")[2] if base.name.startswith("/") else base.name,
        "modelport.version": version("modelport"),
    }
    if base.digest is not None:
        labels[f"{_ANNOTATIONS}.base.digest"] = base.digest
    return {**labels, **more}


def configuration(
    base: BaseImage,
    own: Sequence[ImageLayer],
    *,
    platform: Platform,
    variables: Mapping[str, str],
    labels: Mapping[str, str],
) -> bytes:
    """The document that engines make containers of: the base's, and what serves on top of it."""
    inherited: Mapping[str, Any] = base.config.get("config") or {}
    container = {
        **{key: value for key, value in inherited.items() if key not in ("Entrypoint", "OnBuild", "ArgsEscaped")},
        "User": f"{USER}:{USER}",
        "WorkingDir": APP_ROOT,
        "Env": _environment(inherited.get("Env") or (), variables),
        "Cmd": [*COMMAND],
        "ExposedPorts": {**(inherited.get("ExposedPorts") or {}), f"{PORT}/tcp": {}},
        "Labels": {**(inherited.get("Labels") or {}), **labels},
        "StopSignal": "SIGTERM",
        "Healthcheck": {"Test": ["CMD", *COMMAND, "--check"], "StartPeriod": 600 * _SECOND_NS},
    }
    below = base.config.get("history") or [{"created": _EPOCH, "created_by": layer.name} for layer in base.layers]
    history = [*below, *({"created": _EPOCH, "created_by": f"modelport: {layer.name}"} for layer in own)]
    return canonical_json(
        {
            "created": _EPOCH,
            "os": platform.os,
            "architecture": platform.architecture,
            "config": container,
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in (*base.layers, *own)]},
            "history": history,
        }
    )


def _environment(inherited: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    kept = dict(line.partition("=")[::2] for line in inherited)
    return [f"{name}={value}" for name, value in {**kept, **variables}.items()]


def manifest_of(config: bytes, layers: Sequence[ImageLayer], annotations: Mapping[str, str]) -> bytes:
    """The manifest of the configuration and the layers."""
    return canonical_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, config),
            "layers": [layer_descriptor(layer) for layer in layers],
            "annotations": dict(annotations),
        }
    )
