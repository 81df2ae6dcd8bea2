"""What KServe and Knative would do with an InferenceService: pods of its template, and a status that tells of them.

Neither runs on a machine of tests: both are made of a dozen images that no registry here has. So a Deployment is made
of the predictor for each of its generations, the newest one serves once it is ready, and the fields of the status are
those that KServe writes. The pods and what they answer are real.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from clusters.meanwhile import meanwhile
from clusters.node import Node
from clusters.node_settings import SERVICES
from clusters.traces import BRIDGE

Object = Mapping[str, Any]

_API = "/apis/serving.kserve.io/v1beta1"
_OF_KSERVE = ("labels", "annotations", "minReplicas", "maxReplicas", "scaleMetric", "scaleTarget", "timeout")
_LOOK_EVERY_S = 0.2
_STATUS = "application/merge-patch+json"


@dataclass
class Controller:
    """It follows the InferenceServices of a cluster. ``asleep``: names of those that nobody asks, without pods."""

    node: Node
    asleep: set[str] = field(default_factory=set)

    def follow(self, over: threading.Event) -> None:
        while not over.wait(_LOOK_EVERY_S):
            try:
                for one in self.node.api(f"{_API}/inferenceservices").json().get("items", ()):
                    self.look(one)
            except httpx.HTTPError:
                continue

    def look(self, found: Object) -> None:
        """Have the pods of the newest generation, and say how they are."""
        revision = _revision_of(found)
        asleep = found["metadata"]["name"] in self.asleep
        self._have(found, "/apis/apps/v1", "deployments", self._deployment(found, revision))
        self._scale(found, revision, 0 if asleep else 1)
        deployment = self._get(found, "/apis/apps/v1", "deployments", revision)
        if deployment is None or (deployment["status"].get("availableReplicas", 0) < 1 and not asleep):
            self._say(found, revision, problem=self._problem(found, revision))
            return
        self._have(found, "/api/v1", "services", self._service(found, revision))
        self._end_others(found, revision)
        service = self._get(found, "/api/v1", "services", f"{found['metadata']['name']}-predictor")
        if service is not None and (asleep or _is_reached(service["spec"]["clusterIP"])):
            self._say(found, revision, url=f"http://{service['spec']['clusterIP']}")

    # --- what it makes ------------------------------------------------------------------------------------------------

    def _deployment(self, found: Object, revision: str) -> dict[str, Any]:
        predictor = found["spec"]["predictor"]
        pod = {name: value for name, value in predictor.items() if name not in _OF_KSERVE}
        labels = {**predictor["labels"], "serving.knative.dev/revision": revision}
        template = {"metadata": {"labels": labels, "annotations": predictor["annotations"]}, "spec": pod}
        selector = {"matchLabels": {"serving.knative.dev/revision": revision}}
        spec = {"replicas": 1, "selector": selector, "template": template}
        return {"metadata": _made_for(found, revision, labels), "spec": spec}

    def _service(self, found: Object, revision: str) -> dict[str, Any]:
        name = f"{found['metadata']['name']}-predictor"
        selector = {"serving.knative.dev/revision": revision}
        ports = [{"name": "http", "port": 80, "targetPort": "http1"}]
        labels = found["spec"]["predictor"]["labels"]
        return {"metadata": _made_for(found, name, labels), "spec": {"selector": selector, "ports": ports}}

    def _have(self, found: Object, api: str, plural: str, wanted: dict[str, Any]) -> None:
        place, name = f"{api}/namespaces/{found['metadata']['namespace']}/{plural}", wanted["metadata"]["name"]
        present = self.node.api(f"{place}/{name}")
        if present.status_code == 404:
            answer = self.node.api(place, "POST", body=wanted)
            assert answer.is_success, answer.text
        elif plural == "services" and present.json()["spec"]["selector"] != wanted["spec"]["selector"]:
            self.node.api(f"{place}/{name}", "PATCH", body={"spec": wanted["spec"]}, kind=_STATUS)

    def _get(self, found: Object, api: str, plural: str, name: str) -> Any:
        answer = self.node.api(f"{api}/namespaces/{found['metadata']['namespace']}/{plural}/{name}")
        return answer.json() if answer.is_success else None

    def _scale(self, found: Object, revision: str, replicas: int) -> None:
        path = f"/apis/apps/v1/namespaces/{found['metadata']['namespace']}/deployments/{revision}"
        if self.node.api(path).json()["spec"]["replicas"] != replicas:
            self.node.api(path, "PATCH", body={"spec": {"replicas": replicas}}, kind=_STATUS)

    def _end_others(self, found: Object, revision: str) -> None:
        """Those of earlier generations."""
        place = f"/apis/apps/v1/namespaces/{found['metadata']['namespace']}/deployments"
        prefix = f"{found['metadata']['name']}-predictor-"
        for one in self.node.api(place).json()["items"]:
            name = one["metadata"]["name"]
            if name.startswith(prefix) and name != revision:
                self.node.api(f"{place}/{name}", "DELETE", body={"propagationPolicy": "Background"})

    # --- what it says -------------------------------------------------------------------------------------------------

    def _problem(self, found: Object, revision: str) -> str:
        """What Knative tells of a container that has ended again and again: less than its log."""
        namespace = found["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=serving.knative.dev/revision={revision}"
        for pod in self.node.api(path).json()["items"]:
            for one in pod["status"].get("containerStatuses", ()):
                if one["restartCount"] > 1:
                    return "Container failed with status 3."
        return ""

    def _say(self, found: Object, revision: str, *, url: str | None = None, problem: str = "") -> None:
        before = found.get("status") or {}
        predictor = {**before.get("components", {}).get("predictor", {}), "latestCreatedRevision": revision}
        if url:
            predictor["latestReadyRevision"] = revision
        status = "True" if url else "False" if problem else "Unknown"
        why = {"reason": "RevisionFailed", "message": problem} if problem else {}
        conditions = [{"type": type, "status": status, **why} for type in ("PredictorReady", "IngressReady", "Ready")]
        told = {
            "observedGeneration": found["metadata"]["generation"],
            "components": {"predictor": predictor},
            "conditions": conditions,
            **({"url": url} if url else {}),
        }
        if any(before.get(name) != value for name, value in told.items()):
            metadata = found["metadata"]
            path = f"{_API}/namespaces/{metadata['namespace']}/inferenceservices/{metadata['name']}/status"
            self.node.api(path, "PATCH", body={"status": told}, kind=_STATUS)


def _is_reached(address: str) -> bool:
    """KServe tries the address, too, before it says that it is ready. What reaches no pod stays at the bridge."""
    subprocess.run(["ip", "route", "replace", SERVICES, "dev", BRIDGE], check=False, capture_output=True)
    try:
        socket.create_connection((address, 80), timeout=0.5).close()
    except OSError:
        return False
    return True


def _revision_of(found: Object) -> str:
    return f"{found['metadata']['name']}-predictor-{found['metadata']['generation']:05d}"


def _made_for(found: Object, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """With the service's labels, as KServe copies them, and owned by the InferenceService."""
    metadata = found["metadata"]
    owner = {"apiVersion": found["apiVersion"], "kind": found["kind"], "name": metadata["name"], "uid": metadata["uid"]}
    return {"name": name, "labels": dict(labels), "ownerReferences": [{**owner, "controller": True}]}


@contextmanager
def controlling(node: Node) -> Iterator[Controller]:
    """What an InferenceService asks for is done meanwhile. The kind has to be installed."""
    controller = Controller(node)
    with meanwhile(controller.follow):
        yield controller
