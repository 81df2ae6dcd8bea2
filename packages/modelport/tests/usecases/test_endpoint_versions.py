"""The versions of endpoints, on the target that runs nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from modelport.domain.deployments import Autoscale, ComputeType, Deployment, Placement, Resources
from modelport.domain.endpoints import EndpointVersion, VersionType
from modelport.domain.errors import ConflictException, DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import Service, ServiceState
from modelport.targets.interface import Observation, RevisionObservation
from modelport.targets.memory import MemoryTarget
from modelport.usecases import run_service
from modelport.usecases.context import Context
from modelport.usecases.endpoint_versions import VersionChange, create_version, delete_version, update_version
from modelport.usecases.roll_back import roll_back
from modelport.usecases.update import ServiceChange, update
from modelport.usecases.wait import observe, wait_for_deployment

from .conftest import Steps, Workbench

INIT_FAILED = Failure(phase=Phase.INIT, message="ValueError: no", traceback="Traceback …\nValueError: no")


@pytest.fixture
def endpoint(bench: Workbench) -> Service:
    """With the version ``blue``, of 20 percent."""
    return bench.service(
        "shop",
        bench.model(),
        compute_type=ComputeType.AKS_ENDPOINT,
        version_name="blue",
        traffic_percentile=20.0,
        deployment=Deployment(replicas=2, token_auth_enabled=True, placement=Placement(compute_name="aks")),
    )


def create(bench: Workbench, name: str, **change: Any) -> Service:
    return create_version(bench.context, "shop", name, VersionChange(revision=bench.revision(bench.model()), **change))


def version(context: Context, name: str) -> EndpointVersion:
    found = context.service("shop").version(name)
    assert found is not None
    return found


def test_an_endpoint_that_does_not_answer_is_not_taken_for_one_that_does_not_run(
    bench: Workbench, endpoint: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on as before: the share that is to be taken away from a bad version, it has."""
    create(bench, "green", traffic_percentile=30.0)
    silent = Failure(phase=Phase.START, message="The cluster does not answer.", hint="Is the VPN up?")
    monkeypatch.setattr(MemoryTarget, "observe", lambda *_: Observation(state=ServiceState.UNKNOWN, failure=silent))
    with pytest.raises(WebserviceException, match=r"'shop' cannot be told of the change: The cluster .*\n.*the VPN up"):
        update_version(bench.context, "shop", "green", VersionChange(traffic_percentile=0.0))
    with pytest.raises(WebserviceException, match="cannot be told"):
        delete_version(bench.context, "shop", "green")
    assert version(bench.context, "green").traffic_percentile == 30.0


def test_the_first_version_is_the_default_one_and_the_control(endpoint: Service, target: MemoryTarget) -> None:
    (blue,) = endpoint.versions
    assert endpoint.default_version == blue
    assert (blue.name, blue.version_type, blue.traffic_percentile) == ("blue", VersionType.CONTROL, 20.0)
    assert (blue.deployment.replicas, endpoint.deployment.replicas) == (2, None)
    assert blue.deployment.limits == {"scoring_timeout_ms": 60_000, "queue_wait_ms": 500}
    assert (endpoint.deployment.auth_enabled, endpoint.deployment.token_auth_enabled) == (False, True)
    assert (blue.deployment.placement, endpoint.deployment.placement) == (None, Placement(compute_name="aks"))
    assert target.weights["shop"] == {}


def test_what_is_not_assigned_goes_to_the_default_version(
    bench: Workbench, context: Context, endpoint: Service, target: MemoryTarget
) -> None:
    """The example of the reference, 7.4."""
    create(bench, "green", traffic_percentile=10.0)
    assert target.weights["shop"] == {2: 10.0}
    changed = update_version(context, "shop", "green", VersionChange(traffic_percentile=40.0, is_default=True))
    assert (changed.active_revision, target.observe(changed).active_revision) == (2, 2)
    assert target.weights["shop"] == {1: 20.0}
    assert changed.model_ids == ("line:2", "line:1")


def test_there_is_one_control(bench: Workbench, context: Context, endpoint: Service) -> None:
    create(bench, "green")
    assert version(context, "green").version_type is VersionType.TREATMENT
    update_version(context, "shop", "green", VersionChange(is_control=True))
    assert version(context, "blue").version_type is VersionType.TREATMENT
    update_version(context, "shop", "green", VersionChange(is_control=False))
    assert {each.version_type for each in context.service("shop").versions} == {VersionType.TREATMENT}


@pytest.mark.parametrize("name", ["v1", "Green", "blue"])
def test_a_name_that_a_new_version_cannot_have(bench: Workbench, endpoint: Service, name: str) -> None:
    with pytest.raises(WebserviceException, match=r"3 to 32 characters|already has a version 'blue'"):
        create(bench, name)


