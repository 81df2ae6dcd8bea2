"""The tests' own cluster."""

from __future__ import annotations

from clusters.node import Node


def test_a_node_is_ready(node: Node) -> None:
    assert node.is_ready
    assert node.api("/version").json()["gitVersion"] == "v1.20.2"
