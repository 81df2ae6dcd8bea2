"""What a compute target was attached with, for the manifests of its services. No cluster is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelport.domain.errors import UserErrorException
from modelport.targets.kubernetes.settings import ClusterSettings, Expose

_TEXTS = (
    "namespace",
    "host",
    "ingress_class",
    "gateway",
    "cert_issuer",
    "storage_class",
    "priority_class",
    "router_image",
)
_LISTS = ("image_pull_secrets", "source_ranges", "callers")


def cluster_settings(settings: Mapping[str, Any]) -> ClusterSettings:
    """What a compute target was attached with, as its services' manifests need it. Raises UserErrorException for a way
    of exposing them that there is not."""
    given: dict[str, Any] = {name: settings.get(name) for name in _TEXTS}
    given |= {name: tuple(settings.get(name) or ()) for name in _LISTS}
    asked = settings.get("expose") or ClusterSettings().expose
    try:
        expose = next(each for each in Expose if each.value.lower() == str(asked).lower())
    except StopIteration:
        known = ", ".join(each.value for each in Expose)
        raise UserErrorException(f"Invalid expose {asked!r}: it must be one of {known}.") from None
    return ClusterSettings(expose=expose, kserve=bool(settings.get("kserve")), **given)