def test_six_versions_and_a_hundred_percent_are_the_most(bench: Workbench, context: Context, endpoint: Service) -> None:
    with pytest.raises(WebserviceException, match=r"add up to 100\.5, more than 100: blue 20, green 80\.5"):
        create(bench, "green", traffic_percentile=80.5)
    for number in range(2, 7):
        create(bench, f"version-{number}", traffic_percentile=16.0)
    with pytest.raises(WebserviceException, match=r"6 versions at most; it has blue, .*version-6"):
        create(bench, "version-7")
    with pytest.raises(WebserviceException, match="more than 100"):
        update_version(context, "shop", "version-2", VersionChange(traffic_percentile=17.0))
    assert len(context.service("shop").revisions) == 6


def test_a_version_that_does_not_come_up_leaves_the_others(
    bench: Workbench, context: Context, endpoint: Service, target: MemoryTarget
) -> None:
    target.failure = INIT_FAILED
    with pytest.raises(DeploymentFailed, match=r"ValueError: no \(what the endpoint had goes on serving\)"):
        create(bench, "green")
    kept = context.service("shop")
    assert [each.name for each in kept.versions] == ["blue"]
    assert [each.number for each in kept.revisions] == [1]
    target.failure = INIT_FAILED
    with pytest.raises(DeploymentFailed, match=r"version 'blue' as it was goes on"):
        update_version(context, "shop", "blue", VersionChange(revision=bench.revision(bench.model())))
    assert version(context, "blue").revision == 1
    assert create(bench, "green").versions[1].revision == 4


def test_new_models_and_other_limits_come_with_new_workers(
    bench: Workbench, context: Context, endpoint: Service, target: MemoryTarget, steps: Steps
) -> None:
    create(bench, "green", traffic_percentile=10.0)
    renewed = update_version(context, "shop", "green", VersionChange(revision=bench.revision(bench.model())))
    assert version(context, "green").revision == 3
    assert set(target.observe(renewed).revisions) == {1, 3}
    assert target.weights["shop"] == {3: 10.0}
    scaled = update_version(context, "shop", "blue", VersionChange(deployment=Deployment(replicas=5)))
    assert (scaled.active_revision, target.observe(scaled).revisions[1].replicas) == (1, 5)
    limited = Deployment(limits={"queue_wait_ms": 9})
    renewed = update_version(context, "shop", "blue", VersionChange(deployment=limited))
    assert (renewed.active_revision, version(context, "blue").revision) == (4, 4)
    assert renewed.revision(4).bundle_digest == endpoint.active.bundle_digest
    before = version(context, "green").deployment.autoscale
    bounds = Deployment(autoscale=Autoscale(max_replicas=4), limits={"queue_wait_ms": 7})
    update_version(context, "shop", "green", VersionChange(deployment=bounds))
    green = version(context, "green")
    assert before is not None
    assert green.deployment.autoscale == replace(before, max_replicas=4)
    assert green.deployment.limits == {"scoring_timeout_ms": 60_000, "queue_wait_ms": 7}
    assert [each.number for each in context.service("shop").revisions] == [4, green.revision]


def test_labels_and_resources_start_nothing(bench: Workbench, context: Context, endpoint: Service) -> None:
    create(bench, "green", tags={"a": "1"}, properties={"p": "1"})
    change = VersionChange(
        deployment=Deployment(resources=Resources(cpu=2)), tags={"b": "2"}, properties={"q": "2"}, description="d"
    )
    update_version(context, "shop", "green", change)
    green = version(context, "green")
    assert green.revision == 2
    assert (green.tags, green.properties, green.description) == ({"b": "2"}, {"p": "1", "q": "2"}, "d")
    assert green.deployment.resources == Resources(cpu=2, memory_gb=0.5)


def test_what_cannot_be_updated(bench: Workbench, context: Context, endpoint: Service) -> None:
    with pytest.raises(WebserviceException, match="No parameters provided to update"):
        update_version(context, "shop", "blue", VersionChange())
    with pytest.raises(WebserviceException, match=r"VersionNotFound: .*'red'"):
        update_version(context, "shop", "red", VersionChange(traffic_percentile=1))
    with pytest.raises(WebserviceException, match="an endpoint always has one"):
        update_version(context, "shop", "blue", VersionChange(is_default=False))
    with pytest.raises(WebserviceException, match="needs an inference configuration"):
        create_version(context, "shop", "green", VersionChange())
    bench.service("plain", bench.model())
    with pytest.raises(WebserviceException, match="of type Local, and no endpoint"):
        update_version(context, "plain", "blue", VersionChange(traffic_percentile=1))
    with pytest.raises(WebserviceException, match="rolled back one by one"):
        roll_back(context, "shop")


