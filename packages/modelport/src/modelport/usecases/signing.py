"""Making keys and signing with them. Only ``tokens.py`` imports this module, when it needs it: loading the
cryptography takes longer than most commands."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from joserfc import jwt
from joserfc.jwk import ECKey

from modelport.domain.tokens import SigningKey

_ALGORITHM = "ES256"


def new_key() -> SigningKey:
    """A new key pair."""
    pair = ECKey.generate_key("P-256")
    public = pair.as_dict(private=False)
    return SigningKey(
        id=pair.thumbprint(),
        private_key=pair.as_pem(private=True).decode(),
        x=str(public["x"]),
        y=str(public["y"]),
        created_time=dt.datetime.now(dt.UTC),
    )


def sign(claims: Mapping[str, object], key: SigningKey) -> str:
    """The claims as a JSON Web Token."""
    head = {"alg": _ALGORITHM, "kid": key.id}
    return jwt.encode(head, dict(claims), ECKey.import_key(key.private_key), algorithms=[_ALGORITHM])
