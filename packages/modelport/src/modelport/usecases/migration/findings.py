"""What was found in a project: one finding a call, key, command or entry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from modelport.usecases.compatibility import Status

CommandVerdict = Callable[[str], frozenset[str] | None]
"""The options of a command of ``az ml`` as the command line takes it; None where it takes no such command."""


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """Where something is. ``file`` is relative to the project; ``cell`` counts a notebook's cells from 1."""

    file: str
    cell: int | None = None
    line: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.cell is None else f"{self.file}: cell {self.cell}: {self.line}"

    @property
    def order(self) -> tuple[str, int, int]:
        return self.file, self.cell or 0, self.line


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that the project uses."""

    place: Place
    subject: str
    """The call, as ``Model.deploy``; the command, as ``az ml model deploy``; the key, or the entry of a list."""
    status: Status
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings, by place, and the files that they come from."""

    findings: tuple[Finding, ...]
    files: tuple[str, ...]
    """The files that were read."""
    unread: tuple[tuple[str, str], ...] = ()
    """Files that could not be read, with the reason."""

    @property
    def counts(self) -> dict[Status, int]:
        found = Counter(finding.status for finding in self.findings)
        return {status: found[status] for status in Status}

    @property
    def is_covered(self) -> bool:
        """Whether everything runs, as it is or differently, and everything could be read."""
        return not self.unread and not any(self.counts[status] for status in (Status.ABSENT, Status.NOT_YET))
