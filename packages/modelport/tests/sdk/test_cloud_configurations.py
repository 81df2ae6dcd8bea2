"""What scripts may ask of services in a cloud, word by word, and what they are told where they may not."""

from __future__ import annotations

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from modelport.domain.deployments import Autoscale, Deployment, Placement, Probe, Resources
from modelport.domain.errors import WebserviceException
from modelport.sdk.aci import AciWebservice
from modelport.sdk.aci_configuration import AciServiceDeploymentConfiguration
from modelport.sdk.aks import AksWebservice
from modelport.sdk.aks_configuration import AksServiceDeploymentConfiguration
from modelport.sdk.aks_endpoint import AksEndpoint

ACI = """cpu_cores memory_gb tags properties description location auth_enabled ssl_enabled enable_app_insights
    ssl_cert_pem_file ssl_key_pem_file ssl_cname dns_name_label primary_key secondary_key collect_model_data
    cmk_vault_base_url cmk_key_name cmk_key_version vnet_name subnet_name"""
ACI_UPDATE = """self image tags properties description auth_enabled ssl_enabled ssl_cert_pem_file ssl_key_pem_file
    ssl_cname enable_app_insights models inference_config"""
SCALE = """autoscale_enabled autoscale_min_replicas autoscale_max_replicas autoscale_refresh_seconds
    autoscale_target_utilization collect_model_data cpu_cores cpu_cores_limit memory_gb memory_gb_limit gpu_cores
    scoring_timeout_ms replica_max_concurrent_requests max_request_wait_time num_replicas tags properties description
    period_seconds initial_delay_seconds timeout_seconds success_threshold failure_threshold"""
AKS_UPDATE = f"{SCALE} auth_enabled token_auth_enabled enable_app_insights namespace image models inference_config self"
AKS = f"""{SCALE} auth_enabled token_auth_enabled enable_app_insights namespace primary_key secondary_key
    compute_target_name"""
VERSION = f"""{SCALE} self version_name models inference_config traffic_percentile is_default
    is_control_version_type"""
ENDPOINT_UPDATE = "self auth_enabled token_auth_enabled enable_app_insights description tags properties"


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (AciWebservice.deploy_configuration, ACI),
        (AciWebservice.update, ACI_UPDATE),
        (AksWebservice.deploy_configuration, AKS),
        (AksWebservice.update, AKS_UPDATE),
        (AksEndpoint.deploy_configuration, f"{AKS} version_name traffic_percentile"),
        (AksEndpoint.create_version, VERSION),
        (AksEndpoint.update_version, VERSION),
        (AksEndpoint.update, ENDPOINT_UPDATE),
    ],
)
def test_the_parameters_are_those_of_v1(function: Any, parameters: str) -> None:
    found = inspect.signature(function).parameters
    assert set(found) == set(parameters.split())
    assert {name for name, each in found.items() if each.default is not None} <= {"self", "version_name"}


@pytest.mark.parametrize("make", [AciWebservice, AksWebservice, AksEndpoint])
def test_what_is_not_given_is_none_and_asks_for_nothing(make: Any) -> None:
    configuration = make.deploy_configuration()
    assert {getattr(configuration, field.name) for field in dataclasses.fields(configuration)} == {None}
    assert not configuration.to_deployment().asks_for_anything
    assert configuration.notes() == []


