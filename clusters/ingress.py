"""An Ingress controller for the tests' cluster: Debian packages none.

It does what each of them does first: rules by host and path, TLS by the Secret that the Ingress names, and an address
in its status.
"""

from __future__ import annotations

import base64
import ssl
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trustme

from clusters.nginx import ADDRESS, Nginx, following
from clusters.node import Node

Object = Mapping[str, Any]

_SERVER = """\
  server {{
    listen {address}:{listen};
    server_name {host};
{tls}{locations}
    location / {{ return 404; }}
  }}
"""
_LOCATION = "    location {path}/ {{ proxy_pass http://{backend}; }}\n"
_API = "/apis/networking.k8s.io/v1"


@dataclass(frozen=True)
class Controller:
    """What follows the Ingress objects of a cluster."""

    node: Node
    folder: Path

    def ask(self, host: str, path: str, authority: trustme.CA | None) -> httpx.Response:
        """As a client whose resolver knows the host; over TLS with an authority."""
        return asked("GET", f"{'http' if authority is None else 'https'}://{ADDRESS}{path}", host, authority)

    def look(self, nginx: Nginx) -> None:
        """Do what the objects say."""
        found = self.node.api(f"{_API}/ingresses").json()["items"]
        by_host = defaultdict(list)
        for one in found:
            by_host[one["spec"]["rules"][0].get("host", "_")].append(one)
        nginx.tell("".join(self._server(host, those) for host, those in by_host.items()))
        for one in found:
            self._give_address(one)

    def _server(self, host: str, ingresses: Sequence[Object]) -> str:
        locations, tls = "", ""
        for ingress in ingresses:
            namespace, spec = ingress["metadata"]["namespace"], ingress["spec"]
            for path in (path for rule in spec["rules"] for path in rule["http"]["paths"]):
                assert path["pathType"] == "Prefix"
                backend = self._backend(namespace, path["backend"]["service"])
                locations += _LOCATION.format(path=path["path"], backend=backend) if backend else ""
            for one in spec.get("tls", ())[:1]:
                tls = tls or self._certificate(namespace, one["secretName"])
        listen = "443 ssl" if tls else "80"
        return _SERVER.format(address=ADDRESS, listen=listen, host=host, tls=tls, locations=locations)

    def _backend(self, namespace: str, service: Object) -> str | None:
        answer = self.node.api(f"/api/v1/namespaces/{namespace}/services/{service['name']}")
        if answer.is_error:
            return None
        spec = answer.json()["spec"]
        port = next(one["port"] for one in spec["ports"] if one["name"] == service["port"]["name"])
        return f"{spec['clusterIP']}:{port}"

    def _certificate(self, namespace: str, secret: str) -> str:
        answer = self.node.api(f"/api/v1/namespaces/{namespace}/secrets/{secret}")
        if answer.is_error:
            return ""
        lines = []
        for key, directive in (("tls.crt", "ssl_certificate"), ("tls.key", "ssl_certificate_key")):
            file = self.folder / f"{namespace}-{secret}-{key}"
            file.write_bytes(base64.b64decode(answer.json()["data"][key]))
            lines.append(f"    {directive} {file};\n")
        return "".join(lines)

    def _give_address(self, ingress: Object) -> None:
        if ingress["status"].get("loadBalancer", {}).get("ingress"):
            return
        metadata = ingress["metadata"]
        path = f"{_API}/namespaces/{metadata['namespace']}/ingresses/{metadata['name']}/status"
        told = {"status": {"loadBalancer": {"ingress": [{"ip": ADDRESS}]}}}
        self.node.api(path, "PATCH", body=told, kind="application/merge-patch+json")


def asked(method: str, url: str, host: str, authority: trustme.CA | None, *, key: str | None = None) -> httpx.Response:
    """The answer to somebody who trusts the authority, and whose resolver says that the host is at that address."""
    trust = ssl.create_default_context()
    if authority is not None:
        authority.configure_trust(trust)
    headers = {"Host": host, **({} if key is None else {"Authorization": f"Bearer {key}"})}
    with httpx.Client(verify=trust, trust_env=False) as client:
        return client.request(method, url, headers=headers, extensions={"sni_hostname": host})


@contextmanager
def ingress_controller(node: Node, folder: Path) -> Iterator[Controller]:
    """One that follows the cluster's Ingress objects meanwhile."""
    controller = Controller(node, folder / "ingress")
    with following(controller.folder, controller.look):
        yield controller
