"""Versions that do not come up: what is said of them, and what goes on serving."""

from __future__ import annotations

import pytest

from clusters.bench import Bench, ask, eventually
from clusters.load import Load
from modelport.domain.errors import DeploymentFailed, UserErrorException
from modelport.sdk.compute import ComputeTarget
from modelport.targets.kubernetes import rollout


def test_a_bad_version_is_taken_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout, "UNSCHEDULABLE_S", 3)  # no node will come
    service = bench.deploy("line", bench.inference("one"))
    pods, key = bench.pod_names("line"), service.get_keys()[0]
    with Load(bench.address(service), None, key=key) as load:
        with pytest.raises(DeploymentFailed) as caught:
            service.update(inference_config=bench.inference("bad", init="raise RuntimeError('no such model')"))
        said = str(caught.value)
        assert "RuntimeError: no such model" in said
        assert "goes on serving" in said
        assert "CrashLoopBackOff" not in said
        with pytest.raises(DeploymentFailed, match=r"Couldn't Schedule.*Insufficient memory"):
            service.update(memory_gb=4000)
    assert load.failures == []
    assert set(load.answers) == {'"one"'}
    assert bench.pod_names("line") == pods
    service.update_deployment_state()
    assert service.state == "Healthy"
    service.update(inference_config=bench.inference("two"))
    assert ask(service) == "two"


def test_a_first_version_that_fails_says_why(bench: Bench) -> None:
    service = bench.deploy("line", bench.inference("bad", init="open('/nowhere')"), wait=False)
    with pytest.raises(DeploymentFailed, match="No such file or directory: '/nowhere'"):
        service.wait_for_deployment()
    service.update_deployment_state()
    assert service.state == "Failed"
    assert "init of bad" in service.get_logs()
    service.delete()
    eats = "kept = bytearray(900_000_000); kept[::4096] = b'x' * len(kept[::4096])"
    service = bench.deploy("eater", bench.inference("big", init=eats), wait=False, memory_gb_limit=0.5)
    with pytest.raises(DeploymentFailed, match="used more memory than its limit"):
        service.wait_for_deployment()


def test_no_room_in_the_cluster(bench: Bench) -> None:
    service = bench.deploy("line", bench.inference("one"), wait=False, cpu_cores=900)
    eventually(lambda: _state(service) == "Unschedulable", "it waits for room")
    assert "Insufficient cpu" in str(service.error)


def _state(service: object) -> str:
    service.update_deployment_state()  # type: ignore[attr-defined]
    return str(service.state)  # type: ignore[attr-defined]


def test_a_target_without_a_registry(bench: Bench) -> None:
    bench.attach("bare", registry=None)
    with pytest.raises(UserErrorException, match="'bare' names none"):
        bench.deploy("line", bench.inference("one"), target=ComputeTarget(bench.workspace, "bare"))
    assert bench.left() == []
