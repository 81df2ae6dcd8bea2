"""The main job on real processes: deploy, score, update under load, reload, roll back, keys, stop, delete."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from modelport import LocalWebservice, Model, Webservice, Workspace
from modelport.domain.deployments import Deployment
from modelport.domain.errors import (
    ConflictException,
    DeploymentFailed,
    ModelportError,
    UserErrorException,
    WebserviceException,
)
from modelport.domain.services import LocalDeployment
from modelport.targets.local import LocalTarget
from modelport.usecases import run_service
from modelport.usecases.wait import wait_for_deployment
from modelport_scoring import Autoscale, ControlClient, Traffic, read_settings, supervisor_pid
from own_ports import own_port

from .conftest import SCRIPT, Deployer
from .constant_load import ConstantLoad


def until(true: Callable[[], bool], *, within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def folder_of(service: Webservice) -> Path:
    target = service.workspace.context.target_of("Local", Deployment())
    assert isinstance(target, LocalTarget)
    return target.folder(service.name)


def running(service: Webservice) -> Webservice:
    service.wait_for_deployment()
    assert service.state == "running"
    return service


def test_the_main_job(deployer: Deployer, capsys: pytest.CaptureFixture[str]) -> None:
    service = deployer.deploy()
    service.wait_for_deployment(show_output=True)
    assert 'Local service creation operation finished, operation "Succeeded"' in capsys.readouterr().out
    assert service.run(json.dumps({"data": [1]})) == {"model": "first", "data": {"data": [1]}}
    assert service.run(b"[2]") == {"model": "first", "data": [2]}
    assert service.scoring_uri == f"http://localhost:{service.port}/score"
    assert httpx.get(str(service.swagger_uri), trust_env=False).json()["swagger"] == "2.0"
    assert "init of first" in service.get_logs()
    assert [model.id for model in service.models] == ["answer:1"]
    service.delete()
    assert service.state == "deleted"
    assert not folder_of(service).exists()
    with pytest.raises(WebserviceException, match=r"^WebserviceNotFound"):
        Webservice(service.workspace, service.name)


def test_a_service_outlives_the_program_that_deployed_it(deployer: Deployer) -> None:
    deployer.script()
    model = deployer.model()
    program = f"""
