"""What was asked for, its defaults, and what a later word changes of it."""

from __future__ import annotations

import pytest

from modelport.domain.deployments import (
    Autoscale,
    Batching,
    ComputeType,
    Deployment,
    Placement,
    Probe,
    Resources,
    merged,
    path_prefix,
    with_defaults,
)


def test_the_defaults_of_a_cluster() -> None:
    """Those of the reference, 2.9."""
    whole = with_defaults(Deployment(), ComputeType.AKS)
    assert whole == with_defaults(Deployment(), ComputeType.AKS_ENDPOINT)
    assert whole.autoscale == Autoscale(
        enabled=True, min_replicas=1, max_replicas=10, refresh_s=1, target_utilization=70
    )
    assert (whole.auth_enabled, whole.token_auth_enabled, whole.ssl_enabled) == (True, False, False)
    assert (whole.replicas, whole.requests_per_replica, whole.gpu_cores) == (None, 1, 0)
    assert whole.resources == Resources(cpu=0.1, memory_gb=0.5)
    assert whole.limits == {"scoring_timeout_ms": 60_000, "queue_wait_ms": 500}
    assert whole.probe == Probe(period_s=10, initial_delay_s=310, timeout_s=2, success_threshold=1, failure_threshold=3)


def test_the_defaults_of_a_container_instance() -> None:
    """Those of the reference, 2.8."""
    whole = with_defaults(Deployment(resources=Resources(cpu=2)), ComputeType.ACI)
    assert (whole.auth_enabled, whole.ssl_enabled, whole.app_insights_enabled, whole.replicas) == (
        False,
        False,
        False,
        1,
    )
    assert whole.resources == Resources(cpu=2, memory_gb=0.5)
    assert whole.autoscale is None


def test_a_service_of_this_machine_has_its_targets_defaults() -> None:
    asked = Deployment(token_auth_enabled=True)
    assert with_defaults(asked, "local") is asked


def test_one_kind_of_credentials_turns_the_other_one_off() -> None:
    keyed = with_defaults(Deployment(), ComputeType.AKS)
    token = merged(keyed, Deployment(token_auth_enabled=True))
    assert (token.auth_enabled, token.token_auth_enabled) == (False, True)
    again = merged(token, Deployment(auth_enabled=True))
    assert (again.auth_enabled, again.token_auth_enabled) == (True, False)
    both = merged(keyed, Deployment(auth_enabled=True, token_auth_enabled=True))
    assert (both.auth_enabled, both.token_auth_enabled) == (True, True)


def test_a_number_of_replicas_turns_scaling_off_and_the_other_way_round() -> None:
    scaling = with_defaults(Deployment(), ComputeType.AKS)
    assert (scaling.scales_by_itself, scaling.first_replicas) == (True, 1)
    fixed = merged(scaling, Deployment(replicas=3))
    assert (fixed.scales_by_itself, fixed.first_replicas) == (False, 3)
    again = merged(fixed, Deployment(autoscale=Autoscale(enabled=True, min_replicas=2)))
    assert (again.scales_by_itself, again.replicas, again.first_replicas) == (True, None, 2)
    assert again.autoscale is not None
    assert again.autoscale.max_replicas == 10
    bounds = merged(fixed, Deployment(autoscale=Autoscale(max_replicas=4)))
    assert (bounds.scales_by_itself, bounds.replicas) == (False, 3)


def test_what_is_not_given_stays_also_within_parts() -> None:
    present = Deployment(
        batching=Batching(max_requests=32), limits={"a": 1, "b": 2}, placement=Placement(compute_name="aks"), workers=2
    )
    given = Deployment(
        batching=Batching(enabled=False), limits={"b": 3}, placement=Placement(location="here"), cors_origins=()
    )
    assert merged(present, given) == Deployment(
        batching=Batching(enabled=False, max_requests=32),
        limits={"a": 1, "b": 3},
        placement=Placement(compute_name="aks", location="here"),
        workers=2,
        cors_origins=(),
    )
    assert merged(present, Deployment()) == present


@pytest.mark.parametrize(
    ("deployment", "asks"),
    [
        (Deployment(), False),
        (Deployment(resources=Resources(), autoscale=Autoscale(), limits={}), False),
        (Deployment(resources=Resources(cpu=0)), True),
        (Deployment(auth_enabled=False), True),
        (Deployment(limits={"a": 1}), True),
    ],
)
def test_whether_anything_is_asked_for(deployment: Deployment, asks: bool) -> None:
    assert deployment.asks_for_anything == asks


def test_paths_of_the_kinds() -> None:
    assert [path_prefix(kind, "svc") for kind in ComputeType] == [
        "",
        "",
        "/api/v1/service/svc",
        "/api/v1/service/svc",
    ]
    assert ComputeType("aksEndpoint") is ComputeType.AKS_ENDPOINT
    with pytest.raises(ValueError, match="FPGA"):
        ComputeType("FPGA")
