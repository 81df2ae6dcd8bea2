"""The version of this distribution, and how an answer names it."""

from __future__ import annotations

import os

__version__ = "0.1.0"

WANTED = "SERVER_VERSION_LOG_RESPONSE_ENABLED"
"""A variable of the server's own environment: answers name no version where it is anything but ``true``."""


def server_line(wanted: str | None) -> bytes:
    """The header line that names the version (reference, 6.3); ``wanted``: the variable's value, None where unset."""
    if wanted is not None and wanted.strip().lower() != "true":
        return b""
    return f"x-ms-server-version: modelport/{__version__}\r\n".encode()


SERVER_LINE = server_line(os.environ.get(WANTED))
