"""Services that speak TLS, and what their clients trust."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from scoring_services import ECHO, RunningService, Services


def with_certificate(services: Services, script: str = ECHO, **settings: Any) -> tuple[RunningService, ssl.SSLContext]:
    """A service that runs with a certificate, and the context of a client that trusts it."""
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    service = services.make(script, tls={"certificate": "tls/tls.crt", "key": "tls/tls.key"}, **settings)
    folder = service.folder / "tls"
    folder.mkdir()
    write_private(folder / "tls.key", issued.private_key_pem.bytes())
    write_private(folder / "tls.crt", b"".join(pem.bytes() for pem in issued.cert_chain_pems))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return service.start(), context


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, and that of clients which trust it by the name of localhost."""
    authority = trustme.CA()
    ours, theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.issue_cert("localhost").configure_cert(ours)
    authority.configure_trust(theirs)
    return ours, theirs


@contextmanager
def secured(service: RunningService, context: ssl.SSLContext, *, patience_s: float = 20.0) -> Iterator[ssl.SSLSocket]:
    """A connection to it."""
    plain = service.raw_connection(patience_s=patience_s)
    with plain, context.wrap_socket(plain, server_hostname="localhost") as channel:
        yield channel


def write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else reads."""
    path.write_bytes(content)
    path.chmod(0o600)
