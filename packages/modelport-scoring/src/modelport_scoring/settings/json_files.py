"""Settings as JSON files hold them: those of a service, of a router, and of what is to be fetched."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from modelport_scoring.errors import SettingsInvalid, SettingsUnread


class WithFormat(Protocol):
    """Settings that say by which version of their format they are written."""

    @property
    def format(self) -> int: ...


S = TypeVar("S")


def decode_json(content: bytes, kind: type[S], *, path: Path) -> S:
    """The settings in ``content``, which came from ``path``. Raises SettingsInvalid, which names the file and what is
    wrong with it."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (ValueError, RecursionError) as error:  # what is no UTF-8 among them, which is no MsgspecError
        raise SettingsInvalid(f"{path}: {error}") from error


def check_format(settings: WithFormat, known: int, *, path: Path) -> None:
    """Raise SettingsInvalid where they are written by another version of their format."""
    if settings.format != known:
        raise SettingsInvalid(f"{path}: format {settings.format} is not known here, only {known}")


def read_bytes(path: Path) -> bytes:
    """Raises SettingsUnread, which names the file and why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsUnread(f"{path}: {error.strerror}") from error
