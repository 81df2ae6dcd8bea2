"""Who may score: everybody, the holder of one of the service's keys, or the holder of one of its tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from modelport_scoring.access.decisions import Denied, Granted, denied
from modelport_scoring.access.keys import KeyCheck
from modelport_scoring.settings.service import AuthSettings, TokenSettings

NO_HEADER = "Unauthorized, no Auth Header"
WRONG_SCHEME = "Unauthorized, the Authorization header must be: Bearer <{kind}>"


class Check(Protocol):
    """Judges one kind of credential."""

    kind: str
    """What a client is told to send: ``key`` or ``token``."""

    def judge(self, credential: bytes) -> Granted | Denied:
        """Whether the credential, as it stood after ``Bearer``, is accepted."""


class Gate:
    """Judges ``Authorization`` headers by one state of the settings; other settings need another gate."""

    def __init__(self, auth: AuthSettings, *, now: Callable[[], float] = time.time) -> None:
        """Raises SettingsInvalid for a public key that is none. ``now`` tells the Unix time."""
        self._check: Check | None = None
        if auth.token is not None:
            self._check = token_check(auth.token, now=now)
        elif auth.enabled:
            self._check = KeyCheck(auth.key_digests)

    def check(self, authorization: bytes | None) -> Granted | Denied:
        """Judge a request by the value of its header, None where it has none. Never raises."""
        if self._check is None:
            return Granted()
        if authorization is None:
            return denied(401, NO_HEADER)
        scheme, _, credential = authorization.partition(b" ")
        if scheme.lower() != b"bearer":
            return denied(401, WRONG_SCHEME.format(kind=self._check.kind))
        return self._check.judge(credential.strip())


def token_check(settings: TokenSettings, *, now: Callable[[], float]) -> Check:
    """The check of tokens. Raises SettingsInvalid.

    The cryptography that it needs costs 15 MB and a fifth of a second, so it is loaded by the services that ask for
    tokens, and by no other one.
    """
    from modelport_scoring.access.tokens import TokenCheck  # noqa: PLC0415

    return TokenCheck(settings, now=now)
