"""What goes with a service, and what stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport.domain.errors import WebserviceException
from modelport.targets.kubernetes import applying
from modelport.targets.kubernetes.applying import gone_within_s, why_it_stays
from modelport.targets.kubernetes.cluster import Object
from modelport.targets.kubernetes.driver import KubernetesTarget

from .api_server import ApiServer, target
from .services import planned, service

NAMESPACE = planned(service()).namespace
TOKEN = "kubernetes.io/service-account-token"


@pytest.fixture
def cluster(api: ApiServer, tmp_path: Path) -> KubernetesTarget:
    """With a service in the workspace's namespace, and what Kubernetes puts into each."""
    found = target(tmp_path)
    api.put("serviceaccounts", "default", namespace=NAMESPACE)
    api.put("secrets", "default-token", namespace=NAMESPACE, type=TOKEN)
    api.put("configmaps", "kube-root-ca.crt", namespace=NAMESPACE)
    found.start(service(), tmp_path)
    assert api.names("namespaces") == [NAMESPACE]
    assert api.names("deployments") == ["diabetes"]
    return found


def test_the_namespace_goes_with_the_last_service(api: ApiServer, cluster: KubernetesTarget) -> None:
    cluster.delete(service())
    assert api.names("namespaces") == []
    assert api.names("deployments") == []


@pytest.mark.parametrize("plural", ["secrets", "rolebindings", "resourcequotas", "pods", "configmaps"])
def test_the_namespace_stays_where_somebody_else_is_in_it(
    api: ApiServer, cluster: KubernetesTarget, plural: str
) -> None:
    """A Secret for pulling images, for example, that its owners were told to put there."""
    api.put(plural, "theirs", namespace=NAMESPACE)
    cluster.delete(service())
    assert api.names("namespaces") == [NAMESPACE]
    assert "theirs" in api.names(plural)
    assert api.names("deployments") == []


def test_the_namespace_stays_where_not_all_may_be_seen(api: ApiServer, cluster: KubernetesTarget) -> None:
    api.forbidden.add(("list", "rolebindings"))
    cluster.delete(service())
    assert api.names("namespaces") == [NAMESPACE]


def test_what_only_some_clusters_have_need_not_be_seen(api: ApiServer, cluster: KubernetesTarget) -> None:
    api.forbidden.add(("list", "certificates"))
    cluster.delete(service())
    assert api.names("namespaces") == []


@pytest.mark.parametrize(
    ("going", "pods", "expected"),
    [
        ([], [], 120),
        ([{"kind": "Service", "spec": {"type": "ClusterIP"}}], [{"spec": {}}], 120),
        ([], [{"spec": {"terminationGracePeriodSeconds": each}} for each in (15, 315)], 375),
        ([{"kind": "Service", "spec": {"type": "LoadBalancer"}}], [], 600),
    ],
    ids=["nothing", "quick", "a long drain", "a load balancer"],
)
def test_how_long_it_may_take(going: list[Object], pods: list[Object], expected: int) -> None:
    assert gone_within_s(going, pods) == expected


def test_what_stays_says_why() -> None:
    assert "node" in why_it_stays([("Service", "line"), ("Pod", "line-1")])
    assert "load balancer" in why_it_stays([("ConfigMap", "line"), ("Service", "line")])
    assert "kubectl get ingress line -o yaml" in why_it_stays([("Ingress", "line")])


def test_a_service_whose_load_balancer_stays(
    api: ApiServer, cluster: KubernetesTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.objects["services", NAMESPACE, "diabetes"]["metadata"]["finalizers"] = ["service.kubernetes.io/load-balancer"]
    monkeypatch.setattr(applying, "_BALANCER_GONE_WITHIN_S", 1)
    monkeypatch.setattr(applying, "_GONE_WITHIN_S", 0)
    monkeypatch.setattr(applying, "_AFTER_GRACE_S", 0)
    with pytest.raises(WebserviceException, match="still has, after 1 s: Service diabetes") as caught:
        cluster.delete(service())
    assert "load balancer" in caught.value.hint
    assert api.names("namespaces") == [NAMESPACE]
