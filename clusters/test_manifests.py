"""Every kind of manifest, judged by a real API server: what no schema says, it checks."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import trustme
from packages.modelport.tests.targets.kubernetes.services import (
    CLUSTERS,
    DEPLOYMENTS,
    FETCH,
    WORKSPACE_ID,
    endpoint,
    images,
    service,
    trust,
)

from clusters.extensions import CERT_MANAGER, GATEWAY, KSERVE, installed
from clusters.node import Node
from clusters.programs import wait_until
from modelport.domain.deployments import Deployment
from modelport.domain.services import Service
from modelport.targets.kubernetes.facts import OPTIONAL, ClusterFacts
from modelport.targets.kubernetes.plan import KubernetesPlan, plan
from modelport.targets.kubernetes.settings import Certificate, ClusterSettings, Expose

APPLY = "application/apply-patch+yaml"
UID = "12345678-0000-4000-8000-000000000001"
SETTINGS = [settings for settings in CLUSTERS.values() if settings.expose is not Expose.GATEWAY]
TLS = Deployment(ssl_enabled=True, ssl_cname="models.example.org")


class Resources:
    """Where the API server has the objects of a kind."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._kinds: dict[str, tuple[str, bool]] = {}
        groups = node.api("/apis").json()["groups"]
        for version in ("v1", *(each["groupVersion"] for group in groups for each in group["versions"])):
            for found in node.api(self._root(version)).json()["resources"]:
                if "/" not in found["name"]:
                    self._kinds[f"{version}/{found['kind']}"] = (found["name"], found["namespaced"])

    @staticmethod
    def _root(version: str) -> str:
        return f"/api/{version}" if version == "v1" else f"/apis/{version}"

    @property
    def facts(self) -> ClusterFacts:
        return ClusterFacts(served=frozenset(self._kinds), version=(1, 20))

    def apply(self, manifest: Mapping[str, Any], *, query: str = "") -> Any:
        """The object as the server would have it; fails with the server's words."""
        metadata = manifest["metadata"]
        plural, is_namespaced = self._kinds[f"{manifest['apiVersion']}/{manifest['kind']}"]
        place = f"/namespaces/{metadata['namespace']}" if is_namespaced else ""
        path = f"{self._root(manifest['apiVersion'])}{place}/{plural}/{metadata['name']}"
        asked = f"{path}?fieldManager=test-manifests&force=true{query}"
        answer = self._node.api(asked, "PATCH", body=manifest, kind=APPLY)
        assert answer.is_success, f"{manifest['kind']} {metadata['name']}: {answer.text}"
        return answer.json()

    def delete(self, namespace: str) -> None:
        """Returns when it has gone: nothing can be made in one that is being deleted."""
        path = f"/api/v1/namespaces/{namespace}"
        self._node.api(path, "DELETE")
        assert wait_until(lambda: self._node.api(path).status_code == 404, within_s=60), f"{namespace} does not go"


def test_every_manifest_is_taken_as_it_is(node: Node) -> None:
    """A dry run of server-side apply, which refuses fields that it does not know; and no field is changed."""
    resources = Resources(node)
    plans = list(every_plan(resources.facts, SETTINGS))
    assert len(taken(resources, itertools.chain.from_iterable(map(objects_of, plans)))) > 300


def test_every_manifest_of_an_extension_is_taken_as_it_is(node: Node) -> None:
    """Routes of a Gateway, certificates of cert-manager, and InferenceServices keep every field, too."""
    with installed(node, GATEWAY), installed(node, KSERVE), installed(node, CERT_MANAGER):
        resources = Resources(node)
        issuer = ClusterSettings(cert_issuer="Issuer/team")
        gated = every_plan(resources.facts, [CLUSTERS["gateway"]])
        issued = every_plan(resources.facts, [issuer], certificate=None)
        inferred = every_plan(resources.facts, [ClusterSettings(kserve=True)], kinds=(service,))
        objects = [one for found in (*gated, *issued, *inferred) for one in objects_of(found)]
        seen = taken(resources, [one for one in objects if one["kind"] in OPTIONAL])
        assert {one["kind"] for one in seen} == {"HTTPRoute", "Certificate", "InferenceService"}


def taken(resources: Resources, manifests: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Each, when the API server has said that it would keep it whole."""
    namespaces, seen = set(), {}
    try:
        for manifest in manifests:
            text, namespace = json.dumps(manifest, sort_keys=True), manifest["metadata"].get("namespace")
            if namespace and namespace not in namespaces:
                resources.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
                namespaces.add(namespace)
            if text not in seen:
                assert_kept(manifest, resources.apply(manifest, query="&dryRun=All"))
            seen[text] = manifest
        return list(seen.values())
    finally:
        for namespace in namespaces:
            resources.delete(namespace)


_ISSUED = trustme.CA().issue_cert("models.example.org")
_FILES = Certificate(certificate=_ISSUED.cert_chain_pems[0].bytes(), key=_ISSUED.private_key_pem.bytes())


def every_plan(
    facts: ClusterFacts,
    clusters: Sequence[ClusterSettings],
    *,
    certificate: Certificate | None = _FILES,
    kinds: Sequence[Callable[..., Service]] = (service, endpoint),
) -> Iterator[KubernetesPlan]:
    for settings, deployment in itertools.product(clusters, (*DEPLOYMENTS.values(), TLS)):
        for one, fetch in itertools.product((kind(deployment=deployment) for kind in kinds), (None, FETCH)):
            yield plan(
                one,
                workspace="main",
                workspace_id=WORKSPACE_ID,
                images=images(one, fetch=fetch),
                cluster=facts,
                settings=settings,
                trust=trust,
                certificate_files=certificate,
            )


def objects_of(found: KubernetesPlan) -> Iterator[Mapping[str, Any]]:
    if found.namespace_object is not None:
        yield found.namespace_object
    yield from (*found.lasting, found.owner, *found.owned(UID))


def assert_kept(wanted: Any, there: Any, *, where: str = "") -> None:
    """What the server has holds all that was said, and nothing of it is another; it may have added what was not."""
    if isinstance(wanted, Mapping):
        for key, value in wanted.items():
            if value not in ({}, [], None, False):  # the server may leave out what is nothing
                assert key in there, f"{where}.{key} is gone"
                assert_kept(value, there[key], where=f"{where}.{key}")
    elif isinstance(wanted, list):
        assert len(wanted) == len(there), where
        for number, (one, other) in enumerate(zip(wanted, there, strict=True)):
            assert_kept(one, other, where=f"{where}[{number}]")
    else:
        assert wanted == there, where
