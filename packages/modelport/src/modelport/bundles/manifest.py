"""The manifest of a bundle, ``bundle.json`` (docs/architecture/02-bundle.md)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from modelport.domain.errors import StoreException

FORMAT = 1
FILE_NAME = "bundle.json"


@dataclass(frozen=True, order=True)
class BundleFile:
    """One file. ``path`` is relative to the bundle's folder, with ``/``; ``size`` in bytes."""

    path: str
    size: int
    sha256: str
    executable: bool = False


@dataclass(frozen=True)
class BundleModel:
    name: str
    version: int
    framework: str | None = None
    framework_version: str | None = None


@dataclass(frozen=True)
class BundleEnvironment:
    name: str
    kind: str
    lock_digest: str
    python: str


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that a bundle is made of; equal manifests are equal bundles."""

    entry_script: str
    source_directory: str | None
    models: tuple[BundleModel, ...]
    environment: BundleEnvironment
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    files: tuple[BundleFile, ...] = ()
    format: int = FORMAT

    def to_bytes(self) -> bytes:
        """Canonical JSON: keys sorted, no spaces, UTF-8."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def digest(self) -> str:
        """SHA-256, hexadecimal, of the canonical JSON: the name of the bundle's folder."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the bundle in ``folder``.

    Raises StoreException where it is missing, damaged or not the one that the folder's name says.
    """
    path = folder / FILE_NAME
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreException(f"The bundle {folder} has no readable manifest: {error}.") from error
    if hashlib.sha256(content).hexdigest() != folder.name:
        raise StoreException(
            f"The manifest {path} is not the one that was built: its SHA-256 differs from the folder's name.",
            hint="Deploy again; the bundle is then built anew.",
        )
    return _from_json(json.loads(content), path)


def _from_json(document: dict[str, object], path: Path) -> Manifest:
    if document.get("format") != FORMAT:
        raise StoreException(
            f"The manifest {path} has format {document.get('format')!r}; this Modelport reads format {FORMAT}.",
            hint="Use the version of Modelport that built it, or deploy again.",
        )
    fields: dict[str, object] = dict(document)
    for name, kind in (("models", BundleModel), ("files", BundleFile)):
        rows = fields[name]
        assert isinstance(rows, list)
        fields[name] = tuple(kind(**row) for row in rows)
    environment = fields["environment"]
    assert isinstance(environment, dict)
    fields["environment"] = BundleEnvironment(**environment)
    return Manifest(**fields)  # type: ignore[arg-type]  # the SHA-256 has shown that we wrote it
