"""The log of something that is being made: shown, written down, and locked for as long as its maker works."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import TextIO

from modelport.domain.progress import Progress


class Logged:
    """A Progress that is written down too."""

    def __init__(self, shown: Progress, log: TextIO) -> None:
        self._shown = shown
        self._log = log

    def step(self, text: str) -> None:
        """Show it and write it down."""
        self._log.write(f"{text}\n")
        self._log.flush()
        self._shown.step(text)

    def amount(self, label: str, done: int, total: int) -> None:
        """Show it; amounts are not written down."""
        self._shown.amount(label, done, total)


def is_held(log: Path) -> bool:
    """Whether somebody works on what the log tells of."""
    try:
        with log.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
