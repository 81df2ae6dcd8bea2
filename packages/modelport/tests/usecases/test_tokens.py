"""Access tokens: signed with the workspace's key, judged by the gate of a scoring server."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from modelport.domain.errors import UserErrorException, WebserviceException
from modelport.domain.services import LocalDeployment, Service
from modelport.domain.tokens import LEEWAY, LIFETIME, REFRESH_AFTER
from modelport.targets.memory import MemoryTarget
from modelport.targets.serving.service import auth_settings
from modelport.targets.serving.settings import check_deployment
from modelport.usecases.context import Context
from modelport.usecases.exclusive import exclusive
from modelport.usecases.tokens import get_access_token, jwks, rotate_signing_key, trust
from modelport.usecases.update import ServiceChange, update
from modelport_scoring.access.decisions import Denied, Granted
from modelport_scoring.access.gate import Gate

from .conftest import Workbench

ASKS = LocalDeployment(token_auth_enabled=True)


class ConfiguredTarget(MemoryTarget):
    """Remembers which services were told of new settings."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def configure(self, service: Service) -> None:
        self.told.append(service.name)


@pytest.fixture
def target() -> ConfiguredTarget:
    return ConfiguredTarget()


@pytest.fixture
def asking(bench: Workbench) -> Service:
    """A service that asks for tokens."""
    return bench.service(deployment=ASKS)


def judged(context: Context, service: Service, token: str, *, at: dt.datetime | None = None) -> Granted | Denied:
    """What the service's scoring server would say of the token."""
    moment = at or dt.datetime.now(dt.UTC)
    settings = auth_settings(
        service, trust=lambda name: trust(context.registry, context.record, name, now=lambda: moment)
    )
    return Gate(settings, now=moment.timestamp).check(f"Bearer {token}".encode())


def claims_of(context: Context, token: str) -> dict[str, Any]:
    return jwt.decode(token, KeySet.import_key_set(jwks(context)), algorithms=["ES256"]).claims  # type: ignore[arg-type]


def test_a_token_is_for_one_service_and_lasts_twelve_hours(context: Context, asking: Service) -> None:
    token = get_access_token(context, asking)
    begin = dt.datetime.now()
    assert token.token_type == "Bearer"
    assert abs(token.expiry_on - begin - LIFETIME) < dt.timedelta(seconds=5)
    assert abs(token.refresh_after - begin - REFRESH_AFTER) < dt.timedelta(seconds=5)
    claims = claims_of(context, token.access_token)
    assert claims["iss"] == f"urn:modelport:workspace:{context.record.id}"
    assert claims["aud"] == f"{claims['iss']}:service:{asking.name}"
    assert claims["exp"] - claims["nbf"] == LIFETIME.total_seconds()
    assert isinstance(judged(context, asking, token.access_token), Granted)
    other = dataclasses.replace(asking, name="other")
    answer = judged(context, other, token.access_token)
    assert isinstance(answer, Denied)
    assert answer.status == 403


def test_no_two_tokens_are_the_same(context: Context, asking: Service) -> None:
    made = [get_access_token(context, asking).access_token for _ in range(20)]
    assert len({claims_of(context, token)["jti"] for token in made}) == 20


def test_an_expired_token(context: Context, asking: Service) -> None:
    day_ago = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    token = get_access_token(context, asking, now=lambda: day_ago).access_token
    answer = judged(context, asking, token)
    assert isinstance(answer, Denied)
    assert "call service.get_token() again" in answer.text


def test_a_rotation_leaves_tokens_while_they_last(
    context: Context, asking: Service, target: ConfiguredTarget, bench: Workbench
) -> None:
    bench.service("keyed", deployment=LocalDeployment(auth_enabled=True))
    old = get_access_token(context, asking).access_token
    before = context.registry.signing_keys()[0]
    after = rotate_signing_key(context)
    assert target.told == [asking.name]
    new = get_access_token(context, asking).access_token
    assert [key["kid"] for key in jwks(context)["keys"]] == [after.id, before.id]
    assert all("d" not in key for key in jwks(context)["keys"])
    assert isinstance(judged(context, asking, old), Granted)
    assert isinstance(judged(context, asking, new), Granted)
    end = dt.datetime.now(dt.UTC) + LIFETIME + LEEWAY
    assert isinstance(judged(context, asking, old, at=end), Denied)
    assert [key["kid"] for key in jwks(context, now=lambda: end)["keys"]] == [after.id]


def test_a_revocation_ends_all_tokens_at_once(context: Context, asking: Service) -> None:
    old = get_access_token(context, asking).access_token
    rotate_signing_key(context, revoke=True)
    assert isinstance(judged(context, asking, old), Denied)
    assert isinstance(judged(context, asking, get_access_token(context, asking).access_token), Granted)


def test_a_rotation_names_the_services_that_it_could_not_tell(context: Context, asking: Service) -> None:
    with exclusive(context, asking.name), pytest.raises(WebserviceException, match=f"not be told: {asking.name}"):
        rotate_signing_key(context)
    rotate_signing_key(context)


def test_keys_and_tokens_turn_each_other_off(context: Context, asking: Service) -> None:
    keyed = update(context, asking.name, ServiceChange(deployment=LocalDeployment(auth_enabled=True)))
    assert (keyed.deployment.auth_enabled, keyed.deployment.token_auth_enabled) == (True, False)
    with pytest.raises(WebserviceException, match="token authentication is off"):
        get_access_token(context, keyed)
    again = update(context, asking.name, ServiceChange(deployment=ASKS))
    assert (again.deployment.auth_enabled, again.deployment.token_auth_enabled) == (False, True)
    assert again.keys == keyed.keys, "for the day when they are asked for again"


def test_both_at_once_are_refused() -> None:
    with pytest.raises(UserErrorException, match="cannot both be True"):
        check_deployment(LocalDeployment(auth_enabled=True, token_auth_enabled=True))


def test_no_secret_is_shown(context: Context, asking: Service) -> None:
    token = get_access_token(context, asking)
    assert token.access_token not in repr(token)
    assert "PRIVATE" not in repr(context.registry.signing_keys())
    assert "PRIVATE" not in repr(context.registry.events())
