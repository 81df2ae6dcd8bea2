"""Tokens: JSON Web Tokens that the workspace signed, checked offline by its public keys.

Only ``access.gate.token_check`` imports this module: see there.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Literal

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from modelport_scoring.access.decisions import Denied, Granted, denied
from modelport_scoring.errors import SettingsInvalid
from modelport_scoring.logs.moments import in_words
from modelport_scoring.settings.service import TokenKey, TokenSettings

ALGORITHM = "ES256"
LEEWAY_S = 30
"""By so much two clocks may differ."""
MOST_TOKEN_BYTES = 8192
"""No token of ours is longer; a longer one is not even parsed."""

ASK_AGAIN = "get one with service.get_token() or `modelport service get-access-token`"
NOT_A_TOKEN = f"Unauthorized, this service asks for a token, and this is none: {ASK_AGAIN}"
WRONG_ALGORITHM = f"Unauthorized, a token must be signed with {ALGORITHM} by the service's workspace: {ASK_AGAIN}"
UNKNOWN_KEY = f"Unauthorized, the token was not signed by a key that this service knows: {ASK_AGAIN}"
RETIRED_KEY = f"Unauthorized, the key that signed the token has been retired: {ASK_AGAIN}"
WRONG_SIGNATURE = f"Unauthorized, the token's signature does not match: {ASK_AGAIN}"
WRONG_CLAIMS = f"Unauthorized, the token lacks a claim, or has one of a wrong type: {ASK_AGAIN}"
WRONG_ISSUER = f"Unauthorized, the token comes from another workspace: {ASK_AGAIN}"
EXPIRED = "Unauthorized, the token expired at {when}: call service.get_token() again"
TOO_EARLY = "Unauthorized, the token is not valid before {when}: compare the clocks of the two machines"
WRONG_AUDIENCE = f"Forbidden, the token is valid, but for another service: {ASK_AGAIN}"


class Header(msgspec.Struct, frozen=True):
    """What the head of a token must say. joserfc judges the members that are not named here."""

    alg: Literal["ES256"]
    kid: str


class Claims(msgspec.Struct, frozen=True):
    """What a token must claim."""

    iss: str
    aud: str | list[str]
    exp: float
    nbf: float = 0.0


class TokenRefused(Exception):
    """Carries the answer out of the steps of ``TokenCheck``."""

    def __init__(self, answer: Denied) -> None:
        super().__init__(answer.text)
        self.answer = answer


class TokenCheck:
    """Accepts the tokens of one issuer for one audience."""

    kind = "token"

    def __init__(self, settings: TokenSettings, *, now: Callable[[], float]) -> None:
        """Raises SettingsInvalid for a public key that is none."""
        self._settings = settings
        self._now = now
        self._keys = {key.kid: (public_key(key), key.not_after) for key in settings.keys}

    def judge(self, credential: bytes) -> Granted | Denied:
        """Accept a token until it expires or its key is retired, whichever comes first."""
        try:
            key, not_after = self._key(read_header(credential))
            claims = verified_claims(credential, key)
            self._expect(claims)
        except TokenRefused as refused:
            return refused.answer
        expiry = claims.exp + LEEWAY_S
        return Granted(expiry if not_after is None else min(expiry, not_after))

    def _key(self, header: Header) -> tuple[ECKey, int | None]:
        try:
            key, not_after = self._keys[header.kid]
        except KeyError:
            raise invalid(UNKNOWN_KEY) from None
        if not_after is not None and self._now() >= not_after:
            raise invalid(RETIRED_KEY)
        return key, not_after

    def _expect(self, claims: Claims) -> None:
        now = self._now()
        if claims.iss != self._settings.issuer:
            raise invalid(WRONG_ISSUER)
        if claims.exp + LEEWAY_S <= now:
            raise invalid(EXPIRED.format(when=in_words(claims.exp)))
        if claims.nbf - LEEWAY_S > now:
            raise invalid(TOO_EARLY.format(when=in_words(claims.nbf)))
        audiences = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if self._settings.audience not in audiences:
            raise TokenRefused(denied(403, WRONG_AUDIENCE, error="insufficient_scope"))


def public_key(key: TokenKey) -> ECKey:
    """The key that verifies. Raises SettingsInvalid, which names it."""
    try:
        return ECKey.import_key({"kty": key.kty, "crv": key.crv, "x": key.x, "y": key.y, "kid": key.kid})
    except (JoseError, ValueError) as error:
        raise SettingsInvalid(f"auth.token: the key {key.kid!r} is no public key of the curve {key.crv}") from error


def read_header(token: bytes) -> Header:
    """The head of a token, before anything is believed of it. Raises TokenRefused."""
    if len(token) > MOST_TOKEN_BYTES or token.count(b".") != 2:
        raise invalid(NOT_A_TOKEN)
    encoded = token.partition(b".")[0]
    try:
        decoded = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(decoded, type=Header)
    except msgspec.ValidationError:
        raise invalid(WRONG_ALGORITHM) from None
    except (ValueError, RecursionError):  # the latter of a thousand lists in one another
        raise invalid(NOT_A_TOKEN) from None


def verified_claims(token: bytes, key: ECKey) -> Claims:
    """What the token claims, once its signature has proved right. Raises TokenRefused."""
    try:
        payload = jws.deserialize_compact(token, key, algorithms=[ALGORITHM]).payload
    except (JoseError, ValueError, TypeError):
        raise invalid(WRONG_SIGNATURE) from None
    try:
        return msgspec.json.decode(payload or b"", type=Claims)
    except (msgspec.MsgspecError, RecursionError):
        raise invalid(WRONG_CLAIMS) from None


def invalid(text: str) -> TokenRefused:
    return TokenRefused(denied(401, text, error="invalid_token"))
