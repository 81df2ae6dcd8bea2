"""What goes over the control socket: one JSON object in a line, answered by one."""

from __future__ import annotations

import msgspec

from modelport_scoring.failures import Failure
from modelport_scoring.settings.service import Changes, RevisionSettings, RevisionSize, ServiceSettings
from modelport_scoring.settings.traffic import Traffic

MOST_LINE_BYTES = 4 * 1024 * 1024
"""A request to the control socket, or an answer of it, is never longer."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request. ``do`` says what; the rest depends on it (docs/architecture/03-data-plane.md)."""

    do: str
    revision: RevisionSettings | int | None = None
    """The whole of it for ``switch`` and ``host``, its number for ``release``, ``promote`` and ``scale``."""
    replacing: int | None = None
    """The number of the hosted revision whose place a ``switch`` is for; None: the default one's."""
    settings: Changes | None = None
    """Of ``configure``, and of ``switch``, where they come with the revision."""
    size: RevisionSize | None = None
    traffic: Traffic | None = None
    whole: ServiceSettings | None = None
    """Of ``apply``."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer to everything but ``status``. ``ok`` is always there."""

    ok: bool | None = None
    revision: int | None = None
    failure: Failure | None = None
    busy: bool = False
    message: str | None = None
    kept: list[str] = []
    """Of ``apply``: what stays as it is until the service is started again."""
