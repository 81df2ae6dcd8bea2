"""Services that were meant for a cloud, as real processes of this machine: what they show, ask for and refuse."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from modelport import LocalWebservice, Model, Webservice, Workspace
from modelport.domain.errors import ComputeTargetException, ConflictException, DeploymentFailed, WebserviceException
from modelport.sdk.aci import AciWebservice
from modelport.sdk.aks import AksWebservice
from modelport.sdk.compute import AksCompute, AksUpdateConfiguration, AmlCompute, ComputeTarget, SslConfiguration
from modelport.sdk.v1.model import Model as V1Model
from modelport_scoring import supervisor_pid

from .cloud_bench import CloudBench, open_bench
from .constant_load import ConstantLoad

COMMON = """name description tags properties state createdTime updatedTime createdBy error computeType workspaceName
    imageId imageDigest imageDetails scoringUri environmentDetails modelDetails authEnabled appInsightsEnabled
    containerResourceRequirements"""
ACI = """location sslEnabled sslCertificate sslKey cname publicIp publicFqdn encryptionProperties vnetConfiguration"""
AKS = """autoScaler computeName dataCollection maxConcurrentRequestsPerContainer maxQueueWaitMs
    livenessProbeRequirements numReplicas deploymentStatus scoringTimeoutMs aadAuthEnabled isDefault trafficPercentile
    versionType"""
"""Keys of the reference, 4.7."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudBench]:
    with open_bench(tmp_path_factory.mktemp("cloud")) as bench:
        yield bench


@pytest.fixture(scope="module")
def aks(bench: CloudBench) -> AksWebservice:
    """One service for all that is asked of a cluster's."""
    configuration = AksWebservice.deploy_configuration(tags={"a": "b"}, description="the shared one", cpu_cores=0.5)
    service = bench.deploy("my-aks-svc", "first", configuration, deployment_target=bench.cluster)
    assert isinstance(service, AksWebservice)
    return service


@pytest.fixture
def aci(bench: CloudBench) -> Iterator[AciWebservice]:
    service = bench.deploy("my-aci-svc", "first", AciWebservice.deploy_configuration(memory_gb=1))
    assert isinstance(service, AciWebservice)
    yield service
    service.delete()


def until(true: Callable[[], bool], *, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.02)


def post(service: Webservice, content: str, credential: str | None = None, **options: Any) -> httpx.Response:
    headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
    uri = str(service.scoring_uri)
    return httpx.post(uri, content=content, headers=headers, trust_env=False, timeout=20, **options)


def pid_of(service: Webservice) -> int | None:
    return supervisor_pid(service.workspace.folder / "services" / service.name)


# --- container instances ----------------------------------------------------------------------------------------------


def test_a_container_instance_asks_for_nothing(bench: CloudBench, aci: AciWebservice) -> None:
    assert (aci.state, aci.compute_type, aci.auth_enabled, aci.token_auth_enabled) == ("Healthy", "ACI", False, False)
    assert aci.scoring_uri == f"http://localhost:{aci.port}/score"
    assert aci.swagger_uri == f"http://localhost:{aci.port}/swagger.json"
    assert post(aci, "1").json() == aci.run("1") == "first"
    shown = aci.serialize()
    assert set(shown) == set(f"{COMMON} {ACI}".split())
    assert shown["containerResourceRequirements"] == {"cpu": 0.1, "memoryInGB": 1}
    assert (shown["location"], shown["sslEnabled"], shown["appInsightsEnabled"]) == ("westeurope", False, False)
    assert [model["id"] for model in shown["modelDetails"]] == [aci.models[0].id]
    assert (shown["environmentDetails"], aci.environment, aci.image) == (None, None, None)
    with pytest.raises(NotImplementedError, match="do not have token authentication"):
        aci.get_token()
    with pytest.raises(WebserviceException, match=r"(?s)container instances have keys only.*auth_enabled=True"):
        aci.get_access_token()
    with pytest.raises(WebserviceException, match=r"no keys.*\n.*service\.update\(auth_enabled=True\), or"):
        aci.get_keys()


