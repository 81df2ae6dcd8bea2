"""What a ready worker says of its script."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Parameter(msgspec.Struct, frozen=True):
    """One parameter of ``run``."""

    name: str
    required: bool
    unchecked: list[str] = []
    """What its decorator lets pass though the sample has it otherwise: ``shape`` (the number of dimensions, and their
    sizes), ``types`` (of the elements)."""


class ArrayParameter(msgspec.Struct, frozen=True):
    """The one parameter of ``run``, where it is an array of numbers of which the number of rows is free."""

    name: str
    type: Literal["<f8", "<i8"]
    """Of what crosses to the worker; the script may take a narrower one."""
    row: list[int]
    """The shape of one row: the sample's without its first dimension."""


class Contract(msgspec.Struct, frozen=True):
    """The payload of a READY frame (docs/architecture/03-data-plane.md). Keys that are not known here are skipped."""

    input: Literal["text", "json", "raw"]
    python: str = ""
    pid: int = 0
    init_ms: float = 0.0
    parameters: list[Parameter] = []
    wants_request: bool = False
    array: ArrayParameter | None = None
    schemas: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