from modelport import *
ws = Workspace.get("ws")
config = InferenceConfig("score.py", source_directory={str(deployer.source)!r})
Model.deploy(ws, "svc", [Model(ws, id={model.id!r})], config, LocalWebservice.deploy_configuration())
"""
    command = [sys.executable, "-W", "default::ResourceWarning", "-c", program]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    assert "still running" not in said, "that is what it is meant to be"
    service = running(LocalWebservice(deployer.workspace, "svc"))
    assert service.run("1") == {"model": "first", "data": 1}


def test_an_update_under_load_drops_no_request(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    second = deployer.model("second")
    with ConstantLoad(str(service.scoring_uri), "1") as load:
        load.wait_for('"first"')
        service.update(models=[second])
        load.wait_for('"second"')
    assert load.failures == []
    assert service.revision == 2
    assert service.run("1") == {"model": "second", "data": 1}


def test_an_update_that_fails_under_load_drops_no_request_and_changes_nothing(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    deployer.script("def init():\n    raise ValueError('no such luck')\ndef run(data): return data\n")
    with ConstantLoad(str(service.scoring_uri), "1") as load:
        load.wait_for('"first"')
        with pytest.raises(DeploymentFailed, match=r"phase 'init': ValueError: no such luck"):
            service.update(models=[deployer.model("second")], inference_config=deployer.config())
    assert load.failures == []
    assert [json.loads(text) for _, text in load.answers] == [{"model": "first", "data": 1}]
    assert service.error is not None
    assert "no such luck" in service.error


def test_reload_and_roll_back_on_a_handle_made_by_the_constructor(deployer: Deployer) -> None:
    running(deployer.deploy())
    service = LocalWebservice(deployer.workspace, "svc")
    deployer.script(SCRIPT.replace('{"model": answer', '{"reloaded": answer'))
    service.reload()
    assert service.run("1") == {"reloaded": "first", "data": 1}
    service.rollback()
    assert service.run("1") == {"model": "first", "data": 1}
    service.rollback(2)
    assert service.run("1") == {"reloaded": "first", "data": 1}


def test_keys_are_asked_for_and_change_without_a_restart(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    pid = supervisor_pid(folder_of(service))
    with pytest.raises(
        WebserviceException, match=r"no keys.*\n.*deployment_config=LocalWebservice.deploy_conf.*svc --auth"
    ):
        service.get_keys()
    assert isinstance(service, LocalWebservice)
    for wrong in ("read with its end\n", "schlüssel", " "):
        with pytest.raises(UserErrorException, match="no client could send"):
            service.update(
                deployment_config=LocalWebservice.deploy_configuration(auth_enabled=True, secondary_key=wrong)
            )
    service.update(deployment_config=LocalWebservice.deploy_configuration(auth_enabled=True))
    first, second = service.get_keys()
    assert service.auth_enabled
    assert httpx.post(str(service.scoring_uri), content="1", trust_env=False).status_code == 401
    service.regen_key("primary", set_key="a key of my own")
    assert service.get_keys() == ("a key of my own", second)
    assert service.run("1") == {"model": "first", "data": 1}
    statuses = [
        httpx.post(
            str(service.scoring_uri), content="1", headers={"Authorization": f"Bearer {key}"}, trust_env=False
        ).status_code
        for key in (first, second)
    ]
    assert statuses == [401, 200]
    assert supervisor_pid(folder_of(service)) == pid
    kept = [path.read_bytes() for path in folder_of(service).rglob("*") if path.is_file()]
    assert not any(b"a key of my own" in content or second.encode() in content for content in kept)


def test_a_taken_port_is_refused_before_anything_is_started_and_its_owner_named(deployer: Deployer) -> None:
    service = running(deployer.deploy("first-svc"))
    config = LocalWebservice.deploy_configuration(port=service.port)
    with pytest.raises(WebserviceException, match=rf"Port {service.port} .*in use.*process \d+"):
        Model.deploy(deployer.workspace, "second-svc", [], deployer.config(), config)
    assert list(deployer.workspace.webservices) == ["first-svc"]


def test_gpus_that_are_not_there_are_refused_before_anything_is_started(deployer: Deployer) -> None:
    deployer.script()
    config = LocalWebservice.deploy_configuration(gpu_cores=99)
    with pytest.raises(WebserviceException, match="asks for 99 GPUs"):
        Model.deploy(deployer.workspace, "svc", [], deployer.config(), config)
    assert deployer.workspace.webservices == {}


def test_a_stopped_service_starts_again_where_it_was(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    port = service.port
    service.stop()
    assert (service.state, supervisor_pid(folder_of(service))) == ("stopped", None)
    with pytest.raises(WebserviceException, match="does not run"):
        service.run("1")
    service.start()
    assert running(service).port == port
    assert service.run("1") == {"model": "first", "data": 1}


def test_a_new_port_and_more_workers_restart_the_service(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    before = service.port
    port = own_port()
    service.update(deployment_config=LocalWebservice.deploy_configuration(port=port, workers=2))
    service.wait_for_deployment()
    assert (service.port, service.run("1")) == (port, {"model": "first", "data": 1})
    assert len(ControlClient(folder_of(service)).status().workers) == 2
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{before}/", trust_env=False)


def test_settings_change_under_load_and_drop_no_request(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    client = ControlClient(folder_of(service))
    before = client.status()
    with ConstantLoad(str(service.scoring_uri), "1") as load:
        load.wait_for('"first"')
        for change in (
            {"workers": 2, "worker_start": "fork"},
            {"cors_origins": "*", "telemetry": {"access_log": True}},
            {"workers": 1, "worker_start": "spawn"},
        ):
            service.update(deployment_config=LocalWebservice.deploy_configuration(**change))
    assert load.failures == []
    after = client.status()
    assert (after.pid, after.supervisor_pid, after.workers_wanted) == (before.pid, before.supervisor_pid, 1)
    with pytest.raises(DeploymentFailed, match=r"batching.* \(it goes on with its old settings\)"):
        service.update(deployment_config=LocalWebservice.deploy_configuration(batching=True))
    assert service.run("1") == {"model": "first", "data": 1}
    assert deployer.workspace.context.service("svc").deployment.batching is None


def test_several_server_processes_are_one_service(deployer: Deployer) -> None:
    deployer.script()
    config = LocalWebservice.deploy_configuration(server_processes=2)
    service = running(Model.deploy(deployer.workspace, "svc", [deployer.model()], deployer.config(), config))
    client = ControlClient(folder_of(service))
    until(lambda: [server.state for server in client.status().servers] == ["running", "running"])
    assert (len(client.status().servers), client.status().workers_wanted) == (2, 2)
    with ConstantLoad(str(service.scoring_uri), "1") as load:
        load.wait_for('"first"')
        service.update(models=[deployer.model("second")])
        load.wait_for('"second"')
    assert load.failures == []
    assert {service.run("1")["model"] for _ in range(20)} == {"second"}
    pids = [server.pid for server in client.status().servers]
    service.stop()
    assert (service.state, supervisor_pid(folder_of(service))) == ("stopped", None)
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_what_is_hosted_beside_it_survives_a_restart(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    client = ControlClient(folder_of(service))
    hosted = msgspec.structs.replace(read_settings(folder_of(service)).revision, number=7)
    traffic = Traffic(weights={7: 30.0}, sticky_header="x-user")
    client.host(hosted)
    client.split(traffic)
    client.scale(1, workers=2)
    client.scale(7, autoscale=Autoscale(min_workers=2, max_workers=3))
    port = own_port()
    service.update(deployment_config=LocalWebservice.deploy_configuration(port=port))
    service.stop()
    service.start()
    running(service)
    until(lambda: [revision.state for revision in client.status().revisions] == ["running", "running"])
    revisions = client.status().revisions
    assert [(each.revision, each.percent, each.workers_wanted) for each in revisions] == [(1, 70, 2), (7, 30, 2)]
    assert read_settings(folder_of(service)).traffic == traffic


@pytest.mark.parametrize(
    "wrong", [{"limits": {"nope": 1}}, {"error_mode": "zz"}, {"host": "192.0.2.1"}, {"gpu_cores": 99}]
)
def test_wrong_settings_are_refused_and_change_nothing(deployer: Deployer, wrong: dict[str, Any]) -> None:
    service = running(deployer.deploy())
    with pytest.raises(ModelportError):
        service.update(deployment_config=LocalWebservice.deploy_configuration(**wrong), description="new")
    kept = deployer.workspace.context.service("svc")
    assert (kept.deployment, kept.description) == (LocalDeployment(), None)
    assert service.run("1") == {"model": "first", "data": 1}
    service.stop()
    service.start()
    assert running(service).run("1") == {"model": "first", "data": 1}


def test_a_port_that_was_taken_meanwhile_fails_the_start_and_a_later_one_succeeds(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    service.stop()
    with socket.create_server(("127.0.0.1", int(service.port or 0))):
        service.start()
        with pytest.raises(DeploymentFailed, match=rf"(?s)phase 'start'.*{service.port}"):
            service.wait_for_deployment()
        assert service.state == "failed"
    service.start()
    assert running(service).run("1") == {"model": "first", "data": 1}


def test_up_brings_back_what_a_reboot_took(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    pid = supervisor_pid(folder_of(service))
    assert pid is not None
    os.killpg(pid, signal.SIGKILL)
    until(lambda: supervisor_pid(folder_of(service)) is None)
    service.update_deployment_state()
    assert service.state == "stopped"
    assert run_service.up(deployer.workspace.context) == {"svc": None}
    assert running(service).run("1") == {"model": "first", "data": 1}


def test_a_killed_worker_and_a_killed_server_come_back_and_the_log_says_so(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    client = ControlClient(folder_of(service))
    worker, server = client.status().workers[0].pid, client.status().pid
    for victim in (worker, server):
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        until(lambda: _answers(service))
    log = service.get_logs()
    died = log.index("the scoring server ended (killed by signal 9 (SIGKILL))")
    assert log.index(f"worker {worker} ended") < died < log.rindex("init of first")
    assert "scoring server ended" not in service.get_logs(num_lines=1)


def _answers(service: Webservice) -> bool:
    try:
        return bool(service.run("1") == {"model": "first", "data": 1})
    except WebserviceException:
        return False


def test_run_that_raises_tells_the_response_and_the_traceback(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    with pytest.raises(WebserviceException) as caught:
        service.run("{no json")
    lines = caught.value.message.splitlines()
    assert lines[1] == "Response Code: 502"
    assert lines[2].startswith("Headers: {")
    assert lines[3].startswith("Content: b'Expecting property name")
    assert "score.py" in caught.value.hint
    assert caught.value.status_code is None


def test_run_takes_text_or_bytes(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    with pytest.raises(ModelportError, match=r"this is of type dict(?s:.*)json\.dumps"):
        service.run({"data": 1})  # type: ignore[arg-type]


def test_a_service_that_is_deleted_while_it_is_waited_for(deployer: Deployer) -> None:
    deployer.script("import time\ndef init(): time.sleep(60)\ndef run(data): return data\n")
    service = deployer.deploy()

    def delete_once() -> None:
        if service.workspace.registry.service("svc") is not None:
            run_service.delete(service.workspace.context, "svc")

    with pytest.raises(WebserviceException, match="'svc' was deleted while it started"):
        wait_for_deployment(service.workspace.context, "svc", tick=delete_once)


def test_the_client_snippet_of_the_documents_runs_on_a_local_service(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    headers = {"Content-Type": "application/json"}
    if service.auth_enabled:
        headers["Authorization"] = "Bearer " + service.get_keys()[0]
    elif service.token_auth_enabled:
        headers["Authorization"] = "Bearer " + service.get_token()[0]
    answer = httpx.post(str(service.scoring_uri), content='{"data": 1}', headers=headers, trust_env=False)
    assert answer.json() == {"model": "first", "data": {"data": 1}}


def test_two_operations_at_once_conflict(deployer: Deployer) -> None:
    service = running(deployer.deploy())
    deployer.script("import time\ndef init(): time.sleep(1)\ndef run(data): return data\n")
    program = 'from modelport import *; LocalWebservice(Workspace.get("ws"), "svc").reload()'
    with subprocess.Popen([sys.executable, "-c", program]) as other:
        try:
            until(lambda: ControlClient(folder_of(service)).status().switching, within_s=60)
            with pytest.raises(ConflictException, match="under way"):
                service.rollback()
        finally:
            assert other.wait(20) == 0
    assert service.workspace.webservices["svc"].revision == 2


def test_delete_of_what_is_gone_is_no_error_and_list_finds_by_model(workspace: Workspace, deployer: Deployer) -> None:
    service = running(deployer.deploy())
    assert [found.name for found in Webservice.list(workspace, model_id="answer:1")] == ["svc"]
    assert Webservice.list(workspace, model_name="other") == []
    service.delete()
    service.delete()
    assert Webservice.list(workspace) == []


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.2", "127.0.0.2"), ("::1", "[::1]"), ("0.0.0.0", "localhost")])
def test_the_scoring_uri_leads_to_the_address_that_was_asked_for(deployer: Deployer, host: str, shown: str) -> None:
    deployer.script()
    configuration = LocalWebservice.deploy_configuration(host=host)
    service = Model.deploy(deployer.workspace, "svc", [deployer.model()], deployer.config(), configuration)
    service.wait_for_deployment()
    assert service.scoring_uri == f"http://{shown}:{service.port}/score"
    answer = httpx.post(service.scoring_uri, content="1", trust_env=False)
    assert (answer.status_code, answer.json()) == (200, service.run("1"))
