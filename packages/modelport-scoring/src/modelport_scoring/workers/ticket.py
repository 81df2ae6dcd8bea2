"""One request on its way to a worker, as the pool sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum

from modelport_scoring.workers.contract import Contract


class Refusal(Enum):
    """Why a pool did not give a request to a worker."""

    QUEUE_LENGTH = "max_queue_length"
    QUEUE_BYTES = "max_queue_bytes"
    QUEUE_WAIT = "queue_wait_ms"
    NO_WORKER = "no worker"


class Ticket(ABC):
    """What a worker gets, and who is told how it went. Exactly one of ``scored``, ``lost`` and ``refused`` is called,
    unless ``admit`` said no: then the ticket has answered for itself."""

    __slots__ = ("abandoned", "attempts", "flags", "id", "meta", "payload", "waiting", "waiting_since")

    def __init__(self, *, payload: bytes, flags: int) -> None:
        self.id = 0
        self.payload = payload
        self.meta = b""
        self.flags = flags
        self.attempts = 0
        self.waiting_since = 0.0
        self.waiting = False
        """It is in a queue."""
        self.abandoned = False
        """Nobody waits for the answer any more."""

    @abstractmethod
    def admit(self, contract: Contract) -> bool:
        """Called before the ticket goes to a worker whose script keeps to ``contract``: fill in ``meta``, or answer
        the request here and return False."""

    @abstractmethod
    def scored(self, *, code: int, flags: int, micros: int, meta: bytes, payload: bytes) -> None:
        """The worker's RESULT."""

    @abstractmethod
    def lost(self) -> None:
        """The worker died after it had started with this request."""

    @abstractmethod
    def refused(self, refusal: Refusal) -> None:
        """No worker took it."""
