"""Access tokens of services: signed by the workspace, checked by the scoring servers without asking it."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from modelport.domain.deployments import ComputeType
from modelport.domain.errors import AuthenticationOff, ModelportError, WebserviceException
from modelport.domain.services import Service, ServiceFilter
from modelport.domain.tokens import (
    LEEWAY,
    LIFETIME,
    REFRESH_AFTER,
    AccessToken,
    SigningKey,
    TokenTrust,
    audience_of,
    issuer_of,
)
from modelport.domain.workspaces import WorkspaceRecord
from modelport.storage.interface import MetadataStore
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.keys import how_to_ask_for

Clock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def get_access_token(context: Context, service: Service, *, now: Clock = utc_now) -> AccessToken:
    """A new token for the service. Raises AuthenticationOff where it asks for none."""
    if not service.deployment.token_auth_enabled:
        is_aci = service.compute_type == ComputeType.ACI
        raise AuthenticationOff(
            f"The service {service.name!r} has no tokens: "
            + ("container instances have keys only." if is_aci else "token authentication is off."),
            hint=how_to_ask_for("auth_enabled" if is_aci else "token_auth_enabled", service),
        )
    begin = now().replace(microsecond=0)
    expiry = begin + LIFETIME
    claims = {
        "iss": issuer_of(context.record.id),
        "aud": audience_of(context.record.id, service.name),
        "iat": int(begin.timestamp()),
        "nbf": int(begin.timestamp()),
        "exp": int(expiry.timestamp()),
        "jti": secrets.token_urlsafe(16),
    }
    return AccessToken(
        access_token=_signed(claims, signing_key(context.registry)),
        refresh_after=_local(begin + REFRESH_AFTER),
        expiry_on=_local(expiry),
    )


def _local(moment: dt.datetime) -> dt.datetime:
    # v1 scripts compare it with datetime.now()
    return dt.datetime.fromtimestamp(moment.timestamp())


def signing_key(registry: MetadataStore) -> SigningKey:
    """The key that signs; made on first use."""
    for key in registry.signing_keys():
        if key.accepted_until is None:
            return key
    return registry.keep_signing_key(_new_key())


def trust(registry: MetadataStore, record: WorkspaceRecord, service: str, *, now: Clock = utc_now) -> TokenTrust:
    """What the service is to accept: tokens of the key that signs, and of those before it while they last."""
    signing_key(registry)
    return TokenTrust(
        issuer=issuer_of(record.id),
        audience=audience_of(record.id, service),
        keys=tuple(_accepted(registry, now())),
    )


def jwks(context: Context, *, now: Clock = utc_now) -> dict[str, list[dict[str, Any]]]:
    """The public keys as a JSON Web Key Set (RFC 7517, 5): whoever has it can check the workspace's tokens."""
    signing_key(context.registry)
    return {"keys": [_public(key) for key in _accepted(context.registry, now())]}


def rotate_signing_key(context: Context, *, revoke: bool = False) -> SigningKey:
    """Have a new key sign from now on, and tell the services; no service restarts.

    Tokens of the old key are accepted until they expire; with ``revoke``, not at all any more. Raises
    WebserviceException that names the services which could not be told; doing it again tells them.
    """
    key = _new_key()
    context.registry.rotate_signing_key(key, accepted_until=None if revoke else utc_now() + LIFETIME + LEEWAY)
    untold = [service.name for service in context.registry.services(ServiceFilter()) if not _told(context, service)]
    if untold:
        raise WebserviceException(
            f"The key was replaced, but these services could not be told: {', '.join(untold)}.",
            hint="Rotate again when nothing else is done to them, or restart them: both make them learn the key.",
        )
    return key


def _told(context: Context, service: Service) -> bool:
    """Whether the service knows the keys of now, or has no need to."""
    if not service.deployment.token_auth_enabled:
        return True
    try:
        with exclusive(context, service.name):
            context.target(service).configure(context.service(service.name))
    except ModelportError:
        return False
    return True


def _accepted(registry: MetadataStore, moment: dt.datetime) -> list[SigningKey]:
    keys = registry.signing_keys()
    return [key for key in keys if key.accepted_until is None or key.accepted_until > moment]


def _public(key: SigningKey) -> dict[str, Any]:
    return {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": key.id, "x": key.x, "y": key.y}


def _signed(claims: Mapping[str, object], key: SigningKey) -> str:
    from modelport.usecases.signing import sign  # noqa: PLC0415 - see there

    return sign(claims, key)


def _new_key() -> SigningKey:
    from modelport.usecases.signing import new_key  # noqa: PLC0415 - see there

    return new_key()
