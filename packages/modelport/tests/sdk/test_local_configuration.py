"""What a script may ask of a service on this machine, and what it is told where it may not."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from modelport import LocalWebservice
from modelport.domain.errors import WebserviceException
from modelport.domain.services import Batching, LocalDeployment
from modelport.sdk.local_configuration import LocalDeploymentConfiguration


def asked(**parameters: Any) -> LocalDeployment:
    return LocalWebservice.deploy_configuration(**parameters).to_deployment()


def test_every_parameter_is_a_field_of_the_configuration() -> None:
    parameters = inspect.signature(LocalWebservice.deploy_configuration).parameters
    assert set(parameters) == {field.name for field in dataclasses.fields(LocalDeploymentConfiguration)}
    assert asked() == LocalDeployment()


@pytest.mark.parametrize(
    ("given", "batching"),
    [
        (None, None),
        (True, Batching()),
        (False, Batching(enabled=False)),
        (32, Batching(max_requests=32)),
        ({"max_requests": 32, "max_wait_ms": 0.5}, Batching(max_requests=32, max_wait_ms=0.5)),
        ({}, Batching()),
    ],
)
def test_batching_in_one_word_or_in_detail(given: object, batching: Batching | None) -> None:
    assert asked(batching=given).batching == batching


@pytest.mark.parametrize(
    ("given", "origins"),
    [
        (None, None),
        ("https://a.example, https://b.example,", ("https://a.example", "https://b.example")),
        (["https://a.example "], ("https://a.example",)),
        ("*", ("*",)),
        ("", ()),
        ([], ()),
    ],
)
def test_origins_as_a_list_or_a_text(given: object, origins: tuple[str, ...] | None) -> None:
    assert asked(cors_origins=given).cors_origins == origins


def test_the_limits_by_the_names_of_v1() -> None:
    given = asked(
        scoring_timeout_ms=1, max_request_wait_time=2, replica_max_concurrent_requests=3, limits={"log_bytes": 4}
    )
    assert given.limits == {
        "scoring_timeout_ms": 1,
        "queue_wait_ms": 2,
        "max_concurrent_requests": 3,
        "log_bytes": 4,
    }
    assert asked(max_concurrent_requests_per_container=3).limits == {"max_concurrent_requests": 3}
    assert asked(scoring_timeout_ms=1, limits={"scoring_timeout_ms": 1}).limits == {"scoring_timeout_ms": 1}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"batching": "yes"}, "batching must be True, False, a number of requests, or a dictionary as .*'yes'"),
        ({"batching": {"max_request": 3}}, "batching has no 'max_request': it must be"),
        ({"batching": {"max_requests": 1.5}}, r"max_requests of batching must be an integer; it is 1\.5"),
        ({"batching": {"max_wait_ms": True}}, "max_wait_ms of batching must be a number; it is True"),
        ({"warm_up": "yes"}, "warm_up must be True or False; it is 'yes'"),
        ({"cors_origins": 3}, "cors_origins must be a list of origins, or a text with commas between them; it is 3"),
        ({"cors_origins": [3]}, "cors_origins must be a list"),
        ({"telemetry": True}, "telemetry must be a dictionary; it is True"),
        ({"limits": 3}, "limits must be a dictionary; it is 3"),
        ({"scoring_timeout_ms": 0}, "scoring_timeout_ms must be a positive integer; it is 0"),
        ({"max_request_wait_time": "500"}, "max_request_wait_time must be a positive integer; it is '500'"),
        ({"replica_max_concurrent_requests": -1}, "replica_max_concurrent_requests must be a positive integer"),
        ({"scoring_timeout_ms": 5, "limits": {"scoring_timeout_ms": 6}}, "scoring_timeout_ms is 5, and .* is 6"),
        (
            {"replica_max_concurrent_requests": 1, "max_concurrent_requests_per_container": 2},
            "max_concurrent_requests_per_container is 2, and max_concurrent_requests, .* is 1: give one of them",
        ),
        ({"collect_model_data": 1}, "collect_model_data must be True or False"),
        ({"auth_enabled": "yes"}, "auth_enabled must be True or False; it is 'yes'"),
        ({"ssl_enabled": 1}, "ssl_enabled must be True or False; it is 1"),
        ({"host": 127}, "host must be a text; it is 127"),
        ({"ssl_cname": Path("a.example")}, "ssl_cname must be a text; it is PosixPath"),
        ({"description": ["a"]}, "description must be a text; it is"),
        ({"primary_key": 4711}, "primary_key must be a text; it is of type int"),
        ({"gpu_cores": "1"}, "gpu_cores must be a whole number, 0 or more; it is '1'"),
    ],
)
def test_a_violation_names_the_parameter_and_what_is_allowed(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(WebserviceException, match=f"^Invalid configuration, {said}"):
        asked(**parameters)


def test_the_files_of_a_certificate_may_be_paths(tmp_path: Path) -> None:
    files = {"ssl_cert_pem_file": tmp_path / "a.pem", "ssl_key_pem_file": tmp_path / "a.key"}
    assert asked(**files).ssl_key_pem_file == str(tmp_path / "a.key")


def test_every_violation_has_a_line() -> None:
    with pytest.raises(WebserviceException) as caught:
        asked(port=-1, workers=0, warm_up=1, batching="x", telemetry=1, limits=2, collect_model_data=2)
    assert len(caught.value.message.splitlines()) == 7


def test_who_asks_for_records_is_told_where_they_go() -> None:
    def notes(**parameters: Any) -> list[str]:
        return LocalWebservice.deploy_configuration(**parameters).notes()

    (note,) = notes(enable_app_insights=True)
    assert "Nothing is sent anywhere unless" in note
    assert notes(enable_app_insights=False) == notes() == []
    (note,) = notes(collect_model_data=True)
    assert "CSV files below modeldata/" in note
