"""Autoscalers of services, by what the cluster measures."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.bench import Bench, ask, eventually
from clusters.load import Load
from clusters.metrics_api import measuring, usage_of_pods
from clusters.test_faults import state
from modelport.domain.errors import DeploymentFailed

BUSY = "end = time.thread_time() + 0.01\n    while time.thread_time() < end: pass"
"""A request costs ten milliseconds of CPU."""

SCALED: dict[str, Any] = {"num_replicas": None, "autoscale_enabled": True, "autoscale_refresh_seconds": 1}


def test_pods_come_with_the_load_and_go_after_it(bench: Bench) -> None:
    """From the least to the most, and back when it is calm; and no request is lost in either direction."""
    with measuring(bench.node) as metrics:
        service = bench.deploy(
            "line",
            bench.inference("one", run=BUSY),
            **{**SCALED, "autoscale_min_replicas": 1, "autoscale_max_replicas": 3},
            autoscale_target_utilization=60,
            max_request_wait_time=10_000,
        )
        assert len(bench.pods("line")) == 1
        with Load(bench.address(service), None, key=service.get_keys()[0], pause_s=0.05) as load:
            eventually(lambda: len(_ready(bench)) == 3, "there are as many as there may be")
            assert state(service) == "Healthy"
            seen = usage_of_pods(bench.node, bench.namespace, "modelport.dev/service=line")
            assert {one["containers"][0]["name"] for one in seen} == {"scoring"}
            assert service.autoscaler.max_replicas == 3
            service.update(autoscale_enabled=True, autoscale_max_replicas=2)
            eventually(lambda: len(bench.pods("line")) == 2, "there may be no more than two")
            assert _autoscaler(bench)["spec"]["maxReplicas"] == 2
        eventually(lambda: len(bench.pods("line")) == 1, "one is enough when nobody asks", within_s=150)
        assert (load.failures, set(load.answers)) == ([], {'"one"'})
        assert (ask(service), state(service)) == ("one", "Healthy")
    assert any("labelSelector" in path for path in metrics.asked), "the controller has asked"


def test_a_number_of_pods_becomes_an_autoscaler_s_and_back(bench: Bench) -> None:
    """Nobody loses a pod because another one counts them from now on."""
    service = bench.deploy("line", bench.inference("one"), num_replicas=3)
    before = bench.pod_names("line")
    with Load(bench.address(service), None, key=service.get_keys()[0], pause_s=0.02) as load:
        eventually(lambda: load.count > 20, "requests come")
        service.update(autoscale_enabled=True, autoscale_min_replicas=3, autoscale_max_replicas=4)
        assert _autoscaler(bench)["spec"]["minReplicas"] == 3
        assert bench.pod_names("line") == before
        service.update(num_replicas=2, autoscale_enabled=False)
        eventually(lambda: len(bench.pods("line")) == 2, "as many as were asked for")
        assert bench.node.api(_path(bench)).status_code == 404
    assert load.failures == []
    assert bench.pod_names("line") < before


def test_a_fixed_number_that_is_taken_back_leaves_the_autoscaler_s_pods(bench: Bench) -> None:
    """Nobody counted them for a moment: that is no reason for one alone."""
    service = bench.deploy("line", bench.inference("one"), num_replicas=3)
    service.update(autoscale_enabled=True, autoscale_min_replicas=3, autoscale_max_replicas=4)
    before = bench.pod_names("line")
    with pytest.raises(DeploymentFailed, match="no such model"):
        service.update(
            inference_config=bench.inference("bad", init="raise RuntimeError('no such model')"),
            num_replicas=4,
            autoscale_enabled=False,
        )
    with pytest.raises(AssertionError, match="not in time"):
        eventually(lambda: len(before & bench.pod_names("line")) < 3, "one of them goes", within_s=10)
    assert _autoscaler(bench)["spec"]["minReplicas"] == 3
    assert ask(service) == "one"


def _path(bench: Bench) -> str:
    return f"/apis/autoscaling/v2beta2/namespaces/{bench.namespace}/horizontalpodautoscalers/line"


def _autoscaler(bench: Bench) -> Any:
    return bench.node.api(_path(bench)).json()


def _ready(bench: Bench) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in bench.pods("line")
        if all(container["ready"] for container in pod["status"].get("containerStatuses", [{"ready": False}]))
    ]
