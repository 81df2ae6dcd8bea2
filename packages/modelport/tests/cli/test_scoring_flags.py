"""What the options of how a service scores say, alone and on top of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from modelport.cli.deployment import Asked
from modelport.cli.options import Truth
from modelport.cli.replica_flags import PlacementFlags, ReplicaFlags
from modelport.cli.scoring_flags import ScoringFlags
from modelport.cli.session import Session
from modelport.cli.target import TargetFlags, asked_of
from modelport.domain.deployments import ComputeType
from modelport.domain.errors import UserErrorException
from modelport.sdk.aci_configuration import AciServiceDeploymentConfiguration
from modelport.sdk.aks_configuration import AksServiceDeploymentConfiguration
from modelport.sdk.deployment_configuration import DeploymentConfiguration
from modelport.sdk.local_configuration import LocalDeploymentConfiguration


def asked_by(scoring: ScoringFlags, file: Path | None = None, **replicas: Any) -> Asked:
    return asked_of(
        Session(), TargetFlags(deploy_config_file=file), scoring, ReplicaFlags(**replicas), PlacementFlags()
    )


def given(scoring: ScoringFlags, file: Path | None = None) -> DeploymentConfiguration:
    return asked_by(scoring, file).configuration(ComputeType.LOCAL, Session())


def test_nothing_given_asks_for_nothing() -> None:
    assert not asked_by(ScoringFlags()).asks_for_anything
    assert given(ScoringFlags()) == LocalDeploymentConfiguration()


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


def test_a_file_of_a_cluster_and_flags_above_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "dc.json"
    file.write_text(
        '{"computeType": "aks", "autoScaler": {"autoscaleEnabled": true, "minReplicas": 1, "maxReplicas": 3,'
        '"refreshPeriodInSeconds": 1, "targetUtilization": 70}, "authEnabled": true, "gpuCores": 0, "sslEnabled": true,'
        '"containerResourceRequirements": {"cpu": "0.5", "memoryInGB": 1.0}, "maxQueueWaitMs": 700,'
        '"livenessProbeRequirements": {"periodSeconds": 5}, "dataCollection": {"storageEnabled": false}}'
    )
    asked = asked_by(ScoringFlags(max_request_wait_time=900), file, autoscale_max_replicas=5)
    assert asked.file.compute_type is ComputeType.AKS
    assert asked.configuration(ComputeType.AKS, Session()) == AksServiceDeploymentConfiguration(
        autoscale_enabled=True,
        autoscale_min_replicas=1,
        autoscale_max_replicas=5,
        autoscale_refresh_seconds=1,
        autoscale_target_utilization=70,
        auth_enabled=True,
        gpu_cores=0,
        cpu_cores=0.5,
        memory_gb=1.0,
        max_request_wait_time=900,
        period_seconds=5,
        collect_model_data=False,
    )
    assert "has the key 'sslEnabled', which has no effect for AKS" in capsys.readouterr().err


def test_a_flag_of_another_kind_is_refused_and_a_key_only_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dc.yml"
    file.write_text("numReplicas: 2\ncontainerResourceRequirements: {cpu: 1}\n")
    configuration = asked_by(ScoringFlags(), file).configuration(ComputeType.ACI, Session())
    assert configuration == AciServiceDeploymentConfiguration(cpu_cores=1)
    assert "'numReplicas', which has no effect for ACI" in capsys.readouterr().err
    for asked, kind in ((asked_by(ScoringFlags(), num_replicas=2), "ACI"), (asked_by(ScoringFlags(workers=2)), "AKS")):
        with pytest.raises(UserErrorException, match=f"cannot be given for a service of type {kind}"):
            asked.configuration(ComputeType(kind), Session())
