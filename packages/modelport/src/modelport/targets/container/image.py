"""The image of a service, as whoever builds it hands it over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ServiceImage:
    """An image of a bundle that was built."""

    config_digest: str
    diff_ids: tuple[str, ...]
    """Of its layers, the lowest first."""
    write: Callable[[str, Path, frozenset[str]], None] = field(repr=False)
    """Writes the archive that engines load, under a name, without the layers with these diff_ids."""
