"""Which revisions have been up before: what they need may come later than they do, a database or a mounted share after
the machine was started again, and it is not their script's doing where they do not start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from modelport_scoring.revisions.hosted import Hosted
from modelport_scoring.settings.service import RevisionSettings
from modelport_scoring.telemetry.telemetry import Telemetry

STARTED = "started"
"""Folder in the service's, with a file for each revision that was ready once; it holds the path of its bundle."""


class EarlierStarts:
    """Of one service: under this supervisor, whose memory knows of them, and under those before it, by files."""

    def __init__(self, folder: Path, telemetry: Telemetry) -> None:
        self._folder = folder / STARTED
        self._telemetry = telemetry

    def recall(self, hosted: Iterable[Hosted]) -> None:
        """Mark those that were up under an earlier supervisor alone, and forget all but these revisions."""
        kept = set()
        for each in hosted:
            kept.add(str(each.number))
            each.comes_back = not self._telemetry.was_ready(each.number) and self._may_be_noted(each.settings)
        with contextlib.suppress(OSError):
            for file in self._folder.iterdir():
                if file.name not in kept:
                    file.unlink(missing_ok=True)

    def knows(self, hosted: Hosted) -> bool:
        """Whether it was up before."""
        return hosted.comes_back or self._telemetry.was_ready(hosted.number)

    def note(self, hosted: Hosted) -> None:
        """It is up. Where that cannot be written down, the next supervisor does not know."""
        hosted.comes_back = False
        with contextlib.suppress(OSError):
            if not self._is_noted(hosted.settings):
                self._folder.mkdir(mode=0o700, exist_ok=True)
                self._file(hosted.number).write_text(hosted.settings.bundle, encoding="utf-8")

    def _may_be_noted(self, revision: RevisionSettings) -> bool:
        """Whether it is, or that cannot be told, since the system has no descriptor left for one: what it needs may
        come later, too, and it is not given up for good."""
        try:
            return self._is_noted(revision)
        except OSError:
            return self._file(revision.number).exists()

    def _is_noted(self, revision: RevisionSettings) -> bool:
        """Raises OSError where that cannot be told."""
        try:
            return self._file(revision.number).read_text(encoding="utf-8") == revision.bundle
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
            return False

    def _file(self, number: int) -> Path:
        return self._folder / str(number)
