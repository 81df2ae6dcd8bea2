"""Kinds that a cluster has only where somebody installed them: as custom resources of the tests' cluster.

Names, groups and versions are the real ones; of the schemas there is what Modelport writes, and nothing else is kept: a
field that is wrong here does not come back from the API server.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from clusters.node import Node
from clusters.programs import wait_until

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "integer"}
_ANYTHING: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_TEXTS: Schema = {"type": "object", "additionalProperties": _TEXT}


def _fields(*required: str, **properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, **({"required": list(required)} if required else {})}


def _many(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_BACKEND = _fields("name", name=_TEXT, namespace=_TEXT, port=_NUMBER, weight=_NUMBER)
_HEADER = _fields("name", "value", type={"type": "string", "enum": ["Exact"]}, name=_TEXT, value=_TEXT)
_PATH = _fields(type={"type": "string", "enum": ["Exact", "PathPrefix"]}, value=_TEXT)
_RULE = _fields(matches=_many(_fields(path=_PATH, headers=_many(_HEADER))), backendRefs=_many(_BACKEND))
_PARENT = _fields("name", namespace=_TEXT, name=_TEXT, sectionName=_TEXT)
_LISTENER = _fields("name", "port", "protocol", name=_TEXT, port=_NUMBER, protocol=_TEXT, hostname=_TEXT)
_PREDICTOR = _fields(
    "containers",
    labels=_TEXTS,
    annotations=_TEXTS,
    minReplicas=_NUMBER,
    maxReplicas=_NUMBER,
    scaleMetric={"type": "string", "enum": ["cpu", "memory", "concurrency", "rps"]},
    scaleTarget=_NUMBER,
    timeout=_NUMBER,
    serviceAccountName=_TEXT,
    automountServiceAccountToken={"type": "boolean"},
    enableServiceLinks={"type": "boolean"},
    imagePullSecrets=_many(_fields(name=_TEXT)),
    initContainers=_many(_ANYTHING),
    containers=_many(_ANYTHING),
    volumes=_many(_ANYTHING),
)

_ISSUER = _fields("name", name=_TEXT, kind={"type": "string", "enum": ["Issuer", "ClusterIssuer"]}, group=_TEXT)
_CERTIFICATE = _fields("secretName", "issuerRef", secretName=_TEXT, dnsNames=_many(_TEXT), issuerRef=_ISSUER)

GATEWAY = "gateway.networking.k8s.io"
KSERVE = "serving.kserve.io"
CERT_MANAGER = "cert-manager.io"

_KINDS = {
    GATEWAY: {
        "Gateway": ("gateways", "v1", _fields("gatewayClassName", gatewayClassName=_TEXT, listeners=_many(_LISTENER))),
        "HTTPRoute": (
            "httproutes",
            "v1",
            _fields(parentRefs=_many(_PARENT), hostnames=_many(_TEXT), rules=_many(_RULE)),
        ),
    },
    CERT_MANAGER: {"Certificate": ("certificates", "v1", _CERTIFICATE)},
    KSERVE: {"InferenceService": ("inferenceservices", "v1beta1", _fields("predictor", predictor=_PREDICTOR))},
}
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@contextmanager
def installed(node: Node, group: str) -> Iterator[None]:
    """The cluster serves the kinds of the group meanwhile."""
    paths = []
    try:
        for kind, (plural, version, spec) in _KINDS[group].items():
            answer = node.api(_DEFINITIONS, "POST", body=_definition(group, kind, plural, version, spec))
            assert answer.is_success, answer.text
            paths.append(f"{_DEFINITIONS}/{plural}.{group}")
            served = partial(_is_served, node, f"/apis/{group}/{version}/{plural}")
            assert wait_until(served), f"the cluster serves {kind} objects"
        yield
    finally:
        for path in paths:
            node.api(path, "DELETE")
        assert wait_until(lambda: all(node.api(path).status_code == 404 for path in paths)), "they are gone"


def _is_served(node: Node, path: str) -> bool:
    return node.api(path).is_success


def _definition(group: str, kind: str, plural: str, version: str, spec: Schema) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": spec, "status": _ANYTHING}}
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    return {
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"},
            "versions": [served],
        },
    }
