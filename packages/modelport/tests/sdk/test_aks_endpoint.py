"""An endpoint and its versions as real processes: they share the traffic, come and go under load, and survive."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest

from modelport import Webservice
from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.sdk.aks import AksWebservice
from modelport.sdk.aks_endpoint import AksEndpoint
from modelport.usecases import run_service
from modelport_scoring import supervisor_pid

from .cloud_bench import CloudBench, open_bench
from .constant_load import ConstantLoad


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudBench]:
    with open_bench(tmp_path_factory.mktemp("endpoint")) as bench:
        yield bench


@pytest.fixture
def endpoint(bench: CloudBench) -> Iterator[AksEndpoint]:
    configuration = AksEndpoint.deploy_configuration(
        version_name="version-a", traffic_percentile=20, num_replicas=1, max_request_wait_time=5000
    )
    service = bench.deploy("my-endpoint", "first", configuration, deployment_target=bench.cluster)
    assert isinstance(service, AksEndpoint)
    yield service
    service.delete()
    assert service.state == "Deleting"


def add(bench: CloudBench, endpoint: AksEndpoint, name: str, word: str, **more: object) -> None:
    endpoint.create_version(
        version_name=name,
        models=[bench.model(word)],
        inference_config=bench.script,
        num_replicas=1,
        max_request_wait_time=5000,
        **more,  # type: ignore[arg-type]
    )


def shares(endpoint: AksEndpoint, *, requests: int = 400) -> Counter[str]:
    """Which model answered how many of so many requests."""
    key = endpoint.get_keys()[0]
    with httpx.Client(trust_env=False, headers={"Authorization": f"Bearer {key}"}) as client:
        return Counter(client.post(str(endpoint.scoring_uri), content="1").json() for _ in range(requests))


def available_replicas(endpoint: AksEndpoint, name: str) -> int:
    endpoint.update_deployment_state()
    return endpoint.versions[name].deployment_status.available_replicas


def until(true: Callable[[], bool], *, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def test_versions_share_the_traffic_and_the_address(bench: CloudBench, endpoint: AksEndpoint) -> None:
    add(bench, endpoint, "version-b", "second", traffic_percentile=30, tags={"a": "b"}, description="the second")
    endpoint.wait_for_deployment()
    first, second = endpoint.versions["version-a"], endpoint.versions["version-b"]
    assert type(Webservice(bench.workspace, "my-endpoint")) is AksEndpoint
    assert isinstance(second, AksWebservice)
    control = AksEndpoint.VersionType.control.value
    assert (first.is_default, first.traffic_percentile, first.version_type) == (True, 20, control)
    assert (second.is_default, second.traffic_percentile, second.version_type) == (False, 30, "Treatment")
    assert (second.state, second.tags, second.description) == ("Healthy", {"a": "b"}, "the second")
    assert {first.scoring_uri, second.scoring_uri} == {endpoint.scoring_uri}
    assert first.get_keys() == second.get_keys() == endpoint.get_keys()
    assert [version.run("1") for version in (first, second)] == ["first", "second"]
    assert ("init of first" in first.get_logs(), "init of second" in second.get_logs()) == (True, True)
    seen = shares(endpoint)
    assert 80 < seen["second"] < 160
    assert seen["first"] == 400 - seen["second"]
    shown = endpoint.serialize()
    assert (shown["computeType"], list(shown["versions"])) == ("AKSENDPOINT", ["version-a", "version-b"])
    assert shown["versions"]["version-b"]["trafficPercentile"] == 30
    assert [model["name"] for model in shown["versions"]["version-b"]["modelDetails"]] == ["answer"]
    assert {model.id for model in endpoint.models} == {first.models[0].id, second.models[0].id}


def test_the_default_and_the_shares_change_from_one_request_to_the_next(
    bench: CloudBench, endpoint: AksEndpoint
) -> None:
    add(bench, endpoint, "version-b", "second", traffic_percentile=10)
    pid = supervisor_pid(bench.workspace.folder / "services" / "my-endpoint")
    with ConstantLoad(str(endpoint.scoring_uri), "1", key=endpoint.get_keys()[0]) as load:
        endpoint.update_version(
            version_name="version-b", traffic_percentile=40, is_default=True, is_control_version_type=True
        )
        load.wait_for("second")
    assert load.failures == []
    seen = shares(endpoint)
    assert 40 < seen["first"] < 130
    versions = endpoint.versions
    assert (versions["version-a"].is_default, versions["version-b"].is_default) == (False, True)
    assert (versions["version-a"].version_type, versions["version-b"].version_type) == ("Treatment", "Control")
    endpoint.delete_version("version-b")
    assert shares(endpoint, requests=20) == {"first": 20}
    assert list(endpoint.versions) == ["version-a"]
    assert endpoint.versions["version-a"].is_default
    assert supervisor_pid(bench.workspace.folder / "services" / "my-endpoint") == pid
    with pytest.raises(WebserviceException, match="the only one of the endpoint"):
        endpoint.delete_version("version-a")


def test_versions_come_change_and_go_under_load(bench: CloudBench, endpoint: AksEndpoint) -> None:
    with ConstantLoad(str(endpoint.scoring_uri), "1", key=endpoint.get_keys()[0]) as load:
        add(bench, endpoint, "version-b", "second", traffic_percentile=50)
        load.wait_for('"second"')
        endpoint.update_version("version-b", models=[bench.model("third")])
        load.wait_for('"third"')
        before = endpoint.versions["version-b"].revision
        endpoint.update_version("version-b", num_replicas=2)
        assert endpoint.versions["version-b"].revision == before
        endpoint.update_version("version-a", models=[bench.model("fourth")])
        load.wait_for('"fourth"')
        until(lambda: available_replicas(endpoint, "version-b") == 2)
        endpoint.delete_version("version-b")
    assert load.failures == []
    assert shares(endpoint, requests=20) == {"fourth": 20}


def test_a_version_that_fails_leaves_the_others_alone(bench: CloudBench, endpoint: AksEndpoint) -> None:
    failing = bench.folder / "failing.py"
    failing.write_text("def init():\n    raise ValueError('no such luck')\ndef run(data): return data\n")
    config = bench.script
    config.source_directory, config.entry_script = None, str(failing)
    with pytest.raises(DeploymentFailed, match=r"ValueError: no such luck \(what the endpoint had goes on serving\)"):
        endpoint.create_version("version-b", inference_config=config, models=[])
    assert (list(endpoint.versions), endpoint.state) == (["version-a"], "Healthy")
    with pytest.raises(DeploymentFailed, match="version 'version-a' as it was goes on serving"):
        endpoint.update_version("version-a", inference_config=config)
    assert endpoint.run("1") == "first"


def test_the_versions_survive_a_restart_and_a_reboot(bench: CloudBench, endpoint: AksEndpoint) -> None:
    add(bench, endpoint, "version-b", "second", traffic_percentile=50)
    endpoint.stop()
    assert (endpoint.state, endpoint.versions["version-b"].state) == ("Unhealthy", "Unhealthy")
    endpoint.start()
    endpoint.wait_for_deployment()
    assert set(shares(endpoint, requests=60)) == {"first", "second"}
    pid = supervisor_pid(bench.workspace.folder / "services" / "my-endpoint")
    assert pid is not None
    os.killpg(pid, signal.SIGKILL)
    until(lambda: supervisor_pid(bench.workspace.folder / "services" / "my-endpoint") is None)
    assert run_service.up(bench.workspace.context) == {"my-endpoint": None}
    endpoint.wait_for_deployment()
    assert set(shares(endpoint, requests=60)) == {"first", "second"}
    assert endpoint.versions["version-b"].run("1") == "second"


def test_a_version_that_is_deleted_while_the_endpoint_is_stopped_stays_away(
    bench: CloudBench, endpoint: AksEndpoint
) -> None:
    add(bench, endpoint, "version-b", "second", traffic_percentile=100 - 20)
    endpoint.stop()
    endpoint.delete_version("version-b")
    endpoint.start()
    endpoint.wait_for_deployment()
    assert shares(endpoint, requests=20) == {"first": 20}
    context = bench.workspace.context
    service = context.service("my-endpoint")
    assert set(context.target(service).observe(service).revisions) == {service.active_revision}


def test_what_belongs_to_the_endpoint(bench: CloudBench, endpoint: AksEndpoint) -> None:
    endpoint.update(token_auth_enabled=True, tags={"a": "b"}, description="d", properties={"p": "q"})
    assert (endpoint.auth_enabled, endpoint.tags, endpoint.description) == (False, {"a": "b"}, "d")
    token, _ = endpoint.get_token()
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.post(str(endpoint.scoring_uri), content="1", headers=headers, trust_env=False).json() == "first"
    with pytest.raises(WebserviceException, match="No parameters provided to update"):
        endpoint.update()
    with pytest.raises(WebserviceException, match=r"^Invalid configuration, traffic_percentile must be a number"):
        endpoint.create_version("version-b", inference_config=bench.script, traffic_percentile=200)
    with pytest.raises(WebserviceException, match="VersionNotFound"):
        endpoint.update_version("version-x", traffic_percentile=1)
    version = endpoint.versions["version-a"]
    version.update(description="changed")
    assert (version.description, version.is_default) == ("changed", True)
    for act in (version.stop, version.start, version.reload, version.rollback):
        with pytest.raises(NotImplementedError):
            act()
    assert "1 replica for version version-a" in endpoint.get_logs()


def test_a_version_is_deployed_again_by_its_name(bench: CloudBench, endpoint: AksEndpoint) -> None:
    named = AksEndpoint.deploy_configuration(version_name="version-b", traffic_percentile=10, num_replicas=1)
    again = bench.deploy("my-endpoint", "second", named, deployment_target=bench.cluster, overwrite=True)
    assert isinstance(again, AksEndpoint)
    assert {name: version.traffic_percentile for name, version in again.versions.items()} == {
        "version-a": 20,
        "version-b": 10,
    }
