"""Showing the progress of an operation on the terminal, or as lines where there is none."""

from __future__ import annotations

import sys
import time
from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn

_BAR_AFTER_S = 0.5
"""Work that is shorter than this shows no bar."""


class Console:
    """A ``Progress`` that prints: a line for each step, a bar for each file that takes a while."""

    def __init__(self, *, shown: bool = True, file: TextIO | None = None) -> None:
        self._shown = shown
        self._file = file
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._label = ""
        self._since = 0.0

    def step(self, text: str) -> None:
        """Print the step."""
        if self._shown:
            print(text, file=self._file or sys.stdout, flush=True)

    def amount(self, label: str, done: int, total: int) -> None:
        """Show how much of the file is through, once it has taken half a second."""
        if not self._shown:
            return
        if label != self._label:
            self._close()
            self._label, self._since = label, time.monotonic()
        if self._bar is None and done < total and time.monotonic() - self._since > _BAR_AFTER_S:
            self._open(total)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done)
        if done >= total:
            self._close()

    def _open(self, total: int) -> None:
        console = RichConsole(file=self._file or sys.stdout)
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        self._bar = Progress(*columns, console=console, transient=not console.is_terminal)
        self._task = self._bar.add_task(self._label, total=total)
        self._bar.start()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._task, self._label = None, None, ""
