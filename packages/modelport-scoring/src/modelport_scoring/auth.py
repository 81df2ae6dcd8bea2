"""Today's way into ``modelport_scoring.access``: it goes when the routes keep a gate themselves."""

from __future__ import annotations

from modelport_scoring.access.decisions import Denied
from modelport_scoring.access.gate import Gate
from modelport_scoring.settings import AuthSettings

_last: list[tuple[AuthSettings, Gate]] = []


def refuse(auth: AuthSettings, authorization: bytes | None) -> str | None:
    """Why a request with that Authorization header may not pass; None where it may."""
    if not _last or _last[0][0] is not auth:
        _last[:] = [(auth, Gate(auth))]
    answer = _last[0][1].check(authorization)
    return answer.text if isinstance(answer, Denied) else None
