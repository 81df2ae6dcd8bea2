"""Where clients reach a service of a cluster."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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


def address_of(
    settings: ClusterSettings, *, services: Sequence[Object], routes: Sequence[Object], nodes: Sequence[Object]
) -> Address | None:
    """That of an Ingress, a Gateway's route, a load balancer, a node's port, or of the cluster's own network: what the
    service has of these; None while it has none yet. ``services``: the one that clients are to reach is first."""
    if settings.expose in (Expose.INGRESS, Expose.GATEWAY):
        return _of_routes(settings, routes)
    if not services:
        return None
    service = services[0]
    port = service["spec"]["ports"][0]
    balanced = _balancer(service)
    if balanced is not None:
        return Address(host=balanced, port=port["port"])
    if "nodePort" in port:
        host = settings.host or _node(nodes)
        return None if host is None else Address(host=host, port=port["nodePort"])
    metadata = service["metadata"]
    return Address(host=f"{metadata['name']}.{metadata['namespace']}.svc", port=port["port"])


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


def _of_routes(settings: ClusterSettings, routes: Sequence[Object]) -> Address | None:
    if not routes:
        return None
    has_tls = bool(routes[0]["spec"].get("tls"))
    host = settings.host or _balancer(routes[0])
    return None if host is None else Address(host=host, port=_HTTPS if has_tls else _HTTP)


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
