"""What the local target would do for a revision: a value that can be printed and tested."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelport.domain.services import Revision, Service
from modelport.domain.tokens import TokenTrust
from modelport.targets.local.settings import scoring_settings
from modelport_scoring import (
    AuthSettings,
    RevisionSettings,
    ServiceSettings,
    TokenKey,
    TokenSettings,
)
from modelport_scoring.traffic.settings import without

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

    Raises UserErrorException for a setting that no scoring server would take.
    """
    settings = ServiceSettings(
        name=service.name,
        workspace=workspace,
        revision=revision_settings(service.revision(number), bundle),
        port=service.port or 0,
        auth=auth_settings(service, trust=trust),
        **scoring_settings(service.deployment),
    )
    return LocalPlan(folder=folder, settings=settings)


def with_hosted(settings: ServiceSettings, *, present: ServiceSettings | None) -> ServiceSettings:
    """The settings of a start, with what the scoring server keeps in its file: the revisions that are hosted beside
    the default one, how requests are divided among them, and a number of workers that a revision has of its own."""
    if present is None or settings.others:
        return settings
    default = settings.revision
    kept = next((known for known in present.revisions if known.number == default.number), None)
    if kept is not None:
        default = msgspec.structs.replace(default, workers=kept.workers, autoscale=kept.autoscale)
    traffic = present.traffic
    if default.number != present.revision.number:
        for number in (default.number, present.revision.number):
            traffic = without(traffic, number)
    others = [revision for revision in present.others if revision.number != default.number]
    return msgspec.structs.replace(settings, revision=default, others=others, traffic=traffic)


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
