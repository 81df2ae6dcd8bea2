"""Where a service runs: decided when it is deployed, kept, and another place for another kind of service."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelport.domain.deployments import ComputeType, RunsOn
from modelport.domain.errors import DeploymentFailed
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import ServiceState
from modelport.targets.chooser import TargetChooser
from modelport.targets.memory import MemoryTarget
from modelport.usecases.context import Context

from .conftest import Steps, Workbench

ENVIRON = {"MODELPORT_ACI": "container", "MODELPORT_CONTAINER_ENGINE": "tcp://engine:2376"}


@pytest.fixture
def engine() -> MemoryTarget:
    return MemoryTarget(port=20_000)


@pytest.fixture
def context(context: Context, target: MemoryTarget, engine: MemoryTarget) -> Context:
    makers = {RunsOn.PROCESS: lambda _place: target, RunsOn.CONTAINER: lambda _place: engine}
    return replace(context, targets=TargetChooser(makers, environ=ENVIRON))


def test_the_place_is_kept(bench: Workbench, engine: MemoryTarget, target: MemoryTarget, steps: Steps) -> None:
    service = bench.service("svc", bench.model(), compute_type=ComputeType.ACI)
    assert (service.deployment.runs_on, service.deployment.place.engine) == (RunsOn.CONTAINER, "tcp://engine:2376")
    assert (set(engine.observations), set(target.observations)) == ({"svc"}, set())
    assert any("runs in a container of the engine at tcp://engine:2376" in text for text in steps.texts)
    updated = bench.service("svc", bench.model(content="other"), compute_type=ComputeType.ACI, overwrite=True)
    assert updated.deployment.place == service.deployment.place and updated.active_revision == 2
    assert engine.observations["svc"].active_revision == 2


def test_another_kind_runs_elsewhere(bench: Workbench, engine: MemoryTarget, target: MemoryTarget) -> None:
    local = bench.service("svc", bench.model())
    moved = bench.service("svc", bench.model(content="other"), compute_type=ComputeType.ACI, overwrite=True)
    assert (moved.deployment.runs_on, moved.active_revision, moved.port) == (RunsOn.CONTAINER, 2, local.port)
    assert (set(engine.observations), set(target.observations)) == ({"svc"}, set())
    assert bench.context.service("svc") == moved
    back = bench.service("svc", bench.model(content="third"), overwrite=True)
    assert (back.deployment.runs_on, back.active_revision) == (RunsOn.PROCESS, 3)
    assert (set(engine.observations), set(target.observations)) == (set(), {"svc"})


def test_it_stays_where_it_was_if_that_fails(bench: Workbench, engine: MemoryTarget, target: MemoryTarget) -> None:
    local = bench.service("svc", bench.model())
    engine.failure = Failure(phase=Phase.INIT, message="no such luck")
    with pytest.raises(DeploymentFailed, match=r"no such luck \(it runs where it was\)"):
        bench.service("svc", bench.model(content="other"), compute_type=ComputeType.ACI, overwrite=True)
    assert (set(engine.observations), set(target.observations)) == (set(), {"svc"})
    seen = target.observations["svc"]
    assert (seen.state, seen.active_revision) == (ServiceState.RUNNING, local.active_revision)
    row = bench.context.service("svc")
    assert (row.compute_type, row.deployment.runs_on, row.active_revision) == ("Local", RunsOn.PROCESS, 1)
    assert [revision.number for revision in row.revisions] == [1], "the one that failed is not kept"
    assert row.failure is not None and "no such luck" in row.failure.message
