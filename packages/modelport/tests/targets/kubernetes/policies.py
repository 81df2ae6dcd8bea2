"""What NetworkPolicies allow, by the rules of Kubernetes: for clusters whose network enforces none."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Peer:
    """A pod by its labels and those of its namespace; or only an address."""

    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    address: str = "10.244.0.9"


def may_connect(policies: Sequence[Object], source: Peer, target: Peer, port: int) -> bool:
    """Whether both sides allow it: what no policy selects is open, and what one selects is what its rules allow."""
    sends = _allowed(policies, source, target, port, direction="Egress")
    return sends and _allowed(policies, target, source, port, direction="Ingress")


def _allowed(policies: Sequence[Object], pod: Peer, other: Peer, port: int, *, direction: str) -> bool:
    selecting = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == pod.namespace
        and direction in policy["spec"]["policyTypes"]
        and _matches(policy["spec"]["podSelector"], pod.labels)
    ]
    side = "to" if direction == "Egress" else "from"
    rules = (rule for spec in selecting for rule in spec.get(direction.lower(), ()))
    return not selecting or any(_rule_allows(rule, side, pod, other, port) for rule in rules)


def _rule_allows(rule: Object, side: str, pod: Peer, other: Peer, port: int) -> bool:
    ports: Iterable[Object] = rule.get("ports") or ()
    is_port = not ports or any(one.get("port", port) == port for one in ports)
    peers: Sequence[Object] = rule.get(side) or ()
    return is_port and (not peers or any(_is_meant(peer, pod, other) for peer in peers))


def _is_meant(peer: Object, pod: Peer, other: Peer) -> bool:
    if "ipBlock" in peer:
        block, address = peer["ipBlock"], ipaddress.ip_address(other.address)
        left_out = any(address in ipaddress.ip_network(one) for one in block.get("except", ()))
        return address in ipaddress.ip_network(block["cidr"]) and not left_out
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        is_namespace = _matches(peer["namespaceSelector"], other.namespace_labels)
    else:
        is_namespace = other.namespace == pod.namespace
    return is_namespace and _matches(peer.get("podSelector", {}), other.labels)


def _matches(selector: Object, labels: Mapping[str, str]) -> bool:
    exactly = all(labels.get(name) == value for name, value in (selector.get("matchLabels") or {}).items())
    return exactly and all(_is_in(one, labels) for one in selector.get("matchExpressions") or ())


def _is_in(expression: Object, labels: Mapping[str, str]) -> bool:
    assert expression["operator"] == "In", "no plan has another one"
    return labels.get(expression["key"]) in expression["values"]
