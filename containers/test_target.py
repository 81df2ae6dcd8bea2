"""Container instances in real engines: Docker's and Podman's, over their sockets."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import trustme
from packages.modelport.tests.sdk.constant_load import ConstantLoad

from containers.engines import PATIENCE_S
from containers.instances import BODY, EATER, Instances
from containers.proxies import by_tcp
from modelport import Model, Webservice
from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.services import Service
from modelport.sdk.aci import AciWebservice
from modelport.sdk.data import Dataset
from modelport.sdk.local import LocalWebservice
from modelport.targets.container.parts import Server
from modelport.targets.container.servers import Servers
from modelport.usecases.checks import Verdict
from modelport.usecases.doctor_places import engines
from modelport.usecases.run_service import delete, up


def until(true: Callable[[], bool], what: str, *, within_s: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def state_of(service: Webservice) -> str:
    service.update_deployment_state()
    return service.state


def test_a_service_in_its_containers(instances: Instances) -> None:
    code = instances.code(run="print('asked')", variables={"CONNECTION": "Password=hidden"})
    service = instances.deploy("shop", code, auth_enabled=True, dns_name_label="my-shop", memory_gb=0.75, cpu_cores=0.5)
    service.wait_for_deployment()
    assert (service.state, service.run(BODY)) == ("Healthy", [2, 4])
    assert service.scoring_uri == f"http://localhost:{service.port}/score"
    assert "the factor is 2" in service.get_logs() and "asked" in service.get_logs()
    assert f"runs in a container of the engine at {instances.engine.address}" in service.get_logs(init=True)
    holder, server = sorted(instances.containers("shop").values(), key=lambda one: len(one["Args"]))
    assert server["Config"]["User"] == holder["Config"]["User"] == "10001:10001"
    for one in (holder, server):
        settings = one["HostConfig"]
        assert settings["ReadonlyRootfs"] and not settings["Privileged"]
        assert any("no-new-privileges" in option for option in settings["SecurityOpt"])
    assert server["HostConfig"]["NanoCpus"] == 500_000_000
    assert server["HostConfig"]["Memory"] == 768 * 1024**2
    secrets = [*service.get_keys(), "Password=hidden", service._service.active.lock_digest]
    seen = json.dumps(instances.containers("shop"))
    assert not [secret for secret in secrets[:2] if secret in seen]
    status = Path(f"/proc/{server['State']['Pid']}/status").read_text()
    assert "CapEff:\t0000000000000000" in status and "NoNewPrivs:\t1" in status
    (network,) = [name for name in instances.everything() if name.startswith("network ")]
    assert network.startswith(f"network modelport-ws-{instances.engine.name}-")


def test_changes_under_load(instances: Instances) -> None:
    service = instances.deploy("line", instances.code(), auth_enabled=True)
    service.wait_for_deployment()
    first = instances.server("line")["Id"]
    with ConstantLoad(str(service.scoring_uri), BODY, key=service.get_keys()[1]) as load:
        load.wait_for("[2, 4]")
        service.update(enable_app_insights=True, tags={"a": "b"})
        service.regen_key("primary")
        assert instances.server("line")["Id"] == first, "settings need no other container"
        service.update(models=[instances.model(3)], inference_config=instances.code())
        assert instances.server("line")["Id"] != first
        load.wait_for("[3, 6]")
        broken = instances.code("raise OSError('no such luck')")
        with pytest.raises(DeploymentFailed, match="no such luck") as failed:
            service.update(models=[instances.model(4)], inference_config=broken)
        service.rollback()
        load.wait_for("[2, 4]")
    assert load.failures == [] and sum(load.answers.values()) > 100
    assert f'File "{instances.folder / "score.py"}", line 8, in init' in str(failed.value)
    assert "goes on serving" in str(failed.value)
    assert service.run(BODY) == [2, 4]
    assert len(instances.containers("line")) == 2
    assert sum(name.startswith("image localhost/modelport/ws-") for name in instances.everything()) == 1


def test_what_comes_too_late_kills_no_server(instances: Instances, monkeypatch: pytest.MonkeyPatch) -> None:
    service = instances.deploy("late", instances.code())
    service.wait_for_deployment()
    wait, again = Servers._wait, Servers._again
    late: list[BaseException] = [KeyboardInterrupt(), requests.ConnectionError("lost")]

    def waits_too_long(servers: Servers, new: Server, row: Service) -> None:
        wait(servers, new, row)
        raise late[0]

    def loses_some(servers: Servers, server: Server) -> Server:
        monkeypatch.setattr(Servers, "_again", again)
        raise requests.ConnectionError("lost")

    with ConstantLoad(str(service.scoring_uri), BODY) as load:
        load.wait_for("[2, 4]")
        monkeypatch.setattr(Servers, "_wait", waits_too_long)
        with pytest.raises(KeyboardInterrupt):
            service.update(models=[instances.model(3)], inference_config=instances.code())
        load.wait_for("[3, 6]")
        assert instances.workspace.context.service("late").active_revision == 2
        late.pop(0)
        service.update(models=[instances.model(4)], inference_config=instances.code())
        load.wait_for("[4, 8]")
        monkeypatch.setattr(Servers, "_wait", wait)
        monkeypatch.setattr(Servers, "_again", loses_some)
        service.update(models=[instances.model(5)], inference_config=instances.code())
        load.wait_for("[5, 10]")
        service.rollback()
        load.wait_for("[4, 8]")
    assert load.failures == []
    assert len(instances.containers("late")) == 2


def test_tls(instances: Instances) -> None:
    authority = trustme.CA()

    def files(name: str) -> dict[str, Any]:
        certificate = authority.issue_cert("shop.example.org")
        certificate.private_key_pem.write_to_path(instances.folder / f"{name}.key")
        certificate.cert_chain_pems[0].write_to_path(instances.folder / f"{name}.pem")
        return {
            "ssl_cert_pem_file": str(instances.folder / f"{name}.pem"),
            "ssl_key_pem_file": str(instances.folder / f"{name}.key"),
        }

    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", service.port or 0))

    service = instances.deploy("safe", instances.code(), ssl_enabled=True, ssl_cname="shop.example.org", **files("one"))
    service.wait_for_deployment()
    assert service.scoring_uri == f"https://shop.example.org:{service.port}/score"
    assert service.run(BODY) == [2, 4]
    server = instances.server("safe")["Id"]
    assert shown() == (instances.folder / "one.pem").read_text()
    service.update(**files("two"))
    until(lambda: shown() == (instances.folder / "two.pem").read_text(), "the new certificate")
    assert service.run(BODY) == [2, 4]
    assert instances.server("safe")["Id"] == server


def test_a_server_that_is_killed(instances: Instances) -> None:
    service = instances.deploy("line", instances.code())
    service.wait_for_deployment()
    before = instances.server("line")
    os.kill(before["State"]["Pid"], signal.SIGKILL)
    until(lambda: instances.server("line")["State"]["Pid"] not in (0, before["State"]["Pid"]), "another process")
    until(lambda: state_of(service) == "Healthy", "the service's health")
    assert service.run(BODY) == [2, 4]
    holder = next(one for name, one in instances.containers("line").items() if name.endswith("-network"))
    os.kill(holder["State"]["Pid"], signal.SIGKILL)
    until(lambda: state_of(service) != "Healthy", "that nobody reaches it")
    until(lambda: bool(up(instances.workspace.context)), "that it is seen to be down")
    service.wait_for_deployment()
    assert service.run(BODY) == [2, 4]


def test_too_little_memory(instances: Instances) -> None:
    service = instances.deploy("greedy", instances.code(EATER), memory_gb=0.25)
    with pytest.raises(WebserviceException) as failed:
        service.wait_for_deployment()
    assert "SIGKILL" in failed.value.message and "0.25 GB of memory" in failed.value.message
    assert "memory_gb" in str(failed.value)
    assert state_of(service) in ("Failed", "Unhealthy")
    assert "modelport: revision 1 starts from" in service.get_logs()
    service.delete()
    service = instances.deploy("greedy", instances.code(run=f"if 'eat' in data: {EATER}"), memory_gb=0.25)
    service.wait_for_deployment()
    with pytest.raises(WebserviceException, match="Response Code: 50"):
        service.run('{"data": [], "eat": 1}')
    until(lambda: state_of(service) == "Healthy", "another worker")
    assert service.run(BODY) == [2, 4]


def test_an_engine_that_is_gone_for_a_while(instances: Instances) -> None:
    service = instances.deploy("line", instances.code())
    service.wait_for_deployment()
    uri = str(service.scoring_uri)
    instances.engine.stop()
    assert state_of(service) == "Unhealthy"
    assert service.error is not None and "does not answer" in json.dumps(service.error)
    with pytest.raises(WebserviceException, match="does not answer"):
        service.get_logs()
    with pytest.raises(WebserviceException, match=r"Current State: Unhealthy\nErrors: .*does not answer"):
        service.run(BODY)
    with pytest.raises(WebserviceException, match=r"container engine at unix://.* does not answer: "):
        instances.deploy("other", instances.code())
    instances.engine.reboot()
    assert state_of(service) == "Unhealthy" and "modelport up" in json.dumps(service.error)
    assert up(instances.workspace.context) == {"line": None}
    service.wait_for_deployment()
    assert service.run(BODY) == [2, 4]
    assert str(service.scoring_uri) == uri, "its address stays"
    service.stop()
    assert state_of(service) == "Unhealthy"
    assert "the service has stopped" in service.get_logs()
    service.start()
    service.wait_for_deployment()
    instances.engine.stop()
    with pytest.raises(WebserviceException, match=r"does not answer: (.|\n)*modelport service delete --force -n line"):
        service.delete()
    told = delete(instances.workspace.context, "line", force=True)
    assert instances.workspace.webservices == {} and "does not answer" in told[0]
    instances.engine.start()
    assert len([name for name in instances.everything() if not name.startswith("network ")]) >= 5
    commands = [line.rpartition(": ")[2] for line in told if " rm" in line or line.startswith("export ")]
    subprocess.run(["sh", "-ec", "\n".join(commands)], check=True, stdout=subprocess.DEVNULL)
    assert instances.everything() == set(), "the commands that were told remove all"


def test_a_service_of_this_machine_moves(instances: Instances) -> None:
    local = LocalWebservice.deploy_configuration()
    service = Model.deploy(instances.workspace, "mover", [instances.model(2)], instances.code(), local)
    service.wait_for_deployment()
    port = service.port
    code = instances.code(run="print('moved')")
    configuration = AciWebservice.deploy_configuration(cpu_cores=1, memory_gb=0.5)
    moved = Model.deploy(instances.workspace, "mover", [instances.model(3)], code, configuration, overwrite=True)
    assert isinstance(moved, AciWebservice)
    moved.wait_for_deployment()
    assert (moved.port, moved.run(BODY)) == (port, [3, 6])
    assert httpx.get(f"http://localhost:{port}/", trust_env=False).text == "Healthy"
    assert "moved" in moved.get_logs()
    back = Model.deploy(instances.workspace, "mover", [instances.model(2)], instances.code(), local, overwrite=True)
    back.wait_for_deployment()
    assert (back.port, back.run(BODY)) == (port, [2, 4])
    assert instances.everything() == set()


def test_an_engine_elsewhere(instances: Instances, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has none of our files, and its ports are open for everybody."""
    with by_tcp(instances.engine.address) as address:
        # It leads here, and does not say so: what does is this machine.
        monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", address.replace("127.0.0.1", "0.0.0.0"))
        service = instances.deploy("far", instances.code())
        service.wait_for_deployment()
        assert service.scoring_uri == f"http://0.0.0.0:{service.port}/score"
        assert service.run(BODY) == [2, 4]
        service.update(models=[instances.model(3)], inference_config=instances.code())
        assert service.run(BODY) == [3, 6]
        assert state_of(service) == "Healthy"
        holder = next(one for name, one in instances.containers("far").items() if name.endswith("-network"))
        (binding,) = holder["HostConfig"]["PortBindings"]["5001/tcp"]
        assert binding["HostIp"] in ("", "0.0.0.0") and 20_000 <= int(binding["HostPort"]) < 32_000
        service.delete()
        monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", address)
        near = instances.deploy("near", instances.code())
        holder = next(one for name, one in instances.containers("near").items() if name.endswith("-network"))
        (binding,) = holder["HostConfig"]["PortBindings"]["5001/tcp"]
        assert binding["HostIp"] == "127.0.0.1"
        near.delete()


