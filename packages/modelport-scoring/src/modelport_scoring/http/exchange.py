"""One request and the place of its answer among those of its connection."""

from __future__ import annotations

from typing import Protocol

from modelport_scoring.http.request import Request
from modelport_scoring.http.response import Response


class AnswerOrder(Protocol):
    """Who sends answers in the order of the requests."""

    def answered(self, exchange: Exchange) -> None:
        """The exchange has its answer."""


class Abandonable(Protocol):
    """Work for an exchange that can be dropped while nobody has begun with it."""

    def client_gone(self) -> None:
        """Nobody waits for the answer any more."""


class Exchange:
    """Is answered exactly once, whenever; its connection keeps the order."""

    __slots__ = ("_order", "request", "response", "work")

    def __init__(self, request: Request, order: AnswerOrder) -> None:
        self.request = request
        self.response: Response | None = None
        self.work: Abandonable | None = None
        """Told when the client goes away."""
        self._order = order

    def answer(self, response: Response) -> None:
        """Send the answer, when its turn comes; nothing happens where the client has gone."""
        self.response = response
        self.work = None
        self._order.answered(self)
