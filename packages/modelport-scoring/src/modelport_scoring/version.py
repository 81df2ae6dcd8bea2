"""The version of this distribution, and how an answer names it."""

from __future__ import annotations

import os

__version__ = "0.1.0"

WANTED = "SERVER_VERSION_LOG_RESPONSE_ENABLED"
"""A variable of the server's own environment: answers name no version where it is anything but ``true``."""

NAMED = "HTTP_X_MS_SERVER_VERSION"
"""Another one: what they say instead."""


def server_line(wanted: str | None, *, named: str | None = None) -> bytes:
    """The header line that names the version (reference, 6.3), from the variables' values, None where unset. A name
    that is no header's value, which is printable ASCII, counts as unset."""
    if wanted is not None and wanted.strip().lower() != "true":
        return b""
    is_value = named is not None and named.isascii() and named.isprintable() and named.strip()
    value = named if is_value else f"modelport/{__version__}"
    return f"x-ms-server-version: {value}\r\n".encode()


SERVER_LINE = server_line(os.environ.get(WANTED), named=os.environ.get(NAMED))
