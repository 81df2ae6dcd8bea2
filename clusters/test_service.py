"""One service in a cluster, from its deployment to its end."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from clusters.bench import Bench, ask, eventually
from clusters.load import Load
from modelport.domain.errors import WebserviceException
from modelport.sdk.aks import AksWebservice
from modelport.usecases import run_service


def test_a_service_lives_and_leaves_nothing(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    service = bench.deploy("line", bench.inference("one"), tags={"kind": "example"})
    assert service.state == "Healthy"
    assert service.scoring_uri is not None
    assert service.scoring_uri.startswith("http://127.0.0.1:")
    assert service.scoring_uri.endswith("/api/v1/service/line/score")
    assert ask(service) == "one"
    assert "init of one" in service.get_logs()
    assert httpx.post(service.scoring_uri, trust_env=False).status_code == 401
    _keys_change_without_new_pods(bench, service)
    _is_restricted(bench)
    assert ask(AksWebservice(bench.workspace, "line")) == "one"
    service.delete()
    eventually(lambda: bench.left() == [], "nothing of it is left")
    with pytest.raises(WebserviceException, match="WebserviceNotFound"):
        AksWebservice(bench.workspace, "line")


def _keys_change_without_new_pods(bench: Bench, service: AksWebservice) -> None:
    """What was in force before is not any more when the call returns."""
    before, (old, _) = bench.pod_names("line"), service.get_keys()
    service.regen_key("Primary")
    assert ask(service) == "one"
    answer = httpx.post(str(service.scoring_uri), headers={"Authorization": f"Bearer {old}"}, trust_env=False)
    assert answer.status_code == 401
    service.update(auth_enabled=False)
    assert httpx.post(str(service.scoring_uri), json=1, trust_env=False).text == '"one"'
    service.update(auth_enabled=True)
    assert bench.pod_names("line") == before


def _is_restricted(bench: Bench) -> None:
    """What whoever runs clusters looks for first."""
    (pod,) = bench.pods("line")
    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "@sha256:" in container["image"]
    assert [variable["name"] for variable in container["env"]] == ["HOME"]
    path = f"/api/v1/namespaces/{bench.namespace}/secrets/line-r1"
    told = json.loads(base64.b64decode(bench.node.api(path).json()["data"]["service.json"]))
    assert set(told["auth"]) >= {"key_digests"}, "digests of keys, and no key"


def test_updates_drop_no_request(bench: Bench) -> None:
    service = bench.deploy("line", bench.inference("one"), num_replicas=2)
    key = service.get_keys()[0]
    with Load(bench.address(service), None, key=key) as load:
        eventually(lambda: load.count > 50, "requests come")
        service.update(inference_config=bench.inference("two"))
        # The last pod of the old revision leaves, but nodes learn of that after the API server: it answers till then.
        eventually(lambda: ask(service) == "two", "the new revision answers")
        service.update(num_replicas=1)
        service.update(memory_gb=0.3)
        service.update(tags={"some": "other"})
    assert load.failures == []
    assert set(load.answers) == {'"one"', '"two"'}
    (pod,) = bench.pods("line")
    assert pod["metadata"]["labels"]["modelport.dev/revision"] == "2"


def test_a_service_is_stopped_and_started_again(bench: Bench) -> None:
    service = bench.deploy("line", bench.inference("one"))
    address = service.scoring_uri
    context = bench.workspace.context
    assert run_service.up(context) == {}, "it runs"
    run_service.stop(context, "line")
    assert bench.pods("line") == []
    service.update_deployment_state()
    assert service.state == "Unhealthy"
    assert run_service.up(context) == {}, "it is not to run"
    run_service.start(context, "line")
    service.wait_for_deployment()
    assert (ask(service), service.scoring_uri) == ("one", address)
