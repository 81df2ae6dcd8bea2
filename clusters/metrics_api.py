"""The metrics API of the tests' cluster (metrics.k8s.io/v1beta1): what its kubelet measures, as autoscalers want it.

Debian packages no metrics-server. This one is registered with the API server's aggregator as that would be: by an
APIService with the authority of its certificate; and it asks for the API server's own.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
import ssl
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import trustme

from clusters.meanwhile import meanwhile, served
from clusters.node import Node
from clusters.node_settings import KUBELET
from clusters.programs import wait_until

GROUP_VERSION = "metrics.k8s.io/v1beta1"
NAME, NAMESPACE = "metrics", "kube-system"

_SAMPLE = re.compile(r"^(?P<metric>\w+)\{?(?P<labels>[^}]*)\}? (?P<value>\S+)(?: (?P<at_ms>\d+))?$", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_LOOK_EVERY_S = 1.0
_WINDOW_S = 4.0
"""At least: what a kubelet tells of a container's CPU changes only so often."""

Owner = tuple[str, str, str]
"""Namespace, pod and container; three times nothing: the node."""
NODE: Owner = ("", "", "")


@dataclass(frozen=True)
class Sample:
    """What was measured at one moment."""

    at_s: float
    cpu_s: float
    memory_bytes: float


@dataclass(frozen=True)
class Usage:
    """Between two moments."""

    at_s: float
    window_s: float
    cores: float
    memory_bytes: float

    @property
    def amounts(self) -> dict[str, str]:
        return {"cpu": f"{round(self.cores * 1e9)}n", "memory": f"{round(self.memory_bytes / 1024)}Ki"}

    @property
    def when(self) -> dict[str, str]:
        moment = dt.datetime.fromtimestamp(self.at_s, dt.UTC)
        return {"timestamp": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "window": f"{self.window_s:.3f}s"}


class Measured:
    """What the kubelet has told so far."""

    def __init__(self) -> None:
        self._samples: dict[Owner, list[Sample]] = defaultdict(list)
        self._lock = threading.Lock()

    def look(self) -> None:
        """Ask the kubelet once more."""
        url = f"https://localhost:{KUBELET['port']}/metrics/resource"
        text = httpx.get(url, verify=False, trust_env=False).text  # noqa: S501 - it has made one for itself
        with self._lock:
            for owner, sample in samples_of(text).items():
                known = self._samples[owner]
                if known and sample.cpu_s < known[-1].cpu_s:
                    known.clear()  # another container of that name
                if not known or sample.at_s > known[-1].at_s:
                    known.append(sample)
                    del known[:-30]

    def usage(self, owner: Owner) -> Usage | None:
        """Over the last seconds; None where it was not seen twice."""
        with self._lock:
            known = list(self._samples.get(owner, ()))
        last = known[-1] if known else None
        first = next((one for one in reversed(known) if last and last.at_s - one.at_s >= _WINDOW_S), None)
        if last is None or first is None:
            return None
        window_s = last.at_s - first.at_s
        cores = (last.cpu_s - first.cpu_s) / window_s
        return Usage(at_s=last.at_s, window_s=window_s, cores=cores, memory_bytes=last.memory_bytes)

    def containers(self, namespace: str, pod: str) -> dict[str, Usage]:
        """Of one pod, by name."""
        with self._lock:
            names = [owner[2] for owner in self._samples if owner[:2] == (namespace, pod)]
        found = {name: self.usage((namespace, pod, name)) for name in names}
        return {name: usage for name, usage in found.items() if usage is not None}


def samples_of(text: str) -> dict[Owner, Sample]:
    """From a kubelet's /metrics/resource, in Prometheus' format with the times of measurement."""
    amounts: dict[Owner, dict[str, float]] = defaultdict(dict)
    for found in _SAMPLE.finditer(text):
        labels = dict(_LABEL.findall(found["labels"]))
        owner = (labels.get("namespace", ""), labels.get("pod", ""), labels.get("container", ""))
        of_what, _, what = found["metric"].partition("_")
        if found["at_ms"] and of_what == ("node" if owner == NODE else "container"):
            amounts[owner] |= {what: float(found["value"])}
            if what.startswith("cpu"):
                amounts[owner]["at_s"] = int(found["at_ms"]) / 1000
    return {
        owner: Sample(
            at_s=one["at_s"], cpu_s=one["cpu_usage_seconds_total"], memory_bytes=one["memory_working_set_bytes"]
        )
        for owner, one in amounts.items()
        if {"at_s", "cpu_usage_seconds_total", "memory_working_set_bytes"} <= set(one)
    }


