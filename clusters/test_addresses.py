"""How clients reach a service: TLS, Ingress, load balancers; and registries that ask for a password."""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import trustme

from clusters.bench import Bench, ask, eventually
from clusters.ingress import asked, ingress_controller
from clusters.test_faults import state
from containers.registries import PASSWORD, USER, htpasswd, registry
from modelport.domain.errors import WebserviceException
from modelport.sdk.aks import AksWebservice
from modelport.sdk.compute import AksCompute, AksUpdateConfiguration, ComputeTarget, SslConfiguration

NAME = "models.example.org"


def test_a_certificate_is_shown_and_renewed_in_the_pods(bench: Bench) -> None:
    """By the cluster's own settings, as v1 had it: no pod is replaced, and none shows the old one afterwards."""
    authority = trustme.CA()
    first, second = (_certificate(bench.folder / name, authority) for name in ("one", "two"))
    target = bench.attach("secure", certificate=first, cname=NAME)
    service = bench.deploy("line", bench.inference("one"), target=target, num_replicas=2)
    uri = urlsplit(str(service.scoring_uri))
    assert (uri.scheme, uri.hostname, uri.path) == ("https", NAME, "/api/v1/service/line/score")
    assert ask(service) == "one"
    assert _asked(service, authority).json() == "one"
    assert _shown(service) == first.read_text()
    before = bench.pod_names("line")
    renewed = SslConfiguration(
        status="Enabled", cert=second.read_text(), key=second.with_suffix(".key").read_text(), cname=NAME
    )
    cluster = ComputeTarget(bench.workspace, "secure")
    assert isinstance(cluster, AksCompute)
    cluster.update(AksUpdateConfiguration(ssl_configuration=renewed))
    assert {_shown(service) for _ in range(10)} == {second.read_text()}, "each pod has it when the call returns"
    assert bench.pod_names("line") == before
    assert ask(service) == "one"


def test_several_services_behind_an_ingress(bench: Bench) -> None:
    """By their paths below one name, with the certificate that the Ingress has; another name leads nowhere."""
    authority = trustme.CA()
    certificate = _certificate(bench.folder / "one", authority)
    with ingress_controller(bench.node, bench.folder) as controller:
        target = bench.attach("behind", certificate=certificate, cname=NAME, expose="Ingress", host=None)
        services = [bench.deploy(name, bench.inference(name), target=target) for name in ("line", "meter")]
        assert str(services[0].scoring_uri) == f"https://{NAME}:443/api/v1/service/line/score"
        assert [ask(service) for service in services] == ["line", "meter"]
        assert controller.ask(NAME, "/api/v1/service/line/", authority).text == "Healthy"
        assert controller.ask("other.example.org", "/api/v1/service/line/", None).status_code == 404
        services[0].delete()
        eventually(
            lambda: controller.ask(NAME, "/api/v1/service/line/", authority).status_code == 404, "its path is gone"
        )
        assert ask(services[1]) == "meter"


def test_the_address_of_a_load_balancer(bench: Bench) -> None:
    """Which the cloud tells in the Service's status, when it has one: until then nobody is told to go anywhere."""
    service = bench.deploy(
        "line", bench.inference("one"), target=bench.attach("cloud", expose="LoadBalancer", host=None), wait=False
    )
    eventually(lambda: _ready(bench) == 1, "the pod runs")
    assert (state(service), service.scoring_uri) == ("Transitioning", None)
    _give_address(bench, "line", {"ip": "127.0.0.1"})
    service.wait_for_deployment()
    assert service.scoring_uri == "http://127.0.0.1:80/api/v1/service/line/score"
    _give_address(bench, "line", {"hostname": "lb.example.org"})
    service.update_deployment_state()
    assert service.scoring_uri == "http://lb.example.org:80/api/v1/service/line/score"


def test_a_registry_that_asks_for_a_password(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = bench.folder / "registry"
    with registry(folder, auth=htpasswd(folder)) as closed:
        address = closed.address.replace("127.0.0.1", "localhost")
        login = _docker_config(address)
        (bench.folder / "docker").mkdir()
        (bench.folder / "docker" / "config.json").write_text(login)
        monkeypatch.setenv("DOCKER_CONFIG", str(bench.folder / "docker"))
        without = bench.attach("without", registry=f"{address}/tests")
        with pytest.raises(
            WebserviceException, match=r"cannot be pulled: .*(401|authorization|unauthorized)"
        ) as caught:
            bench.deploy("line", bench.inference("one"), target=without)
        assert "image_pull_secrets" in caught.value.hint
        _have_pull_secret(bench, login)
        target = bench.attach("with", registry=f"{address}/tests", image_pull_secrets=["registry"])
        service = bench.deploy("meter", bench.inference("one"), target=target)
        assert ask(service) == "one"


def _docker_config(address: str) -> str:
    auth = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return json.dumps({"auths": {address: {"auth": auth}}})


def _have_pull_secret(bench: Bench, login: str) -> None:
    """In the workspace's namespace, as an administrator would."""
    body = {
        "metadata": {"name": "registry"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": login},
    }
    answer = bench.node.api(f"/api/v1/namespaces/{bench.namespace}/secrets", "POST", body=body)
    assert answer.is_success, answer.text


def _certificate(file: Path, authority: trustme.CA) -> Path:
    """``FILE.pem``, and its key beside it."""
    made = authority.issue_cert(NAME)
    made.private_key_pem.write_to_path(str(file.with_suffix(".key")))
    for part in made.cert_chain_pems:
        part.write_to_path(str(file.with_suffix(".pem")), append=True)
    return file.with_suffix(".pem")


def _asked(service: AksWebservice, authority: trustme.CA) -> httpx.Response:
    url = f"https://127.0.0.1:{urlsplit(str(service.scoring_uri)).port}/api/v1/service/line/score"
    return asked("POST", url, NAME, authority, key=service.get_keys()[0])


def _shown(service: AksWebservice) -> str:
    """The certificate of one of the pods."""
    port = urlsplit(str(service.scoring_uri)).port
    assert port is not None
    return ssl.get_server_certificate(("127.0.0.1", port))


def _ready(bench: Bench) -> int:
    pods = bench.pods("line")
    return sum(one["ready"] for pod in pods for one in pod["status"].get("containerStatuses", ()))


def _give_address(bench: Bench, name: str, ingress: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{bench.namespace}/services/{name}/status"
    told = {"status": {"loadBalancer": {"ingress": [ingress]}}}
    answer = bench.node.api(path, "PATCH", body=told, kind="application/merge-patch+json")
    assert answer.is_success, answer.text
