"""Heads of requests that were parsed and let pass before.

A client sends the same head with almost every request. Parsing it, looking its key up and choosing its route depend on
nothing but its bytes (and on settings; when these change, everything known is forgotten), so they are done once: a
request whose head is known costs a search for its end and a look into a dict. What the parser makes of a head for the
first time is what is used ever after; nothing is read differently (ADR 2).
"""

from __future__ import annotations

from modelport_scoring.http.request import Head

HEAD_END = b"\r\n\r\n"

MOST_HEADS = 1024
MOST_HEAD_BYTES = 2048
MOST_HEADERS = 64
"""Together they bound the memory: each header is a few objects, which take several times its bytes."""

ALWAYS_NEW = (b"x-request-id", b"x-ms-request-id", b"x-ms-client-request-id", b"traceparent", b"traceid")
"""A head with one of these is not seen again."""

SPECIAL = (b"transfer-encoding", b"expect", b"upgrade")


class KnownHeads(dict[bytes, Head]):
    """From the bytes of a head, its end included, to what they mean."""

    def learn(self, raw: bytes, head: Head) -> None:
        """Remember a head that the application has let pass, unless it is of no use or not a plain one."""
        if len(raw) > MOST_HEAD_BYTES or not is_plain(raw, head):
            return
        if len(self) >= MOST_HEADS:
            self.clear()
        self._forget(raw)
        self[raw] = head
        head.known_as = raw

    def forget_expired(self, unix_now: float) -> None:
        """Forget those whose permission has ended."""
        for raw in [raw for raw, head in self.items() if head.until <= unix_now]:
            self._forget(raw)

    def clear(self) -> None:
        """Forget all."""
        for head in self.values():
            head.known_as = b""
        super().clear()

    def _forget(self, raw: bytes) -> None:
        head = self.pop(raw, None)
        if head is not None:
            head.known_as = b""


def is_plain(raw: bytes, head: Head) -> bool:
    """Whether every later request that begins with these bytes is to be understood as this one was."""
    headers = head.headers
    return (
        head.keep_alive
        and head.length is not None
        and head.version == "1.1"
        and raw.startswith(head.method)  # the parser skips empty lines before a request
        and raw.count(b"\n") == raw.count(b"\r\n")  # so that HEAD_END is where the parser saw the end
        and len(headers) <= MOST_HEADERS
        and not any(name in headers for name in SPECIAL)
        and not any(name in headers for name in ALWAYS_NEW)
    )