def test_the_log_says_where_it_runs_and_what_has_no_effect(aci: AciWebservice) -> None:
    log = aci.get_logs()
    assert log.startswith("modelport: ACI service 'my-aci-svc': runs on this machine")
    assert "neither set aside nor enforced here: cpu 0.1, memory 1 GB" in log
    assert "init of first" in log
    assert "init of first" not in aci.get_logs(init=True)
    assert "runs on this machine" in aci.get_logs(init=True)
    assert len(aci.get_logs(1).splitlines()) == 1


def test_updates_of_a_container_instance(bench: CloudBench, aci: AciWebservice) -> None:
    with pytest.raises(WebserviceException, match="No parameters provided to update"):
        aci.update()
    with pytest.raises(WebserviceException, match="image must be an Image, not"):
        aci.update(image=object())  # type: ignore[arg-type]  # scripts may
    aci.update(tags={"a": 1}, properties={"p": "q"}, description="d")  # type: ignore[dict-item]  # scripts do
    assert (aci.tags, aci.properties, aci.description) == ({"a": "1"}, {"p": "q"}, "d")
    aci.add_tags({"b": "2"})
    aci.remove_tags(["a"])
    aci.add_properties({"r": "s"})
    assert (aci.tags, aci.properties) == ({"b": "2"}, {"p": "q", "r": "s"})
    pid = pid_of(aci)
    aci.update(auth_enabled=True)
    assert (aci.auth_enabled, pid_of(aci)) == (True, pid)
    keys = aci.get_keys()
    assert [post(aci, "1", key).status_code for key in (None, *keys)] == [401, 200, 200]
    aci.regen_key("primary", "chosen")
    assert aci.get_keys() == ("chosen", keys[1])
    aci.update(models=[bench.model("second")])
    assert aci.run("1") == "second"


def test_keys_that_nothing_asks_for_yet(bench: CloudBench) -> None:
    configuration = AciWebservice.deploy_configuration(primary_key="my own key")
    service = bench.deploy("keyed", "first", configuration)
    assert post(service, "1").status_code == 200
    service.update(auth_enabled=True)
    assert service.get_keys()[0] == "my own key"
    service.delete()
    assert service.state == "Deleting"
    service.delete()
    with pytest.raises(WebserviceException, match="WebserviceNotFound"):
        Webservice(bench.workspace, "keyed")


