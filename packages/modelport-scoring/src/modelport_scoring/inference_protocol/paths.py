"""The paths of the protocol: what each names, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

READING = (b"GET", b"HEAD")


class Place(Enum):
    """What a path names."""

    SERVER = "server metadata"
    LIVE = "server live"
    READY = "server ready"
    MODEL = "model metadata"
    MODEL_READY = "model ready"
    STATISTICS = "statistics"
    CONFIGURATION = "model configuration"
    INDEX = "index of the repository"
    INFER = "inference"
    UNKNOWN = "nothing"


PUBLIC = frozenset((Place.LIVE, Place.READY))
"""Probes carry no key, as ``/`` needs none."""

ROOTS = (b"/v2", b"/v2/")
SERVER_PLACES: dict[tuple[bytes, ...], Place] = {
    (b"health", b"live"): Place.LIVE,
    (b"health", b"ready"): Place.READY,
    (b"repository", b"index"): Place.INDEX,
}
MODEL_PLACES = {
    (): Place.MODEL,
    (b"ready",): Place.MODEL_READY,
    (b"infer",): Place.INFER,
    (b"stats",): Place.STATISTICS,
    (b"config",): Place.CONFIGURATION,
}
POSTED = frozenset((Place.INFER, Place.INDEX))

NOTHING = "the Open Inference Protocol has nothing at this path"
SHARED_MEMORY = "the shared memory extension is not offered: send tensors in the request's body"
NOT_OFFERED = {
    b"systemsharedmemory": SHARED_MEMORY,
    b"cudasharedmemory": SHARED_MEMORY,
    b"repository": "models are not loaded and unloaded by requests: deploy, update or delete the service",
    b"trace": "the trace extension is not offered: telemetry.otlp_endpoint has a service's spans sent",
    b"logging": "the logging extension is not offered: telemetry.access_log has requests logged",
}
"""What is said of extensions that others have, by the first part of their paths."""
NOT_OFFERED_OF_MODELS = {
    b"generate": "the generate extension is not offered: use infer, or /score",
    b"generate_stream": "the generate extension is not offered: use infer, or /score",
    b"setting": NOT_OFFERED[b"trace"],
}
"""The same, by the last part."""
ALL_MODELS = "stats"
"""Stands in a model's place where the statistics of all are asked for."""


@dataclass(frozen=True, slots=True)
class Target:
    """A path, read."""

    place: Place
    model: str = ""
    version: str | None = None
    """None: the server chooses."""
    why: str = NOTHING
    """Of an UNKNOWN place: what is said of it."""

    @property
    def needs_key(self) -> bool:
        return self.place not in PUBLIC

    @property
    def methods(self) -> tuple[bytes, ...]:
        return (b"POST",) if self.place in POSTED else READING


def read_target(path: bytes) -> Target | None:
    """What a path (without the service's prefix) names; None where it is not below ``/v2``."""
    if path in ROOTS:
        return Target(Place.SERVER)
    if not path.startswith(b"/v2/"):
        return None
    parts = tuple(path.split(b"/")[2:])
    if parts[:1] != (b"models",):
        return Target(SERVER_PLACES.get(parts, Place.UNKNOWN), why=NOT_OFFERED.get(parts[0], NOTHING))
    version, ending = (parts[3], parts[4:]) if parts[2:3] == (b"versions",) and len(parts) > 3 else (None, parts[2:])
    place = MODEL_PLACES.get(ending)
    if place is None or len(parts) < 2 or not parts[1] or version == b"":
        return Target(Place.UNKNOWN, why=NOT_OFFERED_OF_MODELS.get(parts[-1], NOTHING))
    return Target(place, _text(parts[1]), None if version is None else _text(version))


def _text(segment: bytes) -> str:
    return unquote_to_bytes(segment).decode("utf-8", "replace")
