"""What a connection needs of the application behind it."""

from __future__ import annotations

from typing import Protocol

from modelport_scoring.http.exchange import Exchange
from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response
from modelport_scoring.settings.service import Limits


class Application(Protocol):
    @property
    def limits(self) -> Limits:
        """The limits of this moment."""

    @property
    def known_heads(self) -> KnownHeads:
        """The heads that ``screen`` has let pass, to be forgotten when it would judge anew."""

    @property
    def most_pipelined(self) -> int:
        """How many requests of one connection may be worked on at once."""

    def screen(self, head: Head) -> Response | None:
        """Answer from the head alone what the body cannot change: a wrong path, method or key."""

    def refused(self, head: Head, response: Response) -> None:
        """The connection has refused a request by itself, or what began like one: then the head is empty."""

    def no_room(self, limit: str) -> Response:
        """What a client is told for whose body there is no room, by that limit."""

    def memory_for(self, head: Head) -> memoryview | None:
        """Where the body of a request with that head is to be collected, which has a length; None: anywhere."""

    def handle(self, exchange: Exchange) -> None:
        """Answer the whole request, now or later."""
