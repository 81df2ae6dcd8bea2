"""What servers are told: those of an older image take what a newer Modelport writes, as long as nothing new is used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.router import router_settings
from modelport.targets.kubernetes.scoring import document, restart_digest, unit_settings
from modelport.targets.kubernetes.settings import ClusterSettings
from modelport.targets.kubernetes.subject import Subject
from modelport_scoring import Limits, ServiceSettings
from modelport_scoring.router.settings import decode_router_settings
from modelport_scoring.service_folder import decode_settings

from .services import DEPLOYMENTS, NEWEST, WORKSPACE_ID, endpoint, images, service, trust


class NewerLimits(Limits, frozen=True, forbid_unknown_fields=True, kw_only=True):
    most_surprises: int = 7


class NewerSettings(ServiceSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    limits: NewerLimits = NewerLimits()
    surprises: list[str] = []
    is_surprising: bool = False


def _subject(row: Any) -> Subject:
    return Subject(
        service=row,
        workspace="main",
        workspace_id=WORKSPACE_ID,
        images=images(row),
        cluster=ClusterFacts.assumed(NEWEST),
        settings=ClusterSettings(),
    )


def _settings(row: Any) -> ServiceSettings:
    subject = _subject(row)
    return unit_settings(subject, subject.units[0], trust=trust)


def _newer(settings: ServiceSettings, **more: Any) -> NewerSettings:
    told = {name: getattr(settings, name) for name in settings.__struct_fields__}
    limits = {name: getattr(settings.limits, name) for name in Limits.__struct_fields__}
    return NewerSettings(**{**told, "limits": NewerLimits(**limits), **more})


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_setting_that_nobody_uses_is_not_written(name: str) -> None:
    settings = _settings(service(deployment=DEPLOYMENTS[name]))
    assert document(_newer(settings)) == document(settings)
    assert restart_digest(_newer(settings)) == restart_digest(settings), "nor are pods replaced for it"
    assert b"surprises" in document(_newer(settings, surprises=["one"]))
    assert restart_digest(_newer(settings, surprises=["one"])) != restart_digest(settings)


@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_what_is_read_is_what_was_meant(name: str) -> None:
    settings = _settings(service(deployment=DEPLOYMENTS[name]))
    assert decode_settings(document(settings), path=Path("service.json")) == settings
    of_router = router_settings(_subject(endpoint(deployment=DEPLOYMENTS[name])))
    assert decode_router_settings(document(of_router), path=Path("router.json")) == of_router


def test_the_format_is_always_said() -> None:
    assert json.loads(document(_settings(service())))["format"] == 1
    assert json.loads(document(router_settings(_subject(endpoint()))))["format"] == 1
