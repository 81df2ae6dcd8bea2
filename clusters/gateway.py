"""A Gateway of the tests' cluster: routes by path and header, requests divided by weights, as the Gateway API says.

No implementation of it is packaged. Of routes it says whether it takes them, in their status.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters.nginx import ADDRESS, Nginx, following
from clusters.node import Node

Object = Mapping[str, Any]

NAME, NAMESPACE = "front", "default"
_GROUP_VERSION = "gateway.networking.k8s.io/v1"
_API = f"/apis/{_GROUP_VERSION}"
_LISTENER = {"name": "http", "port": 80, "protocol": "HTTP"}
_GATEWAY = {
    "apiVersion": _GROUP_VERSION,
    "kind": "Gateway",
    "metadata": {"name": NAME},
    "spec": {"gatewayClassName": "tests", "listeners": [_LISTENER]},
}
_STATUS = "application/merge-patch+json"


@dataclass
class Gateway:
    """One that follows the routes of its cluster; ``refuses``: with which reason it refuses them all."""

    node: Node
    refuses: str = ""

    def look(self, nginx: Nginx) -> None:
        """Take the routes that name it, and say so."""
        found = self.node.api(f"{_API}/httproutes").json()["items"]
        mine = [one for one in found if {"namespace": NAMESPACE, "name": NAME} in one["spec"]["parentRefs"]]
        taken = [] if self.refuses else mine
        splits = "".join(self._splits(route) for route in taken)
        locations = "".join(self._locations(route) for route in taken)
        nginx.tell(f"{splits}  server {{\n    listen {ADDRESS}:80;\n    server_name {ADDRESS};\n{locations}  }}\n")
        for route in mine:
            self._say(route)

    def _splits(self, route: Object) -> str:
        """Of requests that no header leads to one backend."""
        blocks = []
        for number, rule in enumerate(route["spec"]["rules"]):
            refs = [(self._backend(route, ref), ref.get("weight", 1)) for ref in rule["backendRefs"]]
            shares, whole = [(to, weight) for to, weight in refs if weight], sum(weight for _, weight in refs)
            parts = [f"{weight / whole * 100:.2f}% {to};" for to, weight in shares[:-1]]
            rest = " ".join([*parts, f"* {shares[-1][0]};"])
            blocks.append(f'  split_clients "$request_id" ${_variable(route, number)} {{ {rest} }}\n')
        return "".join(blocks)

    def _locations(self, route: Object) -> str:
        """For each path: where to without a header, then where to with one, which counts more."""
        choices: dict[str, list[str]] = {}
        for number, rule in enumerate(route["spec"]["rules"]):
            for match in rule["matches"]:
                choice = f"{_condition(match)}set $to ${_variable(route, number)};{_end(match)}"
                choices.setdefault(match["path"]["value"], []).append(choice)
        return "".join(
            f"    location {path}/ {{ {' '.join(sorted(found, key=_has_condition))} proxy_pass http://$to; }}\n"
            for path, found in choices.items()
        )

    def _backend(self, route: Object, ref: Object) -> str:
        path = f"/api/v1/namespaces/{route['metadata']['namespace']}/services/{ref['name']}"
        address = self.node.api(path).json().get("spec", {}).get("clusterIP", "127.0.0.3")
        return f"{address}:{ref['port']}"

    def _say(self, route: Object) -> None:
        metadata = route["metadata"]
        accepted = {"type": "Accepted", "status": "False" if self.refuses else "True"}
        said = {**accepted, "reason": self.refuses or "Accepted", "message": "says the Gateway of the tests"}
        condition = {**said, "observedGeneration": metadata["generation"]}
        parents = [{"parentRef": {"namespace": NAMESPACE, "name": NAME}, "conditions": [condition]}]
        if (route.get("status") or {}).get("parents") != parents:
            path = f"{_API}/namespaces/{metadata['namespace']}/httproutes/{metadata['name']}/status"
            self.node.api(path, "PATCH", body={"status": {"parents": parents}}, kind=_STATUS)


def _variable(route: Object, number: int) -> str:
    return f"to_{route['metadata']['name'].replace('-', '_')}_{number}"


def _condition(match: Object) -> str:
    headers = match.get("headers", ())
    return "".join(f'if ($http_{one["name"].lower().replace("-", "_")} = "{one["value"]}") {{ ' for one in headers)


def _has_condition(choice: str) -> bool:
    return choice.startswith("if")


def _end(match: Object) -> str:
    return " }" * len(match.get("headers", ()))


@contextmanager
def gateway(node: Node, folder: Path) -> Iterator[Gateway]:
    """It has an address, and follows the cluster's routes meanwhile. The kinds have to be installed."""
    path = f"{_API}/namespaces/{NAMESPACE}/gateways"
    answer = node.api(path, "POST", body=_GATEWAY)
    assert answer.is_success, answer.text
    told = {"status": {"addresses": [{"type": "IPAddress", "value": ADDRESS}]}}
    assert node.api(f"{path}/{NAME}/status", "PATCH", body=told, kind=_STATUS).is_success
    found = Gateway(node)
    with following(folder / "gateway", found.look):
        yield found
