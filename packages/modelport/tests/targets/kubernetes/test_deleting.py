"""What goes with a service, and what stays."""

from __future__ import annotations

from pathlib import Path

import pytest

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
