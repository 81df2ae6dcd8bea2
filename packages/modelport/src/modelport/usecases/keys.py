"""The two keys of a service."""

from __future__ import annotations

import dataclasses
import secrets

from modelport.domain.deployments import ComputeType
from modelport.domain.errors import AuthenticationOff, UserErrorException, WebserviceException
from modelport.domain.services import Keys, Service
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive

_NAMES = ("Primary", "Secondary")


def new_keys(primary: str | None = None, secondary: str | None = None) -> Keys:
    """Two keys: the ones given, 32 random letters and digits for each that is not."""
    return Keys(primary=_usable(primary) or _random_key(), secondary=_usable(secondary) or _random_key())


def chosen_keys(
    present: Keys | None,
    *,
    auth_enabled: bool | None,
    primary: str | None = None,
    secondary: str | None = None,
    keeps_unasked: bool = False,
) -> Keys | None:
    """The keys that a service is to have: the ones given, else those present, else new ones.

    Without key authentication those present are kept, for the day it is on again. Raises UserErrorException for keys
    that nothing would ask for, unless they are to be kept too.
    """
    if auth_enabled or (keeps_unasked and (primary or secondary)):
        kept = present or new_keys()
        return Keys(primary=_usable(primary) or kept.primary, secondary=_usable(secondary) or kept.secondary)
    if primary or secondary:
        raise UserErrorException(
            "A key was given, but key authentication is off.",
            hint="Turn it on: auth_enabled=True (--auth-enabled true), or leave the key out.",
        )
    return present


def _usable(key: str | None) -> str | None:
    """The key, which a client can send. Raises UserErrorException for another one, as one read with its line's end."""
    if key and not (isinstance(key, str) and key.isascii() and key.isprintable() and key == key.strip()):
        raise UserErrorException(
            "A key was given that no client could send in a header: it must have ASCII letters, digits and signs "
            "alone, and no blank or line end around them.",
            hint="strip() what was read from a file.",
        )
    return key


def _random_key() -> str:
    return secrets.token_urlsafe(24)


def get_keys(service: Service) -> Keys:
    """The keys. Raises AuthenticationOff where the service asks for none."""
    if not service.deployment.auth_enabled or service.keys is None:
        raise AuthenticationOff(
            f"The service {service.name!r} has no keys: key authentication is off.",
            hint=how_to_ask_for("auth_enabled", service),
        )
    return service.keys


def how_to_ask_for(setting: str, service: Service) -> str:
    """How ``auth_enabled`` or ``token_auth_enabled`` of the service is switched on: by the SDK of its kind, and by the
    command line."""
    asked = f"{setting}=True"
    if service.compute_type == ComputeType.LOCAL:
        asked = f"deployment_config=LocalWebservice.deploy_configuration({asked})"
    option = f"--{setting.replace('_', '-')} true"
    return f"Update it: service.update({asked}), or modelport service update -n {service.name} {option}."


def regenerate_key(context: Context, name: str, key: str, *, value: str | None = None) -> Keys:
    """Replace one key, ``Primary`` or ``Secondary`` in any case; the other one goes on working. Without a restart.

    Raises WebserviceException for another name, AuthenticationOff where the service has no keys; what
    the target raises where it does not take the new one: the old one then goes on working.
    """
    chosen = key.title() if isinstance(key, str) else key
    if chosen not in _NAMES:
        raise WebserviceException(f"Invalid key {key!r}: it must be one of {', '.join(_NAMES)}.")
    with exclusive(context, name):
        service = context.service(name)
        keys = dataclasses.replace(get_keys(service), **{chosen.lower(): _usable(value) or _random_key()})
        changed = dataclasses.replace(service, keys=keys)
        context.registry.update_service(changed)
        try:
            context.target(service).configure(changed)
        except BaseException:  # the user's Ctrl-C too: a service that does not answer is waited for
            context.registry.update_service(service)  # those that it asks for
            raise
    return keys
