"""Who may score: the holder of one of the service's keys. Only digests of keys are known here."""

from __future__ import annotations

import hashlib
import hmac

from modelport_scoring.settings import AuthSettings

NO_HEADER = "Unauthorized, no Auth Header"
WRONG_SCHEME = "Unauthorized, the Authorization header must be: Bearer <key>"
WRONG_KEY = "Unauthorized, the key is not one of this service's"


def refuse(auth: AuthSettings, authorization: bytes | None) -> str | None:
    """Why a request with that Authorization header may not pass; None where it may."""
    if not auth.enabled:
        return None
    if authorization is None:
        return NO_HEADER
    scheme, _, key = authorization.partition(b" ")
    if scheme.lower() != b"bearer":
        return WRONG_SCHEME
    return None if is_known(key.strip(), auth.key_digests) else WRONG_KEY


def is_known(key: bytes, digests: list[str]) -> bool:
    """Whether the key's digest is among ``digests``. All are compared, each in constant time, so that the time taken
    tells neither how much of a key was right nor which of them it was."""
    digest = hashlib.sha256(key).hexdigest()
    found = False
    for known in digests:
        found |= hmac.compare_digest(digest, known)
    return found
