"""What is to be fetched: a file of JSON, since addresses may be signed and belong into a Secret."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.settings.json_files import check_format, decode_json, read_bytes

FORMAT = 1
DIGEST = re.compile(r"[0-9a-f]{64}")


class BundleToFetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    url: str
    digest: str
    """SHA-256 of its ``bundle.json``, which names the SHA-256 of everything else."""
    sha256: str | None = None
    """Of the archive, where it is known: then damage shows before anything is unpacked."""
    to: str
    """The folder that it becomes."""


class EnvironmentToFetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    url: str
    sha256: str
    """Of the archive."""
    to: str
    """The folder that it becomes, and that it was made for. An archive may name it in full, as a layer of an image."""


class FetchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bundle: BundleToFetch | None = None
    environment: EnvironmentToFetch | None = None
    format: int = FORMAT
    patience_s: float = 600.0
    """It is given up once nothing has come for so long."""


def read_fetch_settings(path: Path) -> FetchSettings:
    """Raises SettingsInvalid, which names the file and what is wrong with it."""
    settings = decode_json(read_bytes(path), FetchSettings, path=path)
    check_format(settings, FORMAT, path=path)
    if settings.bundle is None and settings.environment is None:
        raise SettingsInvalid(f"{path}: there is neither a bundle nor an environment to fetch")
    check_digests(settings, path=path)
    return settings


def check_digests(settings: FetchSettings, *, path: Path) -> None:
    """Raise SettingsInvalid for what is no digest, or no path of its own."""
    digests: dict[str, str | None] = {}
    if settings.bundle is not None:
        digests |= {"bundle.digest": settings.bundle.digest, "bundle.sha256": settings.bundle.sha256}
    if settings.environment is not None:
        digests["environment.sha256"] = settings.environment.sha256
    for name, digest in digests.items():
        if digest is not None and not DIGEST.fullmatch(digest):
            raise SettingsInvalid(f"{path}: {name} must be a SHA-256 digest in lower-case hexadecimal")
    for wanted in (settings.bundle, settings.environment):
        if wanted is not None and not Path(wanted.to).is_absolute():
            raise SettingsInvalid(f"{path}: {wanted.to} must be an absolute path")
