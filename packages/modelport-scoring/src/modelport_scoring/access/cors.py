"""Cross-origin requests: which pages of other origins may read the answers (the Fetch standard; reference, 5.7)."""

from __future__ import annotations

from collections.abc import Sequence

from modelport_scoring.http.request import Head
from modelport_scoring.settings.origins import ANY, compiled, is_pattern

ORIGIN = b"origin"
ASKED_METHOD = b"access-control-request-method"
ASKED_HEADERS = b"access-control-request-headers"
VARY = b"vary: Origin\r\n"
METHODS = b"access-control-allow-methods: GET, POST\r\n"
MAX_AGE = b"access-control-max-age: 600\r\n"

LONGEST_ORIGIN = 300
"""No host's name has more than 253 letters; nobody shall have an expression look at more."""

EXPOSED = (
    b"access-control-expose-headers: x-ms-request-id, x-request-id, x-ms-run-function-failed, retry-after, "
    b"inference-header-content-length\r\n"
)
"""Without the last one, pages cannot tell where the binary tensors of an answer begin."""


class Cors:
    """The origins of one service. None: browsers keep every page of another origin out."""

    def __init__(self, origins: Sequence[str]) -> None:
        """Raises OriginInvalid."""
        self._any = ANY in origins
        # Browsers write an origin in lower case, whatever stands in the setting.
        self._origins = frozenset(origin.strip().rstrip("/").lower().encode() for origin in origins if origin.strip())
        self._patterns = [compiled(origin) for origin in origins if is_pattern(origin)]

    def __bool__(self) -> bool:
        return bool(self._origins)

    def lines(self, head: Head) -> bytes:
        """The header lines for the answer to a request with that head."""
        allowed = self._allowed(head)
        if allowed is None:
            return VARY if self._origins else b""
        return allowed + EXPOSED

    def is_preflight(self, head: Head) -> bool:
        """Whether a browser asks, before it sends a request, if it may; answered here, whatever the script is."""
        return (
            bool(self._origins)
            and head.method == b"OPTIONS"
            and ORIGIN in head.headers
            and ASKED_METHOD in head.headers
        )

    def preflight_lines(self, head: Head) -> bytes:
        """The header lines of the answer, beside ``lines``."""
        if self._allowed(head) is None:
            return b""
        asked = head.headers.get(ASKED_HEADERS)
        headers = b"access-control-allow-headers: %b\r\n" % asked if asked else b""
        return METHODS + headers + MAX_AGE

    def _allowed(self, head: Head) -> bytes | None:
        if self._any:  # whoever asks: what a cache keeps is for pages too
            return b"access-control-allow-origin: *\r\n"
        origin = head.headers.get(ORIGIN)
        if origin is None:
            return None
        if origin.rstrip(b"/") not in self._origins and not self._matches(origin):
            return None
        return b"access-control-allow-origin: %b\r\n%b" % (origin, VARY)

    def _matches(self, origin: bytes) -> bool:
        """Whether an expression matches all of the origin, or all but its port."""
        if len(origin) > LONGEST_ORIGIN:
            return False
        return any(pattern.fullmatch(origin) is not None for pattern in self._patterns)


def names_origin(lines: bytes) -> bool:
    """Whether a script says itself who may read its answer: browsers refuse one in which that is said twice."""
    return b"\naccess-control-allow-origin:" in b"\n" + lines.lower()
