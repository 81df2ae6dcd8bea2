"""What a cluster can do, as far as manifests depend on it."""

from __future__ import annotations

from dataclasses import dataclass

from modelport.domain.errors import UserErrorException

_PREFERRED = {
    "HorizontalPodAutoscaler": ("autoscaling/v2", "autoscaling/v2beta2"),
    "PodDisruptionBudget": ("policy/v1", "policy/v1beta1"),
    "Ingress": ("networking.k8s.io/v1", "networking.k8s.io/v1beta1"),
    "HTTPRoute": ("gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"),
    "Gateway": ("gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"),
    "Certificate": ("cert-manager.io/v1",),
    "InferenceService": ("serving.kserve.io/v1beta1",),
}
"""Kinds that clusters serve in several versions, or not at all; the newest version first."""

_EVERYWHERE = {
    "ConfigMap": "v1",
    "Deployment": "apps/v1",
    "Namespace": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "PersistentVolumeClaim": "v1",
    "Secret": "v1",
    "Service": "v1",
    "ServiceAccount": "v1",
}

OPTIONAL = ("HTTPRoute", "Gateway", "Certificate", "InferenceService")

_OLDEST = (1, 20)


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    """Which kinds a cluster serves, and its version: what the API server tells of itself."""

    served: frozenset[str]
    """``group/version/Kind``; of the core group ``v1/Pod``."""
    version: tuple[int, int] = _OLDEST
    """Of the API server. Server-side apply refuses fields that it does not know, so that newer ones depend on this."""

    @classmethod
    def assumed(cls, version: tuple[int, int], *, optional: frozenset[str] = frozenset()) -> ClusterFacts:
        """Those of a plain cluster of that version, with the ``optional`` kinds of ``OPTIONAL`` installed."""
        kinds = {kind: versions[0] for kind, versions in _PREFERRED.items() if kind not in OPTIONAL}
        if version < (1, 23):
            kinds["HorizontalPodAutoscaler"] = "autoscaling/v2beta2"
        if version < (1, 21):
            kinds["PodDisruptionBudget"] = "policy/v1beta1"
        kinds |= {kind: _PREFERRED[kind][0] for kind in optional}
        return cls(
            served=frozenset(f"{group}/{kind}" for kind, group in (_EVERYWHERE | kinds).items()), version=version
        )

    def api_version(self, kind: str) -> str:
        """The version in which to write an object of that kind. Raises UserErrorException where there is none."""
        if kind in _EVERYWHERE:
            return _EVERYWHERE[kind]
        found = next((version for version in _PREFERRED[kind] if f"{version}/{kind}" in self.served), None)
        if found is None:
            raise UserErrorException(
                f"The cluster does not serve {kind} objects ({' or '.join(_PREFERRED[kind])}).",
                hint=_MISSING.get(kind, "Modelport needs Kubernetes 1.20 or newer."),
            )
        return found

    def serves(self, kind: str) -> bool:
        """Whether objects of that kind can be made."""
        return kind in _EVERYWHERE or any(f"{version}/{kind}" in self.served for version in _PREFERRED[kind])

    def is_at_least(self, major: int, minor: int) -> bool:
        return self.version >= (major, minor)


_MISSING = {
    "HTTPRoute": "Install the Gateway API, or expose services another way; Modelport's router then divides requests.",
    "Gateway": "Install the Gateway API, or expose services another way.",
    "Certificate": "Install cert-manager, or give a certificate of your own (ssl_cert_pem_file, ssl_key_pem_file).",
    "InferenceService": "Install KServe, or leave it out: then the service is a Deployment.",
}
