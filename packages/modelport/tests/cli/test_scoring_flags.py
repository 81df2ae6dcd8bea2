"""What the options of how a service scores say, alone and on top of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelport.cli.options import Truth
from modelport.cli.scoring_flags import ScoringFlags
from modelport.cli.session import Session
from modelport.cli.target import TargetFlags
from modelport.sdk.local_configuration import LocalDeploymentConfiguration


def given(scoring: ScoringFlags, file: Path | None = None) -> LocalDeploymentConfiguration | None:
    return TargetFlags(deploy_config_file=file).configuration(Session(), scoring)


def test_nothing_given_is_no_configuration() -> None:
    assert given(ScoringFlags()) is None


@pytest.mark.parametrize(
    ("flags", "asked"),
    [
        ({"batching": "True"}, {"batching": True}),
        ({"batching": "false"}, {"batching": False}),
        ({"batching": "32"}, {"batching": 32}),
        ({"warm_up": Truth.FALSE, "worker_start": "fork"}, {"warm_up": False, "worker_start": "fork"}),
        ({"cors_origins": ""}, {"cors_origins": ""}),
        ({"enable_app_insights": Truth.TRUE}, {"enable_app_insights": True}),
        (
            {"scoring_timeout_ms": 5, "limit": ["queue_wait_ms=7"]},
            {"limits": {"queue_wait_ms": 7, "scoring_timeout_ms": 5}},
        ),
        ({"max_request_wait_time": 5, "limit": ["queue_wait_ms=7"]}, {"limits": {"queue_wait_ms": 5}}),
        ({"replica_max_concurrent_requests": 3}, {"limits": {"max_concurrent_requests": 3}}),
        (
            {"telemetry": ["access_log=True", "sampling_ratio=0.5", "otlp_endpoint=null", "log_format=json"]},
            {"telemetry": {"access_log": True, "sampling_ratio": 0.5, "otlp_endpoint": None, "log_format": "json"}},
        ),
        ({"telemetry": ["otlp_endpoint=http://A:1"]}, {"telemetry": {"otlp_endpoint": "http://A:1"}}),
    ],
)
def test_flags(flags: dict[str, Any], asked: dict[str, Any]) -> None:
    assert given(ScoringFlags(**flags)) == LocalDeploymentConfiguration(**asked)


def test_flags_override_the_keys_of_a_file_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "dc.yml"
    file.write_text(
        "batching: {maxRequests: 8}\nwarmUp: true\nscoringTimeoutMs: 9\nmaxQueueWaitMs: 8\n"
        "telemetry: {accessLog: true, logFormat: json}\n"
    )
    scoring = ScoringFlags(batching="false", scoring_timeout_ms=5, telemetry=["log_format=text"])
    assert given(scoring, file) == LocalDeploymentConfiguration(
        batching=False,
        warm_up=True,
        limits={"scoring_timeout_ms": 5, "queue_wait_ms": 8},
        telemetry={"access_log": True, "log_format": "text"},
    )
