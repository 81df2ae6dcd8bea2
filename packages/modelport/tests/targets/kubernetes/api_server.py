"""The objects of a cluster behind an API server of a few verbs, over HTTP: for what no controller is needed for.

Stories on a real cluster are in clusters/.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from modelport.domain.services import Service
from modelport.targets.kubernetes.driver import KubernetesTarget
from modelport.targets.kubernetes.images import Images
from modelport.targets.kubernetes.settings import ClusterSettings, ServingImage

from .services import WORKSPACE_ID, images

KINDS = {
    "v1": [
        *("Namespace", "Node", "Pod", "Service", "Secret", "ConfigMap", "ServiceAccount", "ResourceQuota"),
        "PersistentVolumeClaim",
    ],
    "apps/v1": ["Deployment", "ReplicaSet"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "policy/v1": ["PodDisruptionBudget"],
    "networking.k8s.io/v1": ["Ingress", "NetworkPolicy"],
    "rbac.authorization.k8s.io/v1": ["RoleBinding"],
    "cert-manager.io/v1": ["Certificate"],
    "gateway.networking.k8s.io/v1": ["HTTPRoute", "Gateway"],
}

Key = tuple[str, str, str]
"""Plural, namespace ("" where it has none) and name."""


class ApiServer:
    """Who holds the objects. A deletion waits where an object has finalizers."""

    def __init__(self) -> None:
        self.objects: dict[Key, dict[str, Any]] = {}
        self.forbidden: set[tuple[str, str]] = set()
        """Verbs of plurals that the user may not do."""
        self.asked: list[tuple[str, str, str]] = []
        """Verb, plural and name of what was asked, in order."""
        self.now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.over = threading.Event()

    def put(self, plural: str, name: str, *, namespace: str = "", **fields: Any) -> None:
        """Have an object; ``fields`` may have more of its metadata."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **fields.pop("metadata", {})}
        self.objects[plural, namespace, name] = {"metadata": metadata, **fields}

    def names(self, plural: str) -> list[str]:
        return [name for held, _, name in self.objects if held == plural]

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Status and document."""
        if path == "/version":
            return 200, {"major": "1", "minor": "31"}
        if path == "/apis":
            versions = [version for version in KINDS if version != "v1"]
            return 200, {"groups": [{"versions": [{"groupVersion": version}]} for version in versions]}
        for version, kinds in KINDS.items():
            root = f"/api/{version}" if version == "v1" else f"/apis/{version}"
            if path == root:
                return 200, {"resources": [_told(kind) for kind in kinds]}
            if path.startswith(f"{root}/"):
                return self._object(method, path.removeprefix(f"{root}/").split("/"), query, body)
        return 404, _status(404, "there is nothing")

    def _object(self, method: str, parts: list[str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        namespace = parts[1] if parts[0] == "namespaces" and len(parts) > 2 else ""
        plural, name = [*(parts[2:] if namespace else parts), ""][:2]
        verb = {"GET": "get" if name else "list", "PATCH": "patch", "DELETE": "delete"}[method]
        self.asked.append((verb, plural, name))
        if (verb, plural) in self.forbidden:
            return 403, _status(403, f'User "u" cannot {verb} resource "{plural}"')
        if verb == "list":
            wanted = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair)
            return 200, {"metadata": {}, "items": self._labelled(plural, namespace, wanted)}
        key = (plural, namespace, name)
        if verb == "patch":
            metadata = {**body["metadata"], "uid": "0", "creationTimestamp": self.now}
            self.objects[key] = {**self.objects.get(key, {}), **body, "metadata": metadata}
            return 200, self.objects[key]
        if key not in self.objects:
            return 404, _status(404, "there is none")
        found = self.objects[key]
        if verb == "delete" and found["metadata"].get("finalizers"):
            found["metadata"]["deletionTimestamp"] = "2026-11-26T00:00:00Z"
        elif verb == "delete":
            del self.objects[key]
        return 200, found

    def _labelled(self, plural: str, namespace: str, wanted: dict[str, str]) -> list[dict[str, Any]]:
        return [
            found
            for (held, place, _), found in list(self.objects.items())
            if (held, place) == (plural, namespace) and wanted.items() <= found["metadata"].get("labels", {}).items()
        ]


def _told(kind: str) -> dict[str, Any]:
    plural = f"{kind.lower()}{'es' if kind.endswith('s') else 's'}"
    return {"name": plural.replace("cys", "cies"), "kind": kind, "namespaced": kind not in ("Namespace", "Node")}


def _status(code: int, message: str) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[tuple[ApiServer, Path]]:
    """An API server, and a kubeconfig whose context ``here`` leads to it."""
    api = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

        def _do(self) -> None:
            url = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if query.get("watch"):  # without any change
                api.asked.append(("watch", url.path.rpartition("/")[2], ""))
                api.over.wait(0.5)
                status, document = 200, b""
            else:
                status, found = api.answer(self.command, url.path, query, yaml.safe_load(body) if body else None)
                document = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(document)))
            self.end_headers()
            self.wfile.write(document)

        do_GET = do_PATCH = do_DELETE = _do

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    config = {
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(config))
    try:
        yield api, folder / "kubeconfig"
    finally:
        api.over.set()
        server.shutdown()
        server.server_close()


class _Images:
    """Those of a registry that nobody is asked for."""

    def check(self, name: str) -> None:
        pass

    def image(self, service: Service, number: int, **_: Any) -> ServingImage:
        return images(service)[number]


def target(folder: Path, **settings: Any) -> KubernetesTarget:
    """What drives the services of the workspace there."""
    held: Images = _Images()
    return KubernetesTarget(
        "here",
        folder,
        workspace="main",
        workspace_id=WORKSPACE_ID,
        images=held,
        settings=ClusterSettings(**settings),
    )
