"""What the local target would do for a revision: a value that can be printed and tested."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelport.domain.errors import UserErrorException
from modelport.domain.services import BOTH_CREDENTIALS, LocalDeployment, Revision, Service
from modelport.domain.tokens import TokenTrust
from modelport.targets.local.certificates import COPIES
from modelport_scoring import (
    AuthSettings,
    ErrorMode,
    Limits,
    RevisionSettings,
    ServiceSettings,
    TokenKey,
    TokenSettings,
)

Trust = Callable[[str], TokenTrust]
"""Tells whose tokens the service of that name is to accept."""


@dataclass(frozen=True, kw_only=True)
class LocalPlan:
    """The folder of the service and the content of its ``service.json``."""

    folder: Path
    settings: ServiceSettings


def plan(
    service: Service, number: int, *, workspace: str, folder: Path, bundle: Path, trust: Trust | None = None
) -> LocalPlan:
    """The plan for running revision ``number`` of the service from ``bundle`` in ``folder``; ``trust`` is asked where
    the service asks for tokens.

    Raises UserErrorException for a limit or an error mode that there is none of.
    """
    deployment = service.deployment
    settings = ServiceSettings(
        name=service.name,
        workspace=workspace,
        revision=revision_settings(service.revision(number), bundle),
        host=deployment.host or "127.0.0.1",
        port=service.port or 0,
        workers=deployment.workers or 1,
        error_mode=_error_mode(deployment.error_mode),
        auth=auth_settings(service, trust=trust),
        tls=COPIES if deployment.ssl_enabled else None,
        limits=_limits(deployment.limits),
    )
    return LocalPlan(folder=folder, settings=settings)


def check_settings(deployment: LocalDeployment) -> None:
    """Raise UserErrorException for a limit or an error mode that there is none of, a limit that is not above 0, or two
    kinds of credentials."""
    if deployment.auth_enabled and deployment.token_auth_enabled:
        raise UserErrorException(BOTH_CREDENTIALS)
    _error_mode(deployment.error_mode)
    _limits(deployment.limits)


def revision_settings(revision: Revision, bundle: Path) -> RevisionSettings:
    """The part of the settings that a switch replaces."""
    return RevisionSettings(
        number=revision.number,
        bundle=str(bundle),
        interpreter=list(revision.interpreter),
        environment_variables=dict(revision.environment_variables),
        keeps_python_path=revision.keeps_python_path,
    )


def auth_settings(service: Service, *, trust: Trust | None) -> AuthSettings:
    """Digests of the keys, or public keys of the workspace: what is secret stays in the workspace's database."""
    if service.deployment.token_auth_enabled and trust is not None:
        return AuthSettings(token=token_settings(trust(service.name)))
    if not service.deployment.auth_enabled or service.keys is None:
        return AuthSettings()
    keys = (service.keys.primary, service.keys.secondary)
    return AuthSettings(enabled=True, key_digests=[hashlib.sha256(key.encode()).hexdigest() for key in keys])


def token_settings(trusted: TokenTrust) -> TokenSettings:
    """Whose tokens the service is to accept."""
    keys = [
        TokenKey(
            kid=key.id,
            x=key.x,
            y=key.y,
            not_after=None if key.accepted_until is None else int(key.accepted_until.timestamp()),
        )
        for key in trusted.keys
    ]
    return TokenSettings(issuer=trusted.issuer, audience=trusted.audience, keys=keys)


def _error_mode(given: str | None) -> ErrorMode:
    if given is None:
        return ErrorMode.CLOUD
    try:
        return ErrorMode(given.lower())
    except ValueError:
        known = ", ".join(mode.value for mode in ErrorMode)
        raise UserErrorException(f"Invalid error mode {given!r}: it must be one of {known}.") from None


def _limits(given: Mapping[str, float]) -> Limits:
    try:
        limits = msgspec.convert(dict(given), Limits, strict=False)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(Limits))
        raise UserErrorException(f"Invalid limits: {error}.", hint=f"The limits are: {known}.") from None
    for name in given:
        if getattr(limits, name) <= 0:
            raise UserErrorException(f"Invalid limits: {name} must be above 0, not {given[name]}.")
    return limits
