"""One request on its way to a worker, as the pool sees it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from enum import Enum
from typing import Protocol

from modelport_scoring.http.request import Body
from modelport_scoring.workers.arena import Slot
from modelport_scoring.workers.contract import Contract
from modelport_scoring.workers.numbers import NumberReader


class Refusal(Enum):
    """Why a pool did not give a request to a worker."""

    QUEUE_LENGTH = "max_queue_length"
    QUEUE_BYTES = "max_queue_bytes"
    QUEUE_WAIT = "queue_wait_ms"
    NO_WORKER = "no worker"
    NO_SUCH_REVISION = "no such revision"
    REVISION_DOWN = "revision down"


class BodySource(Protocol):
    """The worker that makes the body of an answer while it is sent."""

    def pause(self) -> None:
        """Take nothing from it for now."""

    def resume(self) -> None:
        """Go on."""

    def cancel(self, ticket: Ticket) -> None:
        """Have it make no more of that body."""


class Line(Protocol):
    """A queue, as a ticket sees it that waits there."""

    def abandon(self, ticket: Ticket) -> None:
        """Nobody waits for its answer any more."""


class Ticket(ABC):
    """What a worker gets, and who is told how it went. Exactly one of ``scored``, ``stream_began``, ``lost``,
    ``timed_out`` and ``refused`` is called, unless ``admit`` said no: then the ticket has answered for itself."""

    __slots__ = (
        "__dict__",
        "__weakref__",
        "alone",
        "attempts",
        "flags",
        "id",
        "meta",
        "payload",
        "revision",
        "sent_at",
        "settled",
        "slot",
    )
    """What every request uses; the others below are for few."""

    def __init__(self, payload: Body) -> None:
        self.payload = payload
        self.flags = 0
        self.meta = b""
        self.id = 0
        self.attempts = 0
        self.revision = 0
        """Number of the revision that took it, or that it waits for; 0: none was asked."""
        self.sent_at = 0.0
        """When a worker got it, by ``time.monotonic``; 0: none has."""
        self.alone = False
        """It must not be scored together with others: a worker died while it did that."""
        self.settled = False
        """It has its answer, whatever the worker still says."""
        self.slot: Slot | None = None
        """Where its answer may lie in the memory shared with its worker, and its payload does, unless that arrived
        there; None: nowhere."""

    waiting_since = 0.0
    line: Line | None = None
    """The queue that it waits in."""
    abandoned = False
    """Nobody waits for the answer any more."""
    client_has_gone = False
    """While a worker had it: an answer that begins after that is for nobody, and no other worker is to score it."""
    client_has_ended = False
    """It sends no more while a worker has this, and may have gone, too: it is answered, but by no other worker."""
    asked: bytes | None = None
    """Number of the revision that the path asks for; None: for none."""
    tied = False
    """Only the revision that it was given to may answer it."""
    is_copy = False
    """For a shadow: nobody waits for the answer, which is compared with that of the request."""
    declined = False
    """No worker took it."""
    away: asyncio.Future[None] | None = None
    """Set by ``admit`` where it said no for now: the ticket is given to the worker again once that is done."""
    source: BodySource | None = None
    """Set while a worker makes the body of the answer."""

    @abstractmethod
    def admit(self, contract: Contract, numbers: NumberReader | None) -> bool:
        """Called before the ticket goes to a worker whose script keeps to ``contract``: fill in what it gets, or answer
        the request here and return False, or set ``away`` and return False. ``numbers`` reads a body that is an array
        of numbers, where it can be one."""

    @abstractmethod
    def scored(
        self, code: int, flags: int, micros: int, meta: bytes, payload: bytes | memoryview, together: int
    ) -> None:
        """The worker's RESULT. ``together``: how many requests were scored by the same call of ``run``. A ``payload``
        that is a view is there for this call only."""

    @abstractmethod
    def stream_began(self, code: int, flags: int, micros: int, meta: bytes) -> None:
        """The worker's RESULT, whose body follows."""

    @abstractmethod
    def stream_went_on(self, chunk: bytes) -> None:
        """More of that body."""

    @abstractmethod
    def stream_ended(self, *, broken: bool) -> None:
        """The end of that body; ``broken``: it is not whole."""

    @abstractmethod
    def timed_out(self) -> None:
        """``run`` took longer than it may."""

    @abstractmethod
    def lost(self) -> None:
        """The worker died after it had started with this request."""

    @abstractmethod
    def refused(self, refusal: Refusal) -> None:
        """No worker took it."""
