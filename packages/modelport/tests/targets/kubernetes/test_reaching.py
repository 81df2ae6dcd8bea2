"""What stands in the way to a service, by what controllers say of its route."""

from __future__ import annotations

import datetime as dt
import socket
from pathlib import Path
from typing import Any

import pytest

from modelport.domain.services import ServiceState
from modelport.targets.interface import Observation
from modelport.targets.kubernetes.reaching import why_refused
from modelport.targets.kubernetes.settings import Expose

from .api_server import ApiServer, target
from .services import planned, service

NAMESPACE = planned(service()).namespace


def _route(*conditions: dict[str, Any], generation: int = 2) -> dict[str, Any]:
    return {
        "kind": "HTTPRoute",
        "metadata": {"name": "line", "generation": generation},
        "status": {"parents": [{"parentRef": {"name": "front"}, "conditions": list(conditions)}]},
    }


def _says(type: str, status: str, *, seen: int = 2) -> dict[str, Any]:
    return {"type": type, "status": status, "reason": "NoMatchingParent", "message": "none", "observedGeneration": seen}


def test_a_route_that_is_refused() -> None:
    refusal = why_refused(_route(_says("Accepted", "True"), _says("ResolvedRefs", "False")))
    assert refusal is not None
    assert refusal.message == "The Gateway does not take the route line: NoMatchingParent: none"


@pytest.mark.parametrize(
    "found",
    [
        _route(_says("Accepted", "True"), _says("ResolvedRefs", "True")),
        _route(_says("Accepted", "False", seen=1)),
        _route(_says("Programmed", "False")),
        {"kind": "HTTPRoute", "metadata": {"name": "line", "generation": 1}},
        {"kind": "Service", "metadata": {"name": "line"}, "status": {"loadBalancer": {}}},
    ],
    ids=["taken", "what was before", "another condition", "nothing is said", "no route"],
)
def test_nothing_is_refused(found: dict[str, Any]) -> None:
    assert why_refused(found) is None


@pytest.mark.parametrize(
    ("seconds", "state", "says"),
    [(5, ServiceState.DEPLOYING, None), (120, ServiceState.RUNNING, "connections from this machine are refused")],
    ids=["nodes have not heard of the pods yet", "something is in between"],
)
def test_an_address_that_refuses(
    api: ApiServer, tmp_path: Path, seconds: int, state: ServiceState, says: str | None
) -> None:
    """A healthy service is not on its way for ever where only this machine does not reach it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        seen = _seen_after(api, tmp_path, seconds=seconds, port=closed.getsockname()[1])
    assert seen.state is state
    assert (seen.failure and seen.failure.message) is None if says is None else says in str(seen.failure)


def test_an_address_that_answers(api: ApiServer, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        seen = _seen_after(api, tmp_path, seconds=5, port=listening.getsockname()[1])
    assert (seen.state, seen.failure) == (ServiceState.RUNNING, None)


def _seen_after(api: ApiServer, folder: Path, *, seconds: int, port: int) -> Observation:
    """What is seen of a service on a node's port, whose pods have been ready for that long."""
    row, cluster = service(), target(folder, expose=Expose.NODE_PORT, host="127.0.0.1")
    cluster.start(row, folder)
    since = (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds)).isoformat(timespec="seconds")
    available = {"type": "Available", "status": "True", "lastTransitionTime": since}
    deployment = api.objects["deployments", NAMESPACE, "diabetes"]
    deployment["status"] = {"conditions": [available], "replicas": 1, "readyReplicas": 1, "availableReplicas": 1}
    api.objects["services", NAMESPACE, "diabetes"]["spec"]["ports"][0]["nodePort"] = port
    template = deployment["spec"]["template"]
    ready = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    labels = {"labels": template["metadata"]["labels"], "creationTimestamp": since}
    api.put("pods", "diabetes-1", namespace=NAMESPACE, metadata=labels, spec={}, status={"conditions": ready})
    return cluster.observe(row)