def test_what_an_engine_has_not(instances: Instances) -> None:
    service = instances.deploy("one", instances.code())
    context, row = instances.workspace.context, instances.workspace.context.service("one")
    with pytest.raises(WebserviceException, match=r"asks for 1 GPUs .*\((Docker|Podman) .* no runtime of NVIDIA"):
        context.target(row).check("two", context.service("one").deployment.__class__(gpu_cores=1))
    (check,) = [each for each in engines([context]) if instances.engine.address in each.name]
    assert check.verdict is Verdict.OK
    assert "(API 1.41), linux/amd64, " in check.finding and ", control groups of version " in check.finding
    with pytest.raises(WebserviceException, match=f"Port {service.port} of 127.0.0.1 cannot be listened on"):
        context.target(row).check("two", context.service("one").deployment.__class__(port=service.port))
    (image,) = [name for name in instances.everything() if name.startswith("image localhost/modelport/ws-")]
    instances.engine.run("tag", image.removeprefix("image "), "localhost/kept/mine:1")
    service.delete()
    assert "localhost/kept/mine:1" in instances.engine.names_of("images", "--format", "{{.Repository}}:{{.Tag}}")
    instances.engine.run("rmi", "localhost/kept/mine:1")


def test_what_a_script_collects(instances: Instances) -> None:
    collects = (
        "global inputs; inputs = __import__('azureml.monitoring').monitoring.ModelDataCollector('factor', 'inputs')"
    )
    code = instances.code(collects, run="inputs.collect([json.loads(data)['data']])")
    service = instances.deploy("collects", code, collect_model_data=True)
    service.wait_for_deployment()
    assert service.run(BODY) == [2, 4]
    store = instances.workspace.get_default_datastore()
    path = f"modeldata/default/default/{instances.workspace.name}/collects/factor/*/inputs/*/*/*/inputs.csv"
    until(lambda: bool(list(Path(store.folder).glob(path))), "nothing was collected")
    frame = Dataset.Tabular.from_delimited_files((store, path)).to_pandas_dataframe()
    assert frame[["0", "1"]].values.tolist() == [[1, 2]]