def test_the_default_version_hands_over_before_it_goes(
    bench: Workbench, context: Context, endpoint: Service, target: MemoryTarget, steps: Steps
) -> None:
    create(bench, "green", traffic_percentile=10.0)
    create(bench, "red", traffic_percentile=30.0)
    delete_version(context, "shop", "blue")
    kept = context.service("shop")
    assert [each.name for each in kept.versions] == ["green", "red"]
    assert (kept.active_revision, target.weights["shop"]) == (3, {2: 10.0})
    assert "Version 'red' becomes the default version, as 'blue' goes" in steps.texts
    delete_version(context, "shop", "green")
    with pytest.raises(WebserviceException, match="the only one of the endpoint 'shop'"):
        delete_version(context, "shop", "red")
    assert set(target.observe(kept).revisions) == {3}


def test_what_a_killed_program_left_is_put_right(
    bench: Workbench, context: Context, endpoint: Service, target: MemoryTarget
) -> None:
    """It had hosted one that is in no row, and released one that still is."""
    create(bench, "green", traffic_percentile=10.0)
    seen = target.observations["shop"]
    runs = RevisionObservation(state=ServiceState.RUNNING)
    target.observations["shop"] = replace(seen, revisions={1: runs, 9: runs})
    update_version(context, "shop", "blue", VersionChange(description="d"))
    assert set(target.observations["shop"].revisions) == {1, 2}
    target.observations["shop"] = replace(seen, revisions={1: runs})
    delete_version(context, "shop", "green")
    assert set(target.observations["shop"].revisions) == {1}


@pytest.mark.parametrize(("runs", "blue"), [(2, 1), (7, 7)])
def test_a_switch_that_was_not_written_down_is_seen(
    bench: Workbench, context: Context, endpoint: Service, target: MemoryTarget, runs: int, blue: int
) -> None:
    """Another version became the default one; or the default version got another revision."""
    service = create(bench, "green")
    context.registry.update_service(replace(service, revisions=(*service.revisions, replace(service.active, number=7))))
    target.observations["shop"] = replace(target.observations["shop"], active_revision=runs)
    service, _ = observe(context, "shop")
    assert (service.active_revision, version(context, "blue").revision) == (runs, blue)


def test_waiting_is_for_all_versions(bench: Workbench, context: Context, target: MemoryTarget) -> None:
    bench.service("shop", bench.model(), compute_type=ComputeType.AKS_ENDPOINT)
    create(bench, "green")
    runs = RevisionObservation(state=ServiceState.RUNNING)
    ticks: list[int] = []

    def later() -> None:
        ticks.append(1)
        target.observations["shop"] = Observation(
            state=ServiceState.RUNNING, active_revision=1, revisions={1: runs, 2: runs}
        )

    target.observations["shop"] = Observation(
        state=ServiceState.RUNNING,
        active_revision=1,
        revisions={1: runs, 2: RevisionObservation(state=ServiceState.DEPLOYING)},
    )
    assert wait_for_deployment(context, "shop", tick=later).versions[0].name == "shop"
    assert ticks == [1]
    failed = RevisionObservation(state=ServiceState.FAILED, failure=INIT_FAILED)
    target.observations["shop"] = replace(target.observations["shop"], revisions={1: runs, 2: failed})
    with pytest.raises(DeploymentFailed, match="version 'green': ValueError: no"):
        wait_for_deployment(context, "shop")


def test_a_stopped_endpoint_starts_with_all_its_versions(
    bench: Workbench, context: Context, endpoint: Service, target: MemoryTarget
) -> None:
    create(bench, "green", traffic_percentile=10.0)
    run_service.stop(context, "shop")
    create(bench, "red", traffic_percentile=30.0, is_default=True)
    delete_version(context, "shop", "green")
    assert target.observe(endpoint).revisions == {}
    run_service.start(context, "shop")
    assert set(target.observe(endpoint).revisions) == {1, 3}
    assert (target.observe(endpoint).active_revision, target.weights["shop"]) == (3, {1: 20.0})


def test_an_update_of_the_endpoint_leaves_the_versions(bench: Workbench, context: Context, endpoint: Service) -> None:
    before = endpoint.versions
    changed = update(context, "shop", ServiceChange(deployment=Deployment(auth_enabled=True), tags={"a": "b"}))
    assert (changed.versions, changed.tags) == (before, {"a": "b"})
    assert (changed.deployment.auth_enabled, changed.deployment.token_auth_enabled) == (True, False)
    assert changed.keys is not None


def test_deploying_again_puts_a_version(bench: Workbench, context: Context, endpoint: Service) -> None:
    def again(name: str, **more: Any) -> Service:
        kind = ComputeType.AKS_ENDPOINT
        return bench.service("shop", bench.model(), compute_type=kind, version_name=name, **more)

    with pytest.raises(ConflictException, match="ServiceExists"):
        again("blue")
    assert again("blue", overwrite=True).versions[0].revision == 2
    assert [each.name for each in again("green", overwrite=True).versions] == ["blue", "green"]
    with pytest.raises(ConflictException, match="is of type AKSENDPOINT, not Local"):
        bench.service("shop", bench.model(), overwrite=True)
