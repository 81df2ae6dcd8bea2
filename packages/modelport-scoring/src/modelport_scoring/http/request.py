"""One HTTP request, as far as its head tells, and its body."""

from __future__ import annotations

from modelport_scoring.ids import RequestIds


class Request:
    """``headers`` maps names in lower case to values; the values of a repeated header are joined with commas."""

    __slots__ = ("body", "headers", "ids", "keep_alive", "method", "path", "query", "version")

    def __init__(self, *, method: bytes, target: bytes, version: str, headers: dict[bytes, bytes]) -> None:
        self.method = method
        self.path, _, self.query = target.partition(b"?")
        self.version = version
        self.headers = headers
        self.keep_alive = True
        self.body = b""
        self.ids: RequestIds | None = None
        """Set for the routes that are ours to answer."""
