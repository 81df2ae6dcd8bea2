"""Versions behind one address, divided by Modelport's router."""

from __future__ import annotations

from typing import Any

import httpx

from clusters.bench import Bench, ask, eventually
from clusters.load import Load
from clusters.test_faults import _kill, state
from modelport import Model
from modelport.sdk.aks_endpoint import AksEndpoint
from modelport.sdk.compute import ComputeTarget

SIZE: dict[str, Any] = {"cpu_cores": 0.1, "memory_gb": 0.25, "autoscale_enabled": False, "num_replicas": 1}


def test_versions_come_share_and_go_under_load(bench: Bench) -> None:
    endpoint = Model.deploy(
        bench.workspace,
        "shop",
        [],
        bench.inference("one"),
        AksEndpoint.deploy_configuration(version_name="one", traffic_percentile=100, **SIZE),
        deployment_target=ComputeTarget(bench.workspace, "my-aks"),
    )
    assert isinstance(endpoint, AksEndpoint)
    endpoint.wait_for_deployment()
    assert ask(endpoint) == "one"
    key = endpoint.get_keys()[0]
    with Load(bench.address(endpoint), None, key=key) as load:
        eventually(lambda: load.count > 20, "requests come")
        endpoint.update_version("one", traffic_percentile=60)
        two = bench.inference("two")
        endpoint.create_version("two", inference_config=two, traffic_percentile=40, **SIZE)
        eventually(lambda: load.answers['"two"'] > 20, "the second one has its share")
        answer = _asked_for(endpoint, "two", key)
        assert (answer.json(), answer.status_code) == ("two", 200)
        endpoint.update_version("two", traffic_percentile=100 - 60, is_default=True)
        endpoint.delete_version("one")
        eventually(lambda: _asked_for(endpoint, "one", key).status_code != 200, "it is not there any more")
    assert load.failures == []
    assert set(load.answers) == {'"one"', '"two"'}
    assert ask(endpoint) == "two"
    _survives_its_router(bench, endpoint, key)


def _asked_for(endpoint: AksEndpoint, version: str, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "modelport-revision": version}
    return httpx.post(str(endpoint.scoring_uri), json=None, headers=headers, trust_env=False)


def _survives_its_router(bench: Bench, endpoint: AksEndpoint, key: str) -> None:
    """One of the two is killed: its connections are refused until nodes hear of it, and the other one goes on."""
    routers = _routers(bench)
    assert len(routers) == 2
    (container,) = routers[0]["status"]["containerStatuses"]
    with Load(bench.address(endpoint), None, key=key) as load:
        eventually(lambda: load.count > 20, "requests come")
        _kill(bench, container["containerID"])
        lost = load.count
        eventually(lambda: load.count > lost + 200, "the other one goes on")
    assert all("Error" in failure for failure in load.failures), "connections, and no answers"
    # not before the node has seen it: until then the killed one counts as ready still
    eventually(lambda: _restarts(bench) == 1 and len(_ready_routers(bench)) == 2, "both are there again")
    with Load(bench.address(endpoint), None, key=key, at_most=200) as load:
        eventually(lambda: load.count + len(load.failures) >= 200, "all are answered")
    assert load.failures == []
    assert state(endpoint) == "Healthy"


def _routers(bench: Bench) -> list[Any]:
    component = "app.kubernetes.io/component"
    return [pod for pod in bench.pods("shop") if pod["metadata"]["labels"][component] == "router"]


def _ready_routers(bench: Bench) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in _routers(bench)
        if all(container["ready"] for container in pod["status"].get("containerStatuses", ()))
    ]


def _restarts(bench: Bench) -> int:
    containers = [each for pod in _routers(bench) for each in pod["status"].get("containerStatuses", ())]
    return sum(container["restartCount"] for container in containers)
