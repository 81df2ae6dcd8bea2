"""Access tokens: what signs them, how long they last, and what a service is told to accept."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

LIFETIME = dt.timedelta(hours=12)
REFRESH_AFTER = dt.timedelta(hours=6)
"""A client asks for the next token when the last one is so old, long before it expires."""
LEEWAY = dt.timedelta(minutes=1)
"""How much longer than its last token a key that was replaced is accepted: clocks differ."""


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A key pair of a workspace, for ES256."""

    id: str
    """``kid`` of the tokens: the thumbprint of the public half (RFC 7638)."""
    private_key: str = field(repr=False)
    """PEM."""
    x: str
    y: str
    """The public half, as a JSON Web Key has it."""
    created_time: dt.datetime
    accepted_until: dt.datetime | None = None
    """When the last token that it signed has expired; None: it is the one that signs."""


@dataclass(frozen=True, kw_only=True)
class TokenTrust:
    """Whose tokens a service accepts."""

    issuer: str
    audience: str
    keys: tuple[SigningKey, ...]


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A token for one service, and when to ask for the next one. The times are local, as v1's were."""

    access_token: str = field(repr=False)
    refresh_after: dt.datetime
    expiry_on: dt.datetime
    token_type: str = "Bearer"  # noqa: S105 - how it is sent


def issuer_of(workspace_id: str) -> str:
    """``iss`` of a workspace's tokens."""
    return f"urn:modelport:workspace:{workspace_id}"


def audience_of(workspace_id: str, service: str) -> str:
    """``aud`` of the tokens for a service of the workspace."""
    return f"{issuer_of(workspace_id)}:service:{service}"
