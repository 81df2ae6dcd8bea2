"""Who reaches whom, by the NetworkPolicies of plans."""

from __future__ import annotations

from typing import Any

import pytest

from modelport.targets.kubernetes.plan import KubernetesPlan
from modelport.targets.kubernetes.settings import Expose

from .policies import Peer, may_connect
from .services import endpoint, planned, service
from .test_manifests import of_kind

_METADATA_SERVICE = Peer(address="169.254.169.254")
_WORLD = Peer(address="198.51.100.7")
_PORT = 5001


def pod_of(plan: KubernetesPlan, component: str, *, version: str | None = None) -> Peer:
    """As its Deployment would make it."""
    for deployment in of_kind(plan, "Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        if labels["app.kubernetes.io/component"] == component and labels.get("modelport.dev/version") == version:
            return Peer(plan.namespace, labels, {"kubernetes.io/metadata.name": plan.namespace})
    raise AssertionError(f"no {component} {version}")


def _elsewhere(name: str) -> Peer:
    return Peer(name, {"app": "other"}, {"kubernetes.io/metadata.name": name})


def test_versions_take_requests_from_their_router_alone() -> None:
    plan = planned(endpoint())
    policies = of_kind(plan, "NetworkPolicy")
    router, blue, green = pod_of(plan, "router"), *(pod_of(plan, "scoring", version=one) for one in ("blue", "green"))
    assert may_connect(policies, router, blue, _PORT)
    assert may_connect(policies, router, green, _PORT)
    assert not may_connect(policies, blue, green, _PORT)
    assert not may_connect(policies, _elsewhere("team-b"), blue, _PORT)
    assert not may_connect(policies, _WORLD, blue, _PORT)
    assert may_connect(policies, _WORLD, router, _PORT), "it is what clients reach"
    assert not may_connect(policies, _WORLD, router, 22)


def test_a_router_of_another_service_is_none_of_theirs() -> None:
    plans = [planned(endpoint(name)) for name in ("shop", "store")]
    policies = [policy for plan in plans for policy in of_kind(plan, "NetworkPolicy")]
    assert not may_connect(policies, pod_of(plans[0], "router"), pod_of(plans[1], "scoring", version="blue"), _PORT)


@pytest.mark.parametrize("expose", [Expose.INGRESS, Expose.CLUSTER_IP])
def test_only_the_namespaces_that_may_call(expose: Expose) -> None:
    plan = planned(service(), expose=expose, callers=("web",))
    policies, pod = of_kind(plan, "NetworkPolicy"), pod_of(plan, "scoring")
    assert may_connect(policies, _elsewhere("web"), pod, _PORT)
    assert may_connect(policies, Peer(plan.namespace), pod, _PORT), "the workspace's own"
    assert not may_connect(policies, _elsewhere("team-b"), pod, _PORT)
    assert not may_connect(policies, _WORLD, pod, _PORT)


def test_scripts_reach_anybody_but_the_cloud_s_credentials() -> None:
    for plan in (planned(service()), planned(endpoint())):
        policies: list[Any] = of_kind(plan, "NetworkPolicy")
        version = None if plan.name == plan.deployments.get(1) else "blue"
        pod = pod_of(plan, "scoring", version=version)
        assert may_connect(policies, pod, _WORLD, 443)
        assert may_connect(policies, pod, _elsewhere("database"), 5432)
        assert not may_connect(policies, pod, _METADATA_SERVICE, 80)
    asked = planned(service(), reaches_metadata_service=True)
    assert may_connect(of_kind(asked, "NetworkPolicy"), pod_of(asked, "scoring"), _METADATA_SERVICE, 80)
