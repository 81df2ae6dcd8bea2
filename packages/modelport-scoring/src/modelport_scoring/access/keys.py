"""Keys: only their digests are known here."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from modelport_scoring.access.decisions import Denied, Granted, denied

WRONG_KEY = "Unauthorized, the key is not one of this service's"


class KeyCheck:
    """Accepts the keys with these SHA-256 digests."""

    kind = "key"

    def __init__(self, digests: Sequence[str]) -> None:
        self._digests = tuple(digests)

    def judge(self, credential: bytes) -> Granted | Denied:
        """Accept one of the keys, until the settings change."""
        return Granted() if is_known(credential, self._digests) else denied(401, WRONG_KEY)


def is_known(key: bytes, digests: Sequence[str]) -> bool:
    """Whether the key's digest is among ``digests``. All are compared, each in constant time, so that the time taken
    tells neither how much of a key was right nor which of them it was."""
    digest = hashlib.sha256(key).hexdigest()
    found = False
    for known in digests:
        found |= hmac.compare_digest(digest, known)
    return found
