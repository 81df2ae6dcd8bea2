"""Faults of pods, nodes and routers, made on the cluster itself."""

from __future__ import annotations

import os
import signal

import httpx
import pytest

from clusters.bench import Bench, ask, eventually
from clusters.load import Load
from modelport.domain.errors import DeploymentFailed
from modelport.sdk.aks import AksWebservice


def test_a_process_that_is_killed_comes_back(bench: Bench) -> None:
    service = bench.deploy("line", bench.inference("one"))
    (pod,) = bench.pods("line")
    (container,) = pod["status"]["containerStatuses"]
    _kill(bench, container["containerID"])
    eventually(
        lambda: bench.pods("line")[0]["status"]["containerStatuses"][0]["restartCount"] == 1, "it is started again"
    )
    eventually(lambda: _answers(service), "it answers again")
    assert state(service) == "Healthy"
    assert "init of one" in service.get_logs()


def test_a_service_that_is_killed_for_its_memory_is_given_more(bench: Bench) -> None:
    """As its error advises: the pod that is killed again and again stays until the one with more is ready."""
    eats = "kept = bytearray(700_000_000); kept[::4096] = b'x' * len(kept[::4096])"
    service = bench.deploy("line", bench.inference("one", init=eats), wait=False, memory_gb_limit=0.5)
    with pytest.raises(DeploymentFailed, match="used more memory than its limit"):
        service.wait_for_deployment()
    service.update(memory_gb_limit=1.5)
    assert ask(service) == "one"
    assert state(service) == "Healthy"


def test_a_pod_that_fails_again_and_again_stands_in_no_way(bench: Bench) -> None:
    """It came up once, and does no more: keys change meanwhile, and another one takes its place with other settings."""
    again = "flag = os.path.expanduser('~/seen'); assert not os.path.exists(flag), 'not again'; open(flag, 'w').close()"
    service = bench.deploy("line", bench.inference("one", init=again), num_replicas=2)
    eventually(lambda: len(_ready(bench)) == 2, "both came up")
    pod = min(bench.pods("line"), key=lambda pod: str(pod["metadata"]["name"]))
    _kill(bench, pod["status"]["containerStatuses"][0]["containerID"])
    eventually(lambda: "not again" in str(_error(service)), "it fails for sure")
    old = service.get_keys()[0]
    service.regen_key("Primary")
    answer = httpx.post(str(service.scoring_uri), headers={"Authorization": f"Bearer {old}"}, trust_env=False)
    assert (answer.status_code, ask(service)) == (401, "one")
    assert pod["metadata"]["name"] in bench.pod_names("line")
    service.update(memory_gb=0.3)
    assert (ask(service), state(service), len(bench.pods("line"))) == ("one", "Healthy", 2)
    assert _error(service) is None


def _error(service: AksWebservice) -> object:
    service.update_deployment_state()
    return service.error


def test_pods_are_drained_one_by_one_under_load(bench: Bench) -> None:
    """What an administrator does before a node is replaced: the disruption budget keeps one pod at least."""
    service = bench.deploy("line", bench.inference("one", run="time.sleep(0.05)"), num_replicas=2)
    with Load(bench.address(service), None, key=service.get_keys()[0]) as load:
        eventually(lambda: load.count > 20, "requests come")
        first, second = sorted(bench.pod_names("line"))
        eventually(lambda: _evict(bench, first) == 201, "the budget has seen both pods")
        assert _evict(bench, second) == 429, "the budget allows no second one meanwhile"
        eventually(lambda: _evict(bench, second) == 201, "there is another pod for the first one")
        eventually(lambda: len(_ready(bench) - {first, second}) == 2, "both are replaced")
    assert load.failures == []
    assert load.count > 100


def test_a_node_whose_kubelet_is_gone(bench: Bench) -> None:
    service = bench.deploy("line", bench.inference("one"))
    (before,) = bench.pods("line")
    bench.node.kill("kubelet")
    try:
        assert ask(service) == "one", "what runs goes on without it"
        eventually(lambda: state(service) == "Unhealthy", "the cluster has given the node up")
    finally:
        bench.node.start("kubelet")
    bench.node.wait_until_ready()
    eventually(lambda: state(service) == "Healthy", "it is well again")
    eventually(lambda: _answers(service), "it answers again")
    (after,) = bench.pods("line")
    assert after["metadata"]["name"] == before["metadata"]["name"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def _kill(bench: Bench, container: str) -> None:
    """End the first process of a container of this cluster, by its id, without a warning."""
    wanted = container.removeprefix("containerd://")
    rows = [line.split() for line in bench.node.containers("tasks", "list").splitlines()[1:]]
    os.kill(next(int(row[1]) for row in rows if row[0] == wanted), signal.SIGKILL)


def _evict(bench: Bench, pod: str) -> int:
    path = f"/api/v1/namespaces/{bench.namespace}/pods/{pod}/eviction"
    body = {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": pod, "namespace": bench.namespace}}
    return bench.node.api(path, "POST", body=body).status_code


def _ready(bench: Bench) -> set[str]:
    found = set()
    for pod in bench.pods("line"):
        conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", ())}
        if conditions.get("Ready") == "True":
            found.add(str(pod["metadata"]["name"]))
    return found


def state(service: AksWebservice) -> str:
    """As it is now."""
    service.update_deployment_state()
    return str(service.state)


def _answers(service: AksWebservice) -> bool:
    try:
        return bool(ask(service) == "one")
    except Exception:
        return False
