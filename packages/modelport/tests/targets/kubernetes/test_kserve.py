"""A service as an InferenceService."""

from __future__ import annotations

from typing import Any

import pytest

from modelport.domain.deployments import Autoscale, Deployment
from modelport.domain.errors import UserErrorException
from modelport.targets.kubernetes.settings import Fetch

from .schemas import check
from .services import DEPLOYMENTS, FETCH, endpoint, planned, service
from .test_manifests import of_kind, one_of

OF_KSERVE = {
    "labels",
    "annotations",
    "minReplicas",
    "maxReplicas",
    "scaleMetric",
    "scaleTarget",
    "timeout",
    "containerConcurrency",
}
"""What a predictor has beside the fields of a pod (serving.kserve.io/v1beta1, ComponentExtensionSpec)."""


def predictor(deployment: Deployment | None = None, *, fetch: Fetch | None = None) -> Any:
    plan = planned(service(deployment=deployment), kserve=True, fetch=fetch)
    return one_of(plan, "InferenceService")["spec"]["predictor"]


@pytest.mark.parametrize("fetch", [None, FETCH], ids=["baked", "fetched"])
@pytest.mark.parametrize("deployment", DEPLOYMENTS.values(), ids=DEPLOYMENTS)
def test_the_rest_of_a_predictor_is_a_pod(deployment: Deployment, fetch: Fetch | None) -> None:
    found = predictor(deployment, fetch=fetch)
    pod = {name: value for name, value in found.items() if name not in OF_KSERVE}
    check({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}, "spec": pod}, "1.30")


def test_only_what_knative_allows() -> None:
    found = predictor(fetch=FETCH)
    assert not {"securityContext", "topologySpreadConstraints", "terminationGracePeriodSeconds"} & set(found)
    (container,) = found["containers"]
    assert container["name"] == "kserve-container"
    assert container["ports"] == [{"name": "http1", "containerPort": 5001, "protocol": "TCP"}]
    assert not {"lifecycle", "startupProbe"} & set(container)
    for one in (container, *found["initContainers"]):
        assert one["securityContext"]["runAsUser"] == 10001
        assert one["securityContext"]["readOnlyRootFilesystem"]
    assert {volume["secret"]["defaultMode"] for volume in found["volumes"] if "secret" in volume} == {0o444}


def test_it_scales_to_zero_unless_more_were_asked_for() -> None:
    assert predictor()["minReplicas"] == 0
    assert predictor()["maxReplicas"] == 10
    two = Deployment(autoscale=Autoscale(enabled=True, min_replicas=2, max_replicas=4), requests_per_replica=10)
    assert (predictor(two)["minReplicas"], predictor(two)["scaleTarget"]) == (2, 7)
    fixed = predictor(Deployment(replicas=3))
    assert (fixed["minReplicas"], fixed["maxReplicas"]) == (3, 3)
    assert predictor()["timeout"] == 66, "longer than the server takes to say that it is too late"


def test_what_knative_makes_is_not_made() -> None:
    plan = planned(service(), kserve=True)
    for kind in ("Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget"):
        assert not of_kind(plan, kind)
    assert one_of(plan, "NetworkPolicy")["spec"]["policyTypes"] == ["Egress"]
    assert one_of(plan, "ServiceAccount")["metadata"]["name"] == "diabetes"


def test_an_endpoint_is_refused() -> None:
    with pytest.raises(UserErrorException, match="share requests"):
        planned(endpoint(), kserve=True)
    with pytest.raises(UserErrorException, match="InferenceService"):
        planned(service(), kserve=True, optional=frozenset())
