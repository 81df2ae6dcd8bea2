"""The memory of answers that clients do not read: bounded for all connections of a process together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from modelport_scoring.http.delivery import Delivery
from modelport_scoring.logs.journal import say

MOST_BYTES = 512 * 1024 * 1024
"""What all connections of a service may hold of answers; beyond that, who does not read is ended."""

PACE_S = 2.0
"""For so long it is watched how fast a client reads."""

DUE_S = 60.0
"""At that pace, it has to have read what it was answered within so long."""


class Reader(Protocol):
    """A connection, as far as its client reads."""

    @property
    def delivery(self) -> Delivery | None:
        """How far what was written has come."""

    @property
    def ahead_bytes(self) -> int:
        """What has been made of answers, and waits for others before them."""

    def reset(self) -> None:
        """End it now, and have the system drop what it holds of it."""


class UnreadAnswers:
    """Ends connections whose clients read too slowly, or not at all, while answers take too much memory: those that
    hold most, and no more of them than it takes. As long as there is room, each may take its time. An answer that is
    made, and waits for a slow one before it on its connection, is none that is read."""

    def __init__(self, *, most_bytes: int, now: Callable[[], float]) -> None:
        self._most_bytes = most_bytes
        self._now = now
        self._seen: dict[Reader, tuple[float, int]] = {}
        """Since when, and from where on, the pace of a client is measured."""

    def look(self, connections: Iterable[Reader]) -> None:
        """Called about once a second."""
        held = [(each, each.delivery) for each in connections if each.delivery is not None]
        sizes = {each: (size, delivery) for each, delivery in held if (size := delivery.held_bytes + each.ahead_bytes)}
        total = sum(size for size, _ in sizes.values())
        if total <= self._most_bytes:
            self._seen.clear()
            return
        self._seen = {each: seen for each, seen in self._seen.items() if each in sizes}
        ended = 0
        for each, (size, delivery) in sorted(sizes.items(), key=lambda item: -item[1][0]):
            if total > self._most_bytes and not self._keeps_pace(each, delivery):
                each.reset()
                total -= size
                ended += 1
        if ended:
            say(f"{ended} connections are ended: their clients do not read, and answers take too much memory")

    def _keeps_pace(self, connection: Reader, delivery: Delivery) -> bool:
        now, progress = self._now(), delivery.progress
        since, before = self._seen.setdefault(connection, (now, progress))
        passed_s = now - since
        if passed_s < PACE_S:
            return True
        self._seen[connection] = (now, progress)
        return progress - before >= (delivery.unread_bytes + connection.ahead_bytes) * passed_s / DUE_S
