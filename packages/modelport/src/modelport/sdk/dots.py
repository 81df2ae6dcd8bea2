"""The dots that ``wait_for_deployment(show_output=True)`` prints while it waits (azureml-v1 reference, 2.6)."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_EVERY_S = 1.0


class Dots:
    """Prints ``Running``, a dot a second, and how the operation ended, in the words of v1."""

    def __init__(self, *, shown: bool, operation: str, of: str = "") -> None:
        """``of``: on what, as ``image line:1``."""
        self._shown = shown
        self._finished = f"{operation} finished" + (f" for {of}" if of else "")
        self._next = time.monotonic() + _EVERY_S

    def __enter__(self) -> Dots:
        self._print("Running")
        return self

    def tick(self) -> None:
        """Print a dot if a second has passed."""
        if time.monotonic() >= self._next:
            self._next += _EVERY_S
            self._print(".")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        outcome = "Succeeded"
        if error is not None:
            outcome = "TimedOut" if "TimedOut" in str(error) else "Failed"
        self._print(f'\n{outcome}\n{self._finished}, operation "{outcome}"\n')

    def _print(self, text: str) -> None:
        if self._shown:
            print(text, end="", file=sys.stdout, flush=True)  # noqa: T201 - this is what the class is for
