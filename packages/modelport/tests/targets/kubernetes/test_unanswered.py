"""An API server that does not answer for a moment, as while it is replaced: a real one's words, by HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster as KubernetesCluster
from lightkube.config.models import Context, User

from modelport.domain.errors import DeploymentFailed, WebserviceException
from modelport.domain.failures import Failure, Phase
from modelport.domain.services import ServiceState
from modelport.targets.kubernetes import applying, watching
from modelport.targets.kubernetes.applying import Applied, not_restored
from modelport.targets.kubernetes.cluster import Cluster, Unanswered
from modelport.targets.kubernetes.facts import ClusterFacts

from .api_server import target
from .services import service

KINDS = ("Service", "Secret", "ConfigMap", "ServiceAccount")


class Api(ThreadingHTTPServer):
    """Objects of the core group, and what it answers instead of the next requests that change or list them."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, dict[str, Any]] = {}
        self.applied: list[str] = []
        self.refusals: list[int] = []

    @property
    def cluster(self) -> Cluster:
        return Cluster(
            SingleConfig(
                context_name="test",
                context=Context(cluster="test", user="test", namespace="n"),
                cluster=KubernetesCluster(server=f"http://127.0.0.1:{self.server_address[1]}"),
                user=User(token="token"),
            )
        )


class _Handler(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        if self.path == "/apis":
            return self._answer({"groups": []})
        if self.path == "/api/v1":
            resources = [{"kind": kind, "name": f"{kind.lower()}s", "namespaced": True} for kind in KINDS]
            return self._answer({"resources": resources})
        if self._is_refused():
            return None
        plural = self.path.partition("?")[0].rpartition("/")[2]
        return self._answer({"items": [one for name, one in self.server.objects.items() if name.startswith(plural)]})

    def do_PATCH(self) -> None:
        manifest = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._is_refused():
            self.server.applied.append(f"{manifest['kind']} {manifest['metadata']['name']}")
            self._answer(manifest)

    def do_DELETE(self) -> None:
        self.server.objects.pop("/".join(self.path.partition("?")[0].rsplit("/", 2)[1:]))
        self._answer({})

    def _is_refused(self) -> bool:
        code = self.server.refusals.pop(0) if self.server.refusals else 0
        if code:
            self._answer({"kind": "Status", "code": code, "message": f"refused by {code}"}, code)
        return bool(code)

    def _answer(self, told: Any, code: int = 200) -> None:
        content = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_said: Any) -> None:
        """Nothing: it is a test."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(watching, "_AFTER_AN_ERROR_S", 0.01)
    with Api() as api:
        thread = threading.Thread(target=api.serve_forever, args=(0.02,))
        thread.start()
        yield api
        api.shutdown()
        thread.join()


def _object(kind: str, name: str) -> dict[str, Any]:
    """As it is read: with what was applied of it."""
    fields = {"manager": "modelport", "operation": "Apply", "fieldsV1": {"f:data": {"f:a": {}}}}
    metadata = {"name": name, "namespace": "n", "managedFields": [fields]}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": {"a": "1", "b": "filled in"}}


BEFORE = (_object("Service", "line"), _object("Secret", "line-r1"), _object("ConfigMap", "line"))


def _applied(api: Api) -> Applied:
    return Applied(api.cluster, ClusterFacts(served=frozenset()), namespace="n", selector={"a": "b"})


@pytest.mark.parametrize(
    ("code", "passes"), [(500, True), (503, True), (429, True), (403, False), (409, False), (422, False)]
)
def test_which_refusals_pass(api: Api, code: int, passes: bool) -> None:
    api.refusals = [code]
    with pytest.raises(WebserviceException, match=f"refused by {code}") as caught:
        api.cluster.list("v1/Secret", namespace="n")
    assert isinstance(caught.value, Unanswered) is passes


def test_waiting_goes_on_when_a_question_is_not_answered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = api.cluster

    def look() -> bool:
        cluster.list("v1/Secret", namespace="n")
        return True

    def wait() -> bool | None:
        return watching.wait_for(look, threading.Event(), within_s=20, look_every_s=0.01)

    api.refusals = [503, 500]
    assert wait()
    api.refusals = [403]
    with pytest.raises(WebserviceException, match="refused by 403"):
        wait()
    monkeypatch.setattr(watching, "_UNANSWERED_S", -1)
    api.refusals = [503]
    with pytest.raises(Unanswered):
        wait()


def test_what_was_there_is_put_back_by_a_second_try(api: Api) -> None:
    api.objects = {"secrets/line-r2": _object("Secret", "line-r2")}
    api.refusals = [503, 0, 500, 429, 0, 0, 503]
    assert _applied(api).restore(BEFORE) == {}
    assert api.applied == ["ConfigMap line", "Secret line-r1", "Service line"]
    assert api.objects == {}


def test_what_cannot_be_put_back_is_named_and_the_rest_is(api: Api) -> None:
    """What is new stays then: what could not be put back needs it."""
    api.objects = {"secrets/line-r2": _object("Secret", "line-r2")}
    api.refusals = [0, 422]
    failed = _applied(api).restore(BEFORE)
    assert list(failed) == ["Secret line-r1"]
    assert api.applied == ["ConfigMap line", "Service line"]
    assert list(api.objects) == ["secrets/line-r2"]
    error = not_restored(failed, after=DeploymentFailed(Failure(phase=Phase.INIT, message="no model")))
    assert isinstance(error, DeploymentFailed)
    assert "no model\nNot everything is as it was before: Secret line-r1 could not be put back." in str(error)
    assert "refused by 422" in str(error)
    assert "Secret line-r1" in str(not_restored(failed, after=WebserviceException("no answer")))
    assert "Secret line-r1" in not_restored(failed, after=KeyboardInterrupt()).__notes__[0]


def test_a_cluster_that_does_not_come_back_is_not_waited_for_with_each_object(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(applying, "_RESTORED_WITHIN_S", -1)
    api.refusals = [503]
    assert list(_applied(api).restore(BEFORE)) == ["ConfigMap line", "Secret line-r1", "Service line"]
    assert api.applied == []


def test_a_service_in_a_cluster_that_does_not_answer_is_not_taken_for_one_that_does_not_run(
    api: Api, tmp_path: Path
) -> None:
    """Its pods go on with the keys that they have, while the registry would have others."""
    silent = target(tmp_path)
    silent.__dict__["_cluster"] = api.cluster
    api.shutdown()
    api.server_close()
    assert silent.observe(service()).state is ServiceState.UNKNOWN
    with pytest.raises(WebserviceException):
        silent.configure(service())
