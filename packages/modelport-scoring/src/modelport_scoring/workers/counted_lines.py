"""Lines of a log that may come with each request."""

from __future__ import annotations

import asyncio

from modelport_scoring.logs.journal import Journal

QUIET_S = 1.0
MOST_KINDS = 64
"""Of lines that are told apart: what is in them may be a script's own."""


class CountedLines:
    """Lines that may come often: each kind is written once in a while at most, with how often it came meanwhile."""

    def __init__(self, journal: Journal, *, loop: asyncio.AbstractEventLoop, quiet_s: float = QUIET_S) -> None:
        self._journal = journal
        self._loop = loop
        self._quiet_s = quiet_s
        self._while = "a second" if quiet_s == QUIET_S else f"{quiet_s:g} s"
        self._held: dict[str, int] = {}
        """How often each came since it was written last, within that time."""

    def write(self, text: str) -> None:
        """Append the text, now or counted within that time."""
        if text not in self._held and len(self._held) >= MOST_KINDS:
            text = "modelport: more kinds of lines came than are told apart"
        if text in self._held:
            self._held[text] += 1
        else:
            self._journal.write(text)
            self._hold(text)

    def _hold(self, text: str) -> None:
        self._held[text] = 0
        self._loop.call_later(self._quiet_s, self._let_go, text)

    def _let_go(self, text: str) -> None:
        count = self._held.pop(text)
        if count:
            self._journal.write(f"{text} ({count} more in {self._while})")
            self._hold(text)
