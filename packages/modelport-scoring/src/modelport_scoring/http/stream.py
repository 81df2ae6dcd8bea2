"""A body that is sent as it is made."""

from __future__ import annotations

from collections import deque


class BodyStream:
    """What of a body has been made and not sent yet."""

    __slots__ = ("broken", "chunks", "done", "size")

    def __init__(self, *, done: bool = False) -> None:
        self.chunks: deque[bytes] = deque()
        self.size = 0
        """Bytes in ``chunks``."""
        self.done = done
        self.broken = False
        """It ended before it was whole."""

    def put(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.size += len(chunk)

    def take(self) -> list[bytes]:
        """Everything that has not been sent."""
        taken = list(self.chunks)
        self.chunks.clear()
        self.size = 0
        return taken
