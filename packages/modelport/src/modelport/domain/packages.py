"""Packages: what an image is built from, elsewhere (azureml-v1 reference, 2.14)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PackageContent:
    """All of a package but its name, version and times: what the workspace keeps as the body of an asset."""

    folder: str
    """Name of the folder below the workspace's ``packages``."""
    model_ids: tuple[str, ...]
    environment_name: str
    environment_version: str | None
    bundle_digest: str
    image: str | None = None
    """Name of the image, where it is one: the folder then holds an OCI layout. None where it is a build context."""


@dataclass(frozen=True, kw_only=True)
class Package:
    """One version of a package. It never changes."""

    name: str
    version: int
    content: PackageContent
    created_time: dt.datetime
    created_by: str

    @property
    def id(self) -> str:
        return f"{self.name}:{self.version}"
