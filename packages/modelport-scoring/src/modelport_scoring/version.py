"""The version of this distribution, and how an answer names it."""

from __future__ import annotations

__version__ = "0.1.0"

SERVER_LINE = f"x-ms-server-version: modelport/{__version__}\r\n".encode()
