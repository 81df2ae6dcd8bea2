"""How long work tells somebody how far it is. Use cases and adapters report; the SDK and the CLI show."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of one operation. Calls may come from any thread."""

    def step(self, text: str) -> None:
        """A new step begins, for example ``Resolving environment 'sklearn'``."""

    def amount(self, label: str, done: int, total: int) -> None:
        """``done`` of ``total`` bytes of the file ``label`` are through. The last call has ``done == total``."""


class Silent:
    """Shows nothing."""

    def step(self, text: str) -> None:
        return None

    def amount(self, label: str, done: int, total: int) -> None:
        return None
