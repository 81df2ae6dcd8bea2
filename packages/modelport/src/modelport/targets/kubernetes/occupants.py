"""What is in a namespace beside what every cluster puts there: so that none goes that somebody still uses."""

from __future__ import annotations

from collections.abc import Iterator

from modelport.targets.kubernetes.cluster import Cluster, Object, RightMissing
from modelport.targets.kubernetes.facts import OPTIONAL, ClusterFacts

_KINDS = (
    *("v1/Pod", "v1/Service", "v1/Secret", "v1/ConfigMap", "v1/ServiceAccount", "v1/PersistentVolumeClaim"),
    *("v1/ResourceQuota", "v1/LimitRange", "v1/ReplicationController"),
    *("apps/v1/Deployment", "apps/v1/StatefulSet", "apps/v1/DaemonSet", "apps/v1/ReplicaSet"),
    *("batch/v1/Job", "batch/v1/CronJob"),
    *("rbac.authorization.k8s.io/v1/Role", "rbac.authorization.k8s.io/v1/RoleBinding"),
    "networking.k8s.io/v1/NetworkPolicy",
)
_OF_SEVERAL_VERSIONS = ("Ingress", "HorizontalPodAutoscaler", "PodDisruptionBudget", *OPTIONAL)

_EVERYWHERE = {
    "ServiceAccount": {"default"},
    "ConfigMap": {"kube-root-ca.crt", "istio-ca-root-cert", "openshift-service-ca.crt"},
}
"""By kind: what controllers make in every namespace."""

_OF_AN_ACCOUNT = "kubernetes.io/service-account-token"
_OF_A_CERTIFICATE = "cert-manager.io/certificate-name"


def has_occupants(cluster: Cluster, facts: ClusterFacts, namespace: str) -> bool:
    """Whether anybody has anything in the namespace; also where that cannot be known, since not all may be listed."""
    kinds = [*_KINDS, *(f"{facts.api_version(kind)}/{kind}" for kind in _OF_SEVERAL_VERSIONS if facts.serves(kind))]
    try:
        return any(True for kind in kinds for _ in _occupants(cluster, kind, namespace))
    except RightMissing:
        return True


def _occupants(cluster: Cluster, served: str, namespace: str) -> Iterator[Object]:
    kind = served.rpartition("/")[2]
    try:
        found = cluster.list(served, namespace=namespace)
    except RightMissing:
        if kind not in OPTIONAL:
            raise
        return  # who may not see any has made none
    yield from (each for each in found if is_occupant(kind, each))


def is_occupant(kind: str, found: Object) -> bool:
    """Whether somebody made it: it is neither the cluster's own, nor goes with what it was made for."""
    metadata = found["metadata"]
    if metadata["name"] in _EVERYWHERE.get(kind, ()):
        return False
    if kind == "Secret":
        return found.get("type") != _OF_AN_ACCOUNT and _OF_A_CERTIFICATE not in metadata.get("annotations", {})
    # What makes pods need not be of a kind that is looked for
    return kind == "Pod" or not any(owner.get("controller") for owner in metadata.get("ownerReferences", ()))
