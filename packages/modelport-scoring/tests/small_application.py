"""The least that a connection needs behind it."""

from __future__ import annotations

from modelport_scoring.http.known_heads import KnownHeads
from modelport_scoring.http.request import Head
from modelport_scoring.http.response import Response, message
from modelport_scoring.settings.service import Limits


class SmallApplication:
    """Lets every request pass. What is done with one, ``handle``, is each test's own."""

    def __init__(self, *, limits: Limits | None = None, most_pipelined: int = 1) -> None:
        self.limits = Limits() if limits is None else limits
        self.known_heads = KnownHeads()
        self.most_pipelined = most_pipelined

    def screen(self, head: Head) -> Response | None:
        return None

    def refused(self, head: Head, response: Response) -> None:
        """It does not count."""

    def no_room(self, limit: str) -> Response:
        return message(503, limit)

    def memory_for(self, head: Head) -> memoryview | None:
        return None
