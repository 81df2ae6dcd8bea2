"""Where a service of a cluster is reached."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from modelport.targets.kubernetes.addresses import (
    Address,
    address_of,
    address_of_gateway,
    address_of_url,
    refuses,
    waits_for_balancer,
)
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
    assert address_of(settings, exposed=service, nodes=_NODES) == expected


def test_by_an_ingress() -> None:
    route: dict[str, Any] = {"spec": {}, "status": {"loadBalancer": {"ingress": [{"ip": "198.51.100.1"}]}}}
    ingress = ClusterSettings(expose=Expose.INGRESS)
    assert address_of(ingress, exposed=route, nodes=[]) == Address("198.51.100.1", 80)
    route["spec"]["tls"] = [{"secretName": "line-tls"}]
    named = ClusterSettings(expose=Expose.INGRESS, host="ml.example")
    assert address_of(named, exposed=route, nodes=[]) == Address("ml.example", 443)


def test_a_load_balancer_that_has_no_address_yet() -> None:
    assert waits_for_balancer(ClusterSettings(), _service(nodePort=30001))
    assert not waits_for_balancer(ClusterSettings(), _service(balanced={"ip": "198.51.100.1"}))
    assert not waits_for_balancer(ClusterSettings(expose=Expose.NODE_PORT), _service(nodePort=30001))


_HTTP: dict[str, Any] = {"name": "http", "port": 8080, "protocol": "HTTP"}
_HTTPS: dict[str, Any] = {"name": "https", "port": 443, "protocol": "HTTPS"}
_TCP: dict[str, Any] = {"name": "database", "port": 5432, "protocol": "TCP"}


@pytest.mark.parametrize(
    ("listeners", "tls", "expected"),
    [
        ([_TCP, _HTTPS, _HTTP], False, Address("198.51.100.1", 8080, speaks_tls=False)),
        ([_TCP, _HTTP, _HTTPS], True, Address("198.51.100.1", 443, speaks_tls=True)),
        ([_HTTPS], False, Address("198.51.100.1", 443, speaks_tls=True)),
        ([_TCP], False, None),
    ],
)
def test_by_a_gateway(listeners: list[dict[str, Any]], tls: bool, expected: Address | None) -> None:
    gateway = {"spec": {"listeners": listeners}, "status": {"addresses": [{"value": "198.51.100.1"}]}}
    assert address_of_gateway(ClusterSettings(), gateway, tls=tls) == expected


def test_by_a_gateway_that_nobody_may_see() -> None:
    named = ClusterSettings(host="ml.example")
    assert address_of_gateway(named, None, tls=True) == Address("ml.example", 443)
    assert address_of_gateway(named, None, tls=False) == Address("ml.example", 80)
    assert address_of_gateway(ClusterSettings(), None, tls=False) is None
    assert address_of_gateway(ClusterSettings(), {"spec": {"listeners": [_HTTP]}}, tls=False) is None


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://line.ws.example.com", Address("line.ws.example.com", 80, speaks_tls=False)),
        ("https://line.ws.example.com", Address("line.ws.example.com", 443, speaks_tls=True)),
        ("http://line.ws.example.com:8080", Address("line.ws.example.com", 8080, speaks_tls=False)),
        (None, None),
    ],
)
def test_by_what_kserve_tells(url: str | None, expected: Address | None) -> None:
    assert address_of_url(url) == expected


def test_whether_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        there = Address("127.0.0.1", server.getsockname()[1])
        assert not refuses(there)
    assert refuses(there)
    assert not refuses(Address("no.such.host.invalid", 80)), "it cannot be known from here"


def test_there_is_none_yet() -> None:
    assert address_of(ClusterSettings(), exposed=_service(nodePort=30001), nodes=[]) is None
    ingress = ClusterSettings(expose=Expose.INGRESS)
    assert address_of(ingress, exposed={"spec": {}, "status": {"loadBalancer": {}}}, nodes=[]) is None
