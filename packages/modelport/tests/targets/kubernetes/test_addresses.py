"""Where a service of a cluster is reached."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from modelport.targets.kubernetes.addresses import Address, address_of, refuses
from modelport.targets.kubernetes.settings import ClusterSettings, Expose

_NODES = [
    {
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "10.0.0.4"},
                {"type": "ExternalIP", "address": "203.0.113.4"},
            ]
        }
    }
]


def _service(*, balanced: dict[str, str] | None = None, **port: int) -> dict[str, Any]:
    status = {"loadBalancer": {"ingress": [balanced]} if balanced else {}}
    return {
        "metadata": {"name": "line", "namespace": "ws"},
        "spec": {"ports": [{"port": 80, **port}]},
        "status": status,
    }


@pytest.mark.parametrize(
    ("settings", "service", "expected"),
    [
        (ClusterSettings(), _service(balanced={"ip": "198.51.100.1"}, nodePort=30001), Address("198.51.100.1", 80)),
        (ClusterSettings(), _service(balanced={"hostname": "lb.example"}), Address("lb.example", 80)),
        (ClusterSettings(), _service(nodePort=30001), Address("203.0.113.4", 30001)),
        (ClusterSettings(host="127.0.0.1"), _service(nodePort=30001), Address("127.0.0.1", 30001)),
        (ClusterSettings(expose=Expose.CLUSTER_IP), _service(), Address("line.ws.svc", 80)),
    ],
)
def test_by_a_service(settings: ClusterSettings, service: dict[str, Any], expected: Address) -> None:
    assert address_of(settings, services=[service], routes=[], nodes=_NODES) == expected


def test_by_an_ingress() -> None:
    route: dict[str, Any] = {"spec": {}, "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}}
    ingress = ClusterSettings(expose=Expose.INGRESS)
    assert address_of(ingress, services=[_service()], routes=[route], nodes=[]) == Address("198.51.100.1", 80)
    route["spec"]["tls"] = [{"secretName": "line-tls"}]
    named = ClusterSettings(expose=Expose.INGRESS, host="ml.example")
    assert address_of(named, services=[_service()], routes=[route], nodes=[]) == Address("ml.example", 443)


def test_whether_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = Address("127.0.0.1", server.getsockname()[1])
        assert not refuses(there)
    assert refuses(there)
    assert not refuses(Address("no.such.host.invalid", 80)), "it cannot be known from here"


def test_there_is_none_yet() -> None:
    assert address_of(ClusterSettings(), services=[], routes=[], nodes=_NODES) is None
    assert address_of(ClusterSettings(), services=[_service(nodePort=30001)], routes=[], nodes=[]) is None
    assert address_of(ClusterSettings(expose=Expose.INGRESS), services=[_service()], routes=[], nodes=[]) is None
