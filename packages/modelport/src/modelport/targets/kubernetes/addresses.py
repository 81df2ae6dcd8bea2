"""Where clients reach a service of a cluster: from the objects that lead to it."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from modelport.targets.kubernetes.cluster import Object
from modelport.targets.kubernetes.settings import ClusterSettings, Expose

_HTTP, _HTTPS = 80, 443
_CONNECT_S = 0.5
_BEST_FIRST = ("ExternalIP", "ExternalDNS", "InternalIP", "Hostname")


@dataclass(frozen=True)
class Address:
    """A host and its port."""

    host: str
    port: int
    speaks_tls: bool | None = None
    """None: as the service itself is to, with its own certificate."""


def address_of(settings: ClusterSettings, *, exposed: Object, nodes: Sequence[Object]) -> Address | None:
    """That of a load balancer, a node's port, the cluster's own network, or an Ingress: what the Service or Ingress
    says; None while it has none yet."""
    if settings.expose is Expose.INGRESS:
        host = settings.host or _balancer(exposed)
        return None if host is None else Address(host=host, port=_HTTPS if exposed["spec"].get("tls") else _HTTP)
    port = exposed["spec"]["ports"][0]
    balanced = _balancer(exposed)
    if balanced is not None:
        return Address(host=balanced, port=port["port"])
    if "nodePort" in port:
        host = settings.host or _node(nodes)
        return None if host is None else Address(host=host, port=port["nodePort"])
    metadata = exposed["metadata"]
    return Address(host=f"{metadata['name']}.{metadata['namespace']}.svc", port=port["port"])


def waits_for_balancer(settings: ClusterSettings, exposed: Object) -> bool:
    """Whether a load balancer was asked for and has no address. If it never gets one, nodes' ports lead there."""
    return settings.expose is Expose.LOAD_BALANCER and _balancer(exposed) is None


def address_of_gateway(settings: ClusterSettings, gateway: Object | None, *, tls: bool) -> Address | None:
    """By the Gateway's first listener of the protocol that is wanted; ``tls``: that which the service is to speak.
    None: nobody may say, or it has no address yet. Without the Gateway, whoever attached the cluster knows the host."""
    if gateway is None:
        return None if settings.host is None else Address(host=settings.host, port=_HTTPS if tls else _HTTP)
    known = {"HTTP": False, "HTTPS": True}
    listeners = [one for one in gateway["spec"].get("listeners", ()) if one.get("protocol") in known]
    listeners.sort(key=lambda one: known[one["protocol"]] is not tls)
    given = [one.get("value") for one in (gateway.get("status") or {}).get("addresses") or ()]
    host = settings.host or next(iter(given), None)
    if host is None or not listeners:
        return None
    return Address(host=host, port=listeners[0]["port"], speaks_tls=known[listeners[0]["protocol"]])


def address_of_url(url: str | None) -> Address | None:
    """As the status of an InferenceService tells it."""
    found = urlsplit(url or "")
    if not found.hostname:
        return None
    tls = found.scheme == "https"
    return Address(host=found.hostname, port=found.port or (_HTTPS if tls else _HTTP), speaks_tls=tls)


def refuses(address: Address) -> bool:
    """Whether nobody listens there yet: nodes hear of a new pod a moment after the cluster does. An address that cannot
    be reached from here at all may be reached by others, and does not refuse."""
    try:
        socket.create_connection((address.host, address.port), timeout=_CONNECT_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def _balancer(found: Mapping[str, Any]) -> str | None:
    given = found.get("status", {}).get("loadBalancer", {}).get("ingress") or [{}]
    first: Mapping[str, str] = given[0]
    return first.get("hostname") or first.get("ip")


def _node(nodes: Sequence[Object]) -> str | None:
    """The best address of a node: of all of them, kube-proxy answers at each."""
    addresses = [address for node in nodes for address in node.get("status", {}).get("addresses", ())]
    for kind in _BEST_FIRST:
        for address in addresses:
            if address["type"] == kind:
                return str(address["address"])
    return None
