"""Every manifest, for every way to ask for one, by the schemas of several Kubernetes versions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from kubernetes_validate import latest_version

from modelport.domain.deployments import Deployment
from modelport.targets.kubernetes.facts import ClusterFacts
from modelport.targets.kubernetes.settings import ClusterSettings, Fetch

from .schemas import check
from .services import CERTIFICATE, CLUSTERS, DEPLOYMENTS, FETCH, endpoint, planned, service

NEWEST = latest_version().rpartition(".")[0]
VERSIONS = ("1.27", NEWEST)


def number(version: str) -> tuple[int, int]:
    major, minor = version.split(".")
    return int(major), int(minor)


@pytest.mark.parametrize("settings", CLUSTERS.values(), ids=CLUSTERS)
@pytest.mark.parametrize("fetch", [None, FETCH], ids=["baked", "fetched"])
@pytest.mark.parametrize("version", VERSIONS)
def test_every_deployment_in_every_cluster(settings: ClusterSettings, fetch: Fetch | None, version: str) -> None:
    for deployment in DEPLOYMENTS.values():
        for one in (service(deployment=deployment), endpoint(deployment=deployment)):
            for manifest in planned(one, settings=settings, fetch=fetch, version=number(version)).objects:
                check(manifest, version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("settings", CLUSTERS.values(), ids=CLUSTERS)
def test_tls(settings: ClusterSettings, version: str) -> None:
    tls = Deployment(ssl_enabled=True, ssl_cname="models.example.org")
    for one in (service(deployment=tls), endpoint(deployment=tls)):
        plan = planned(one, settings=settings, certificate=CERTIFICATE, version=number(version))
        for manifest in plan.objects:
            check(manifest, version)


def test_kubernetes_1_20() -> None:
    """Its schemas are not at hand: those of 1.25 still have its autoscaler, and nothing newer may be in the rest."""
    for settings in CLUSTERS.values():
        for one in (service(), endpoint()):
            found = {
                manifest["kind"]: manifest for manifest in planned(one, settings=settings, version=(1, 20)).objects
            }
            assert found["HorizontalPodAutoscaler"]["apiVersion"] == "autoscaling/v2beta2"
            assert found["PodDisruptionBudget"]["apiVersion"] == "policy/v1beta1"
            for manifest in found.values():
                check(manifest, "1.25")


def test_the_check_finds_what_a_cluster_would_refuse() -> None:
    plan = planned(service())
    deployment = next(manifest for manifest in plan.objects if manifest["kind"] == "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(jsonschema.ValidationError, match="readynessProbe"):
        check(deployment, NEWEST)


def test_fields_of_newer_clusters_are_left_out_for_older_ones() -> None:
    newest = planned(service(), version=number(NEWEST))
    for manifest in newest.objects:
        check(manifest, NEWEST)
    with pytest.raises(jsonschema.ValidationError):
        for manifest in newest.objects:
            check(manifest, "1.25")


def test_the_validator_itself_agrees(tmp_path: Path) -> None:
    """The program that others would check with, on one stream of manifests."""
    plan = planned(endpoint(), settings=CLUSTERS["ingress"])
    file = tmp_path / "manifests.yaml"
    file.write_text(yaml.safe_dump_all(list(plan.objects)))
    command = [str(Path(sys.executable).with_name("kubernetes-validate")), "--strict", "-k", NEWEST, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_facts_of_a_cluster_that_lacks_a_kind() -> None:
    facts = ClusterFacts.assumed((1, 37))
    assert not facts.serves("HTTPRoute")
    assert ClusterFacts.assumed((1, 20)).api_version("HorizontalPodAutoscaler") == "autoscaling/v2beta2"
    assert ClusterFacts(served=frozenset({"autoscaling/v2/HorizontalPodAutoscaler"})).serves("HorizontalPodAutoscaler")
