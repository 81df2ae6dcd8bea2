"""What a ready worker says of its script."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of ``run``."""

    name: str
    required: bool


class Contract(msgspec.Struct, frozen=True):
    """The payload of a READY frame (docs/architecture/03-data-plane.md). Keys that are not known here are skipped."""

    input: Literal["text", "json", "raw"]
    python: str = ""
    pid: int = 0
    init_ms: float = 0.0
    parameters: list[Parameter] = []
    wants_request: bool = False
    schemas: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
