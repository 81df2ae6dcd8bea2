"""A TLS handshake that fails, as its client sees it.

TLS says why it refuses a client, in an alert (RFC 8446, 6.2). The event loop closes the socket without it, and the
client sees no more than an end: its log would not tell a version that is too old from a server that has crashed. So the
alert is sent from here, before the loop learns that the handshake has failed.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from contextvars import ContextVar

from modelport_scoring.http.response import CLOSE, head, message

CHANNEL: ContextVar[socket.socket | None] = ContextVar("CHANNEL", default=None)
"""The socket of the connection that the loop is being told to serve: it hands it to nobody."""

SPEAKS_HTTP = frozenset(("HTTP_REQUEST", "HTTPS_PROXY_REQUEST"))
"""OpenSSL's reasons for giving up a client that sends a request without TLS."""

WITHOUT_TLS = message(400, "This port speaks HTTPS only: begin the URL with https://")


class Handshake(ssl.SSLObject):
    """The TLS of one connection."""

    outgoing: ssl.MemoryBIO
    channel: socket.socket | None = None

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._tell(error)
            raise
        self.channel = None

    def _tell(self, error: ssl.SSLError) -> None:
        """Send what there is to say, if the socket takes it: little has gone into it yet."""
        channel, self.channel = self.channel, None
        if channel is None:
            return
        if error.reason in SPEAKS_HTTP:
            words = head(WITHOUT_TLS, connection=CLOSE, date=b"") + WITHOUT_TLS.body
        else:
            words = self.outgoing.read()
        with contextlib.suppress(OSError):
            channel.send(words)


class TellingContext(ssl.SSLContext):
    """A server's context whose handshakes tell why they fail, where ``CHANNEL`` is set."""

    sslobject_class = Handshake

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        made = super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        if isinstance(made, Handshake):
            made.outgoing, made.channel = outgoing, CHANNEL.get()
        return made
