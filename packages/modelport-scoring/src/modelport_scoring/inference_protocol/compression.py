"""Compressed request bodies, which the clients of the protocol can send."""

from __future__ import annotations

import zlib

from modelport_scoring.inference_protocol.protocol import UNKNOWN_CODING, Body, ProtocolError

GZIP = 16 + zlib.MAX_WBITS
WINDOW_BITS = {b"gzip": GZIP, b"x-gzip": GZIP, b"deflate": zlib.MAX_WBITS}
"""For zlib, by the value of Content-Encoding (RFC 9110, 8.4.1; ``x-gzip`` is an old name of ``gzip``)."""


def decompress(body: Body, encoding: bytes, *, max_bytes: int) -> Body:
    """The body as it was before it was compressed, of ``max_bytes`` at most. Raises ProtocolError."""
    name = encoding.strip().lower()
    if name in (b"", b"identity"):
        return body
    if name not in WINDOW_BITS:
        raise ProtocolError(
            f'the body has the content coding "{name.decode("latin-1")}"; gzip and deflate are taken',
            status=UNKNOWN_CODING,
        )
    stream = zlib.decompressobj(WINDOW_BITS[name])
    try:
        plain = stream.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise ProtocolError(f"the body is not compressed as its content coding says: {error}") from error
    if len(plain) > max_bytes:
        raise ProtocolError(f"the decompressed body is too large: limits.max_body_bytes is {max_bytes}", status=413)
    if not stream.eof or stream.unused_data:
        raise ProtocolError("the body is not compressed as its content coding says: it does not end where that ends")
    return plain