def test_a_container_instance_with_a_certificate(bench: CloudBench, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("models.example.org", "localhost")
    (tmp_path / "key.pem").write_bytes(certificate.private_key_pem.bytes())
    (tmp_path / "certificate.pem").write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
    configuration = AciWebservice.deploy_configuration(
        ssl_enabled=True,
        ssl_cert_pem_file=str(tmp_path / "certificate.pem"),
        ssl_key_pem_file=str(tmp_path / "key.pem"),
        ssl_cname="models.example.org",
        dns_name_label="label",
        location="eastus",
    )
    service = bench.deploy("secure", "first", configuration)
    assert service.scoring_uri == f"https://models.example.org:{service.port}/score"
    assert service.run("1") == "first"
    shown = service.serialize()
    assert (shown["sslEnabled"], shown["cname"], shown["publicFqdn"]) == (
        True,
        "models.example.org",
        "models.example.org",
    )
    assert (shown["sslKey"], shown["location"]) == (None, "eastus")
    assert "location 'eastus', DNS label 'label'" in service.get_logs()
    service.update(ssl_cname="elsewhere.example.org")
    with pytest.raises(WebserviceException, match=r"none to trust.*Hostname mismatch") as caught:
        service.run("1")
    assert "now that is 'elsewhere.example.org'" in caught.value.hint
    service.update(ssl_enabled=False)
    assert service.scoring_uri == f"http://localhost:{service.port}/score"
    service.delete()


def test_a_failed_deployment_tells_what_the_cloud_told(bench: CloudBench, capsys: pytest.CaptureFixture[str]) -> None:
    bench.write("def init():\n    raise OSError('no such luck')\ndef run(data): return data\n")
    try:
        with pytest.raises(DeploymentFailed) as caught:
            bench.deploy("failing", "first", AciWebservice.deploy_configuration())
    finally:
        bench.write(Path(__file__).with_name("cloud_bench.py").read_text().split('"""')[3])
    message = caught.value.message
    assert "current service state: Failed" in message
    for part in ("Operation ID: ws/failing/1", ".get_logs()", '"code": "AciDeploymentFailed"', "CrashLoopBackOff"):
        assert part in message
    assert "score.py" in message and "OSError: no such luck" in message
    service = Webservice(bench.workspace, "failing")
    assert service.state == "Failed"
    error: Any = service.error
    assert (error["statusCode"], error["details"][0]["code"]) == (400, "CrashLoopBackOff")
    service.delete()


# --- clusters ---------------------------------------------------------------------------------------------------------


def test_every_default_of_a_cluster_is_stated(aks: AksWebservice) -> None:
    shown = aks.serialize()
    assert set(shown) == set(f"{COMMON} {AKS}".split())
    assert shown["autoScaler"] == {
        "autoscaleEnabled": True,
        "minReplicas": 1,
        "maxReplicas": 10,
        "refreshPeriodInSeconds": 1,
        "targetUtilization": 70,
    }
    assert shown["containerResourceRequirements"] == {
        "cpu": 0.5,
        "cpuLimit": None,
        "memoryInGB": 0.5,
        "memoryInGBLimit": None,
        "gpu": 0,
    }
    assert shown["livenessProbeRequirements"] == {
        "periodSeconds": 10,
        "initialDelaySeconds": 310,
        "timeoutSeconds": 2,
        "successThreshold": 1,
        "failureThreshold": 3,
    }
    assert shown["deploymentStatus"] == {
        "replicas": 1,
        "updatedReplicas": 1,
        "availableReplicas": 1,
        "error": None,
    }
    assert shown["dataCollection"] == {"eventHubEnabled": False, "storageEnabled": False}
    numbers = ("scoringTimeoutMs", "maxQueueWaitMs", "maxConcurrentRequestsPerContainer", "numReplicas")
    assert [shown[name] for name in numbers] == [60_000, 500, 1, None]
    assert (shown["authEnabled"], shown["aadAuthEnabled"], shown["computeName"]) == (True, False, "my-aks")
    assert (shown["state"], shown["computeType"], shown["tags"]) == ("Healthy", "AKS", {"a": "b"})


def test_a_cluster_asks_for_a_key_below_a_path_of_the_service(aks: AksWebservice) -> None:
    base = f"http://localhost:{aks.port}"
    assert aks.scoring_uri == f"{base}/api/v1/service/my-aks-svc/score"
    assert aks.swagger_uri == f"{base}/api/v1/service/my-aks-svc/swagger.json"
    refused = post(aks, "1")
    assert (refused.status_code, refused.json()["message"]) == (401, "Unauthorized, no Auth Header")
    primary, secondary = aks.get_keys()
    assert [post(aks, "1", key).json() for key in (primary, secondary)] == ["first", "first"]
    assert aks.run("1") == "first"
    swagger = httpx.get(str(aks.swagger_uri), headers={"Authorization": f"Bearer {primary}"}, trust_env=False).json()
    assert "/api/v1/service/my-aks-svc/score" in swagger["paths"]
    assert httpx.get(f"{base}/score", trust_env=False).status_code == 401, "a front end may have taken the path off"
    with pytest.raises(WebserviceException, match="no tokens"):
        aks.get_token()
    log = aks.get_logs()
    assert "AKS service 'my-aks-svc': runs on this machine" in log
    assert "1 to 10 replicas, as many as keep 70 % of them busy" in log
    assert "compute target 'my-aks'" in log


def test_the_script_finds_what_it_found_on_a_cluster(aks: AksWebservice) -> None:
    found = aks.run('"environment"')
    assert (found["COMPUTE_TYPE"], found["COMPUTE_NAME"], found["SERVICE_ID"]) == ("AKS", "my-aks", "my-aks-svc")
    assert found["SERVICE_PATH_PREFIX"] == "/api/v1/service/my-aks-svc"
    assert "AML_MODEL_DC_STORAGE_ENABLED" not in found


def test_services_are_found_by_their_kind(bench: CloudBench, aks: AksWebservice, aci: AciWebservice) -> None:
    workspace = bench.workspace

    def names(kind: str) -> list[str]:
        return [service.name for service in Webservice.list(workspace, compute_type=kind)]

    assert (names("AKS"), names("aci"), names("AKSENDPOINT")) == (["my-aks-svc"], ["my-aci-svc"], [])
    assert type(Webservice(workspace=workspace, name="my-aks-svc")) is AksWebservice
    assert type(workspace.webservices["my-aci-svc"]) is AciWebservice
    with pytest.raises(WebserviceException, match="is of type AKS, not ACI"):
        AciWebservice(workspace, "my-aks-svc")


def test_tokens_and_keys_take_turns(aks: AksWebservice) -> None:
    pid, (primary, _) = pid_of(aks), aks.get_keys()
    aks.update(token_auth_enabled=True)
    assert (aks.auth_enabled, aks.token_auth_enabled) == (False, True)
    token, refresh_after = aks.get_token()
    assert refresh_after < aks.get_access_token().expiry_on
    assert [post(aks, "1", credential).status_code for credential in (token, primary)] == [200, 401]
    aks.update(auth_enabled=True)
    assert (aks.auth_enabled, aks.token_auth_enabled, aks.get_keys()[0]) == (True, False, primary)
    assert [post(aks, "1", credential).status_code for credential in (token, primary)] == [401, 200]
    assert pid_of(aks) == pid


def test_who_waits_too_long_is_told_so_in_the_routers_words(aks: AksWebservice) -> None:
    pid = pid_of(aks)
    aks.update(autoscale_enabled=False, num_replicas=1, max_request_wait_time=50)
    assert (aks.num_replicas, aks.autoscaler.autoscale_enabled, aks.max_request_wait_time) == (1, False, 50)
    key = aks.get_keys()[0]
    with ThreadPoolExecutor(4) as threads:

        def statuses(sleep_s: float) -> list[int]:
            answers = list(threads.map(lambda _: post(aks, f'{{"sleep": {sleep_s}}}', key), range(4)))
            refused = {answer.text for answer in answers if answer.status_code == 503}
            assert refused <= {"Too many requests for service my-aks-svc (overloaded)"}
            return sorted(answer.status_code for answer in answers)

        assert statuses(2.0) == [200, 503, 503, 503]
        aks.update(replica_max_concurrent_requests=4)
        assert statuses(0.3) == [200, 200, 200, 200]
    assert pid_of(aks) == pid


def test_a_request_that_takes_too_long(aks: AksWebservice) -> None:
    aks.update(scoring_timeout_ms=100)
    assert post(aks, '{"sleep": 1}', aks.get_keys()[0]).status_code == 504
    aks.update(scoring_timeout_ms=60_000)
    assert aks.run("1") == "first"


def test_as_many_replicas_as_the_load_needs(aks: AksWebservice) -> None:
    pid = pid_of(aks)
    aks.update(autoscale_enabled=True, autoscale_max_replicas=3, max_request_wait_time=10_000)
    assert (aks.autoscaler.max_replicas, aks.num_replicas) == (3, None)
    with ConstantLoad(str(aks.scoring_uri), '{"sleep": 0.05}', key=aks.get_keys()[0]) as load:

        def available() -> bool:
            aks.update_deployment_state()
            return aks.deployment_status.available_replicas == 3

        until(available)
    assert load.failures == []
    aks.update(num_replicas=2)
    until(lambda: Webservice(aks.workspace, aks.name).deployment_status.replicas == 2)  # type: ignore[attr-defined]
    assert pid_of(aks) == pid


def test_an_update_under_load_drops_no_request(bench: CloudBench, aks: AksWebservice) -> None:
    key = aks.get_keys()[0]
    with ConstantLoad(str(aks.scoring_uri), "1", key=key) as load:
        load.wait_for('"first"')
        aks.update(models=[bench.model("second")], inference_config=bench.script)
        load.wait_for('"second"')
    assert load.failures == []
    aks.update(num_replicas=1)
    with pytest.raises(WebserviceException, match=r"autoscale_max_replicas provided without enabling"):
        aks.update(autoscale_max_replicas=2)


def test_a_script_that_raises_does_so_four_times(aks: AksWebservice) -> None:
    with pytest.raises(WebserviceException, match=r"(?s)Response Code: 502.*raised as asked"):
        aks.run('"raise"')
    assert aks.get_logs().count("ValueError: raised as asked") >= 4


def test_configuration_and_target_must_fit(bench: CloudBench) -> None:
    workspace, script = bench.workspace, bench.script
    training = ComputeTarget.create(workspace, "cpu-cluster", AmlCompute.provisioning_configuration("STANDARD_D2_V2"))
    cluster = AksWebservice.deploy_configuration()
    cases: list[tuple[Any, Any, str]] = [
        (cluster, None, "needs a compute target"),
        (cluster, training, "'cpu-cluster' is of type AmlCompute: their types do not match"),
        (AciWebservice.deploy_configuration(), bench.cluster, "is for ACI, and the deployment target 'my-aks' is not"),
        (LocalWebservice.deploy_configuration(), bench.cluster, "is for Local, and the deployment target"),
        (object(), None, "is of type object"),
    ]
    for configuration, target, said in cases:
        with pytest.raises(WebserviceException, match=said):
            Model.deploy(workspace, "mismatch", [], script, configuration, target)
    assert "mismatch" not in workspace.webservices


def test_what_is_meant_without_a_configuration(bench: CloudBench) -> None:
    """A target means a cluster; without one v1 meant a container instance, and modelport means this machine."""
    models = [bench.model("first")]

    def deploy(name: str, model: type[Model] = V1Model, **more: Any) -> Webservice:
        return model.deploy(bench.workspace, name, models, bench.script, **more)

    made = [deploy("by-target", deployment_target=bench.cluster), deploy("by-nothing"), deploy("here", Model)]
    assert [type(service) for service in made] == [AksWebservice, AciWebservice, LocalWebservice]
    assert type(deploy("here", Model, overwrite=True)) is LocalWebservice
    assert type(deploy("here", deployment_config=LocalWebservice.deploy_configuration())) is LocalWebservice
    assert type(deploy("here")) is AciWebservice
    targets: list[dict[str, Any]] = [{}, {"deployment_target": bench.cluster}]
    for options in targets:
        with pytest.raises(ConflictException, match="ServiceExists"):
            deploy("by-nothing", **options)
    again = deploy("by-target", overwrite=True)
    assert type(again) is AksWebservice
    named = AksWebservice.deploy_configuration(compute_target_name="my-aks", num_replicas=1)
    changed = deploy("by-nothing", deployment_config=named, overwrite=True)
    assert type(changed) is AksWebservice
    changed.wait_for_deployment()
    for name in ("by-target", "by-nothing", "here"):
        Webservice(bench.workspace, name).delete()


def test_a_local_service_is_promoted(bench: CloudBench) -> None:
    local = bench.deploy("promoted", "first", LocalWebservice.deploy_configuration())
    assert isinstance(local, LocalWebservice)
    with pytest.raises(WebserviceException, match="runs on this machine already"):
        local.deploy_to_cloud(deployment_config=LocalWebservice.deploy_configuration())
    beside = local.deploy_to_cloud("beside", AksWebservice.deploy_configuration(num_replicas=1), bench.cluster)
    beside.wait_for_deployment()
    assert (type(beside), beside.run("1"), local.run("1")) == (AksWebservice, "first", "first")
    beside.delete()
    promoted = local.deploy_to_cloud(deployment_config=AciWebservice.deploy_configuration(auth_enabled=True))
    promoted.wait_for_deployment()
    assert (type(promoted), promoted.name, promoted.port) == (AciWebservice, "promoted", local.port)
    assert promoted.run("1") == "first"
    local.update_deployment_state()
    local.delete()
    assert local.state == "deleted"
    assert Webservice(bench.workspace, "promoted").state == "Healthy"
    promoted.delete()


def test_a_cluster_gives_its_services_a_certificate(bench: CloudBench, tmp_path: Path) -> None:
    authority = trustme.CA()

    def issue() -> tuple[str, str]:
        issued = authority.issue_cert("cluster.example.org")
        chain = b"".join(pem.bytes() for pem in issued.cert_chain_pems)
        return chain.decode(), issued.private_key_pem.bytes().decode()

    certificate, key = issue()
    (tmp_path / "certificate.pem").write_text(certificate)
    (tmp_path / "key.pem").write_text(key)
    configuration = AksCompute.provisioning_configuration(
        ssl_cname="cluster.example.org",
        ssl_cert_pem_file=str(tmp_path / "certificate.pem"),
        ssl_key_pem_file=str(tmp_path / "key.pem"),
    )
    cluster = ComputeTarget.create(bench.workspace, "secure-aks", configuration)
    assert isinstance(cluster, AksCompute)
    one_replica = AksWebservice.deploy_configuration(num_replicas=1)
    service = bench.deploy("by-cluster", "first", one_replica, deployment_target=cluster)
    assert service.scoring_uri == f"https://cluster.example.org:{service.port}/api/v1/service/by-cluster/score"
    assert service.run("1") == "first"
    pid = pid_of(service)
    certificate, key = issue()
    cluster.update(AksUpdateConfiguration(SslConfiguration(cname="cluster.example.org", cert=certificate, key=key)))
    kept = service.workspace.folder / "services" / "by-cluster" / "tls" / "certificate.pem"
    assert (kept.read_text(), pid_of(service)) == (certificate, pid)
    until(lambda: _answers(service))
    cluster.update(AksUpdateConfiguration(SslConfiguration(status="Disabled")))
    service.update_deployment_state()
    assert service.scoring_uri == f"http://localhost:{service.port}/api/v1/service/by-cluster/score"
    assert service.run("1") == "first"
    service.delete()
    cluster.delete()


def _answers(service: Webservice) -> bool:
    try:
        return bool(service.run("1") == "first")
    except WebserviceException:
        return False


def test_a_cluster_that_goes_names_its_services(
    bench: CloudBench, aks: AksWebservice, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = ComputeTarget(Workspace.get(bench.workspace.name), "my-aks")
    in_use = "'my-aks' is in use: 1 web service is deployed to it: 'my-aks-svc'"
    with pytest.raises(ComputeTargetException, match=in_use) as caught:
        cluster.delete()
    assert "Delete it first: Webservice(workspace, name).delete(). Or detach" in caught.value.hint
    assert ComputeTarget(bench.workspace, "my-aks").provisioning_state == "Succeeded"
    cluster.detach()
    assert "The service 'my-aks-svc' was deployed to 'my-aks' and goes on" in capsys.readouterr().out
    bench.cluster = ComputeTarget.create(bench.workspace, "my-aks", AksCompute.provisioning_configuration())
    aks.delete()
    assert aks.state == "Deleting"
    bench.cluster.delete()
    assert "my-aks" not in bench.workspace.compute_targets
