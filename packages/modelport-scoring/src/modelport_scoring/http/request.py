"""The head of an HTTP request, as far as it tells."""

from __future__ import annotations

from typing import Any

from modelport_scoring.http.ids import GivenIds

FOREVER = float("inf")

WHOLE_SERVER = b"*"
"""In the place of a path: a question about all that is served (RFC 9110, 9.3.7)."""

Body = bytes | bytearray | memoryview
"""A large body may be a view of what was read from the socket."""


class Head:
    """Method, target and headers. ``headers`` maps names in lower case to values; the values of a repeated header are
    joined with commas, those of Cookie with semicolons.

    One object may serve many requests, namely all whose heads have the same bytes; nothing but ``described``, which is
    made when it is needed, and ``known_as`` changes once the application has screened it.
    """

    __slots__ = (
        "described",
        "headers",
        "ids",
        "is_json",
        "keep_alive",
        "known_as",
        "length",
        "lines",
        "method",
        "path",
        "query",
        "route",
        "until",
        "version",
    )

    def __init__(self, *, method: bytes, target: bytes, version: str, headers: dict[bytes, bytes]) -> None:
        self.method = method
        self.path, _, self.query = target.partition(b"?")
        self.version = version
        self.headers = headers
        self.keep_alive = True
        self.known_as = b""
        """The bytes by which it is known at the moment, its end included; nothing where it is not."""
        self.is_json = names_json(headers.get(b"content-type", b""))
        """Whether the body is said to be JSON."""
        self.length: int | None = 0
        """Bytes of the body; None where its end is told otherwise."""
        self.ids: GivenIds | None = None
        """Set by the application for the routes that are its own to answer."""
        self.lines = b""
        """Header lines that the application adds to every answer."""
        self.route: Any = None
        """The application's own note: who answers."""
        self.described = (False, b"")
        """What a worker is told of it, once it was told, and whether the key was left out of that."""
        self.until = FOREVER
        """Unix time, in seconds, up to which the application's permission holds."""


def names_json(content_type: bytes) -> bool:
    """Whether the content type is JSON's, or one of those that end in ``+json``."""
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json"))