class MetricsApi(ThreadingHTTPServer):
    """Answers the API server, and nobody without its certificate."""

    daemon_threads = True

    def __init__(self, host: str, node: Node, trust: ssl.SSLContext) -> None:
        super().__init__((host, 0), _Handler)
        self.socket = trust.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.node = node
        self.measured = Measured()
        self.asked: list[str] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ends, or that shows no certificate, is nobody's error here."""

    def pods(self, namespace: str | None, query: str) -> dict[str, Any]:
        """The list that autoscalers ask for: of running pods with these labels."""
        place = f"/namespaces/{namespace}" if namespace else ""
        found = self.node.api(f"/api/v1{place}/pods?{query}").json()["items"]
        return _list("PodMetricsList", [one for pod in found for one in self._of_pod(pod)])

    def _of_pod(self, pod: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        metadata = {key: pod["metadata"].get(key, {}) for key in ("name", "namespace", "labels")}
        containers = self.measured.containers(metadata["namespace"], metadata["name"])
        if containers and set(containers) >= {one["name"] for one in pod["spec"]["containers"]}:
            latest = max(containers.values(), key=lambda usage: usage.at_s)
            rows = [{"name": name, "usage": usage.amounts} for name, usage in containers.items()]
            yield {"metadata": metadata, **latest.when, "containers": rows}

    def nodes(self) -> dict[str, Any]:
        usage = self.measured.usage(NODE)
        rows = [] if usage is None else [{"metadata": {"name": "localhost"}, **usage.when, "usage": usage.amounts}]
        return _list("NodeMetricsList", rows)


def _list(kind: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    return {"kind": kind, "apiVersion": GROUP_VERSION, "metadata": {}, "items": items}


_SERVED = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": GROUP_VERSION,
    "resources": [
        {"name": "nodes", "singularName": "", "namespaced": False, "kind": "NodeMetrics", "verbs": ["get", "list"]},
        {"name": "pods", "singularName": "", "namespaced": True, "kind": "PodMetrics", "verbs": ["get", "list"]},
    ],
}
_PODS = re.compile(rf"^/apis/{GROUP_VERSION}(?:/namespaces/(?P<namespace>[^/]+))?/pods$")


class _Handler(BaseHTTPRequestHandler):
    server: MetricsApi
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        self.server.asked.append(self.path)
        pods = _PODS.match(asked.path)
        if asked.path == f"/apis/{GROUP_VERSION}":
            self._answer(200, _SERVED)
        elif pods:
            self._answer(200, self.server.pods(pods["namespace"], asked.query))
        elif asked.path == f"/apis/{GROUP_VERSION}/nodes":
            self._answer(200, self.server.nodes())
        else:
            self._answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

    def _answer(self, code: int, told: object) -> None:
        body = json.dumps(told).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@contextmanager
def measuring(node: Node) -> Iterator[MetricsApi]:
    """The cluster has a metrics API meanwhile."""
    authority = trustme.CA()
    api = MetricsApi(node.address, node, _trust(authority, node.programs.folder))
    with api, served(api), meanwhile(partial(_look, api)):
        try:
            _register(node, api, authority)
            yield api
        finally:
            _unregister(node)


def _look(api: MetricsApi, over: threading.Event) -> None:
    while not over.wait(_LOOK_EVERY_S):
        try:
            api.measured.look()
        except httpx.HTTPError:
            continue  # the kubelet may be away


def _trust(authority: trustme.CA, folder: Path) -> ssl.SSLContext:
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(f"{NAME}.{NAMESPACE}.svc").configure_cert(trust)
    trust.load_verify_locations(cafile=str(folder / "aggregator.pem"))
    trust.verify_mode = ssl.CERT_REQUIRED
    return trust


_SERVICE = f"/api/v1/namespaces/{NAMESPACE}/services"
_ENDPOINTS = f"/api/v1/namespaces/{NAMESPACE}/endpoints"
_API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
_API_SERVICE = "v1beta1.metrics.k8s.io"


def _register(node: Node, api: MetricsApi, authority: trustme.CA) -> None:
    host, port = api.server_address[:2]
    ports = [{"name": "https", "port": 443, "protocol": "TCP"}]
    endpoints = [{"addresses": [{"ip": str(host)}], "ports": [{**ports[0], "port": port}]}]
    told = {
        "group": "metrics.k8s.io",
        "version": "v1beta1",
        "service": {"namespace": NAMESPACE, "name": NAME, "port": 443},
        "caBundle": base64.b64encode(authority.cert_pem.bytes()).decode(),
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
    }
    for path, content in (
        (_SERVICE, {"metadata": {"name": NAME}, "spec": {"ports": ports}}),
        (_ENDPOINTS, {"metadata": {"name": NAME}, "subsets": endpoints}),
        (_API_SERVICES, {"metadata": {"name": _API_SERVICE}, "spec": told}),
    ):
        answer = node.api(path, "POST", body=content)
        assert answer.is_success, answer.text
    assert wait_until(lambda: _is_available(node)), node.api(f"{_API_SERVICES}/{_API_SERVICE}").text


def _is_available(node: Node) -> bool:
    found = node.api(f"{_API_SERVICES}/{_API_SERVICE}").json()
    conditions = {one["type"]: one["status"] for one in found.get("status", {}).get("conditions", ())}
    return conditions.get("Available") == "True" and node.api(f"/apis/{GROUP_VERSION}").is_success


def _unregister(node: Node) -> None:
    for path in (f"{_API_SERVICES}/{_API_SERVICE}", f"{_ENDPOINTS}/{NAME}", f"{_SERVICE}/{NAME}"):
        node.api(path, "DELETE")


def usage_of_pods(node: Node, namespace: str, labels: str) -> Any:
    """As ``kubectl top pods`` asks for it."""
    return node.api(f"/apis/{GROUP_VERSION}/namespaces/{namespace}/pods?labelSelector={quote(labels)}").json()["items"]
