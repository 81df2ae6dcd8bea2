"""What a proxy on this machine tells of how the client has reached it."""

from typing import Iterable, Optional, Tuple

SECURE = {"x-forwarded-proto": "https", "x-forwarded-protocol": "ssl", "x-forwarded-ssl": "on"}
"""The headers in which proxies tell it, and what each says of TLS: those that v1's server heeded, in gunicorn."""

PROXIES = frozenset(("127.0.0.1", "::1", "::ffff:127.0.0.1"))
"""Others could say it of themselves."""


def scheme_of(headers: Iterable[Tuple[str, str]], address: Optional[str]) -> str:
    """``https`` where a proxy on this machine says so, and does not contradict itself; else ``http``."""
    if address not in PROXIES:
        return "http"
    told = [SECURE[name.lower()] == value for name, value in headers if name.lower() in SECURE]
    return "https" if told and all(told) else "http"