def test_everything_of_a_container_instance_arrives(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    for path in (certificate, key):
        path.touch()
    configuration = AciWebservice.deploy_configuration(
        cpu_cores=1,
        memory_gb=2,
        location="eastus",
        auth_enabled=True,
        ssl_enabled=True,
        enable_app_insights=True,
        ssl_cert_pem_file=str(certificate),
        ssl_key_pem_file=str(key),
        ssl_cname="a.example",
        dns_name_label="label",
        primary_key="a first key",
        secondary_key="a second key",
        collect_model_data=True,
        cmk_vault_base_url="https://vault",
        cmk_key_name="key",
        cmk_key_version="1",
        vnet_name="net",
        subnet_name="subnet",
    )
    assert configuration.to_deployment() == Deployment(
        auth_enabled=True,
        ssl_enabled=True,
        ssl_cert_pem_file=str(certificate),
        ssl_key_pem_file=str(key),
        ssl_cname="a.example",
        resources=Resources(cpu=1, memory_gb=2),
        placement=Placement(
            location="eastus",
            dns_name_label="label",
            vnet_name="net",
            subnet_name="subnet",
            cmk_vault_base_url="https://vault",
            cmk_key_name="key",
            cmk_key_version="1",
        ),
        app_insights_enabled=True,
        collects_model_data=True,
    )
    assert " key" not in repr(configuration)


def test_everything_of_a_cluster_arrives() -> None:
    configuration = AksWebservice.deploy_configuration(
        autoscale_enabled=True,
        autoscale_min_replicas=2,
        autoscale_max_replicas=5,
        autoscale_refresh_seconds=3,
        autoscale_target_utilization=150,
        collect_model_data=True,
        auth_enabled=False,
        cpu_cores=0.5,
        cpu_cores_limit=1,
        memory_gb=1,
        memory_gb_limit=2,
        enable_app_insights=True,
        scoring_timeout_ms=1000,
        replica_max_concurrent_requests=4,
        max_request_wait_time=2000,
        gpu_cores=0,
        period_seconds=1,
        initial_delay_seconds=2,
        timeout_seconds=3,
        success_threshold=4,
        failure_threshold=5,
        namespace="my-namespace",
        token_auth_enabled=True,
        compute_target_name="aks",
    )
    assert configuration.to_deployment() == Deployment(
        auth_enabled=False,
        token_auth_enabled=True,
        autoscale=Autoscale(enabled=True, min_replicas=2, max_replicas=5, refresh_s=3, target_utilization=150),
        requests_per_replica=4,
        resources=Resources(cpu=0.5, cpu_limit=1, memory_gb=1, memory_gb_limit=2),
        gpu_cores=0,
        probe=Probe(period_s=1, initial_delay_s=2, timeout_s=3, success_threshold=4, failure_threshold=5),
        placement=Placement(compute_name="aks", namespace="my-namespace"),
        limits={"scoring_timeout_ms": 1000, "queue_wait_ms": 2000},
        app_insights_enabled=True,
        collects_model_data=True,
    )
    assert AksWebservice.deploy_configuration(num_replicas=3).to_deployment().replicas == 3


def test_zero_counts_as_not_given() -> None:
    """As in v1; but for the GPUs, of which a replica may have none, and a share, which may be nothing."""
    names = [field.name for field in dataclasses.fields(AksServiceDeploymentConfiguration)]
    numbers = [name for name in names if name.endswith(("s", "b", "t", "d", "n", "ms", "time", "limit"))]
    zeros: dict[str, Any] = {
        name: 0
        for name in numbers
        if name not in ("tags", "properties", "autoscale_enabled", "auth_enabled", "token_auth_enabled", "gpu_cores")
        and not name.startswith(("enable", "description"))
    }
    assert len(zeros) > 12
    assert not AksWebservice.deploy_configuration(**zeros).to_deployment().asks_for_anything
    assert AksWebservice.deploy_configuration(gpu_cores=0).to_deployment().gpu_cores == 0
    assert AksEndpoint.deploy_configuration(traffic_percentile=0).traffic_percentile == 0


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"cpu_cores": -1}, "cpu_cores must be positive; it is -1"),
        ({"memory_gb": -0.5}, r"memory_gb must be positive; it is -0\.5"),
        ({"memory_gb": "1"}, r"memory_gb must be a number \(int or float\); it is '1'"),
        ({"cpu_cores": 0}, "cpu_cores must be positive; it is 0"),
        ({"cpu_cores": False}, r"cpu_cores must be a number \(int or float\); it is False"),
        ({"memory_gb": True}, r"memory_gb must be a number \(int or float\); it is True"),
        ({"memory_gb": float("nan")}, r"memory_gb must be a number \(int or float\); it is nan"),
        ({"cpu_cores": float("inf")}, r"cpu_cores must be a number \(int or float\); it is inf"),
        ({"cpu_cores": 2**31}, "cpu_cores must be at most 2147483647; it is 2147483648"),
        ({"ssl_enabled": True}, "ssl_enabled needs ssl_cert_pem_file, ssl_key_pem_file and ssl_cname too"),
        ({"ssl_cert_pem_file": "nowhere.pem"}, r"ssl_cert_pem_file 'nowhere\.pem' doesn't exist"),
        ({"ssl_key_pem_file": "nowhere.pem"}, r"ssl_key_pem_file 'nowhere\.pem' doesn't exist"),
        ({"vnet_name": "net"}, "vnet_name, subnet_name must be provided together"),
        ({"auth_enabled": "yes"}, "auth_enabled must be True or False; it is 'yes'"),
        ({"ssl_cert_pem_file": 3}, "ssl_cert_pem_file must be a text; it is 3"),
        ({"cmk_key_name": "k"}, "cmk_vault_base_url, cmk_key_name, cmk_key_version must be provided together"),
    ],
)
def test_violations_of_a_container_instance(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(WebserviceException, match=f"^Invalid configuration, {said}"):
        AciWebservice.deploy_configuration(**parameters)


def test_keys_without_authentication_are_accepted() -> None:
    assert AciWebservice.deploy_configuration(primary_key="one", secondary_key="two").primary_key == "one"


WITHOUT_SCALING = "provided without enabling autoscaling: set autoscale_enabled=True"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"autoscale_enabled": True, "num_replicas": 2}, "num_replicas cannot be provided with autoscale_enabled=True"),
        ({"autoscale_enabled": False}, "autoscale_enabled=False needs num_replicas"),
        ({"autoscale_min_replicas": 2}, f"autoscale_min_replicas {WITHOUT_SCALING}"),
        ({"autoscale_max_replicas": 2}, f"autoscale_max_replicas {WITHOUT_SCALING}"),
        ({"autoscale_refresh_seconds": 2}, f"autoscale_refresh_seconds {WITHOUT_SCALING}"),
        ({"autoscale_target_utilization": 200}, f"autoscale_target_utilization {WITHOUT_SCALING}"),
        (
            {"autoscale_enabled": True, "autoscale_min_replicas": 3, "autoscale_max_replicas": 2},
            "autoscale_min_replicas must not be above autoscale_max_replicas, which is 2; it is 3",
        ),
        ({"autoscale_enabled": True, "autoscale_max_replicas": -1}, "autoscale_max_replicas must be positive"),
        ({"num_replicas": 1.5}, r"num_replicas must be a whole number; it is 1\.5"),
        ({"num_replicas": -1}, "num_replicas must be positive"),
        ({"scoring_timeout_ms": -1}, "scoring_timeout_ms must be positive"),
        ({"replica_max_concurrent_requests": -1}, "replica_max_concurrent_requests must be positive"),
        ({"max_request_wait_time": -1}, "max_request_wait_time must be positive"),
        ({"period_seconds": -1}, "period_seconds must be positive"),
        ({"autoscale_enabled": "true"}, "autoscale_enabled must be True or False; it is 'true'"),
        ({"namespace": 3}, "namespace must be a text; it is 3"),
        ({"failure_threshold": -1}, "failure_threshold must be positive"),
        ({"auth_enabled": True, "token_auth_enabled": True}, "auth_enabled and token_auth_enabled cannot both be True"),
        (
            {"cpu_cores": 1, "cpu_cores_limit": 0.5},
            r"cpu_cores_limit must be at least cpu_cores, which is 1; it is 0\.5",
        ),
        ({"memory_gb": 2, "memory_gb_limit": 1}, "memory_gb_limit must be at least memory_gb"),
        ({"gpu_cores": -1}, "gpu_cores must be a whole number, 0 or more; it is -1"),
        ({"gpu_cores": 0.5}, "gpu_cores must be a whole number"),
        ({"gpu_cores": False}, "gpu_cores must be a whole number"),
        ({"num_replicas": True}, r"num_replicas must be a number \(int or float\); it is True"),
        ({"num_replicas": 2**31}, "num_replicas must be at most 2147483647"),
        ({"gpu_cores": 2**31}, "gpu_cores must be at most 2147483647"),
        ({"scoring_timeout_ms": 0.5}, r"scoring_timeout_ms must be a whole number; it is 0\.5"),
        ({"period_seconds": float("nan")}, r"period_seconds must be a number \(int or float\); it is nan"),
        ({"cpu_cores_limit": "2"}, r"cpu_cores_limit must be a number \(int or float\); it is '2'"),
        ({"cpu_cores": 1, "cpu_cores_limit": True}, r"cpu_cores_limit must be a number \(int or float\); it is True"),
        ({"namespace": "Upper"}, "namespace 'Upper' must have 1 to 63 characters"),
        ({"namespace": "a" * 64}, "namespace 'a+' must have 1 to 63 characters"),
    ],
)
def test_violations_of_a_cluster(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(WebserviceException, match=f"^Invalid configuration, {said}"):
        AksWebservice.deploy_configuration(**parameters)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"version_name": "v1"}, "version_name 'v1': it must have 3 to 32 characters"),
        ({"traffic_percentile": 101}, "traffic_percentile must be a number from 0 to 100; it is 101"),
        ({"traffic_percentile": -1}, "traffic_percentile must be a number from 0 to 100"),
        ({"traffic_percentile": "20"}, "traffic_percentile must be a number from 0 to 100"),
        ({"cpu_cores": -1}, "cpu_cores must be positive"),
    ],
)
def test_violations_of_an_endpoint(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(WebserviceException, match=f"^Invalid configuration, {said}"):
        AksEndpoint.deploy_configuration(**parameters)


def test_what_passes() -> None:
    assert (
        AksEndpoint.deploy_configuration(version_name="version-a", traffic_percentile=12.5).traffic_percentile == 12.5
    )
    scaling = AksWebservice.deploy_configuration(autoscale_enabled=True, autoscale_target_utilization=250)
    assert scaling.autoscale_target_utilization == 250
    assert AksWebservice.deploy_configuration(autoscale_enabled=False, num_replicas=3).num_replicas == 3
    assert AksWebservice.deploy_configuration(token_auth_enabled=True).auth_enabled is None


def test_a_zero_of_a_cluster_counts_as_not_given_and_says_so() -> None:
    """azureml-v1 reference, 2.9."""
    configuration = AksWebservice.deploy_configuration(cpu_cores=0, num_replicas=0, scoring_timeout_ms=0, gpu_cores=0)
    assert configuration.to_deployment() == AksWebservice.deploy_configuration(gpu_cores=0).to_deployment()
    assert configuration.notes() == [
        f"{name}=0 counts as not given, as in v1: the default has effect"
        for name in ("num_replicas", "scoring_timeout_ms", "cpu_cores")
    ]


def test_a_whole_number_may_be_written_as_a_float() -> None:
    asked = AksWebservice.deploy_configuration(num_replicas=2.0, max_request_wait_time=7.0)  # type: ignore[arg-type]
    deployment = asked.to_deployment()
    assert (repr(deployment.replicas), repr(deployment.limits["queue_wait_ms"])) == ("2", "7")


def test_every_violation_has_a_line() -> None:
    with pytest.raises(WebserviceException) as caught:
        AksWebservice.deploy_configuration(cpu_cores=-1, memory_gb=-1, gpu_cores=-1, autoscale_max_replicas=2)
    lines = caught.value.message.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("Invalid configuration, ") for line in lines)


def test_what_may_be_set_afterwards_is_checked_when_it_is_deployed() -> None:
    configuration: Any = AciServiceDeploymentConfiguration()
    configuration.cpu_cores = -1
    with pytest.raises(WebserviceException, match="cpu_cores must be positive"):
        configuration.validate_configuration()
