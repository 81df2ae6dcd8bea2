"""How long to wait before a process that died is started again."""

from __future__ import annotations

FIRST_S = 0.1
LONGEST_S = 30.0
HEALTHY_S = 10.0
"""Who lived this long is trusted again."""


class BackOff:
    """0.1 s, doubling to 30 s; from the beginning again after a life of ten seconds, or one that was of use."""

    def __init__(self) -> None:
        self._next = FIRST_S

    def after(self, lived_s: float, *, was_of_use: bool = False) -> float:
        """Seconds to wait after a life of ``lived_s`` seconds."""
        if was_of_use or lived_s >= HEALTHY_S:
            self._next = FIRST_S
        delay = self._next
        self._next = min(LONGEST_S, delay * 2)
        return delay
