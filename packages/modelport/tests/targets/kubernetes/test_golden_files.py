"""Three services as they are printed, whole: to be read by whoever changes the manifests.

``MODELPORT_WRITE_GOLDEN_FILES=1`` writes them anew.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelport.domain.deployments import Autoscale, Deployment, Resources
from modelport.targets.kubernetes.plan import KubernetesPlan
from modelport.targets.kubernetes.rendering import as_yaml

from .services import CERTIFICATE, CLUSTERS, FETCH, OLDEST, endpoint, planned, service

FOLDER = Path(__file__).with_name("golden")

SERVICES = {
    "webservice": lambda: planned(
        service(deployment=Deployment(resources=Resources(cpu=0.5, memory_gb=1, memory_gb_limit=2)))
    ),
    "endpoint-with-router-and-tls": lambda: planned(
        endpoint(deployment=Deployment(ssl_enabled=True, ssl_cname="models.example.org")),
        settings=CLUSTERS["ingress"],
        certificate=CERTIFICATE,
    ),
    "stock-image-on-an-old-cluster": lambda: planned(
        service(
            deployment=Deployment(
                autoscale=Autoscale(enabled=True, min_replicas=2, max_replicas=4), gpu_cores=1, collects_model_data=True
            )
        ),
        settings=CLUSTERS["given namespace"],
        fetch=FETCH,
        version=OLDEST,
        optional=frozenset(),
    ),
}


@pytest.mark.parametrize("name", SERVICES)
def test_golden_file(name: str) -> None:
    plan: KubernetesPlan = SERVICES[name]()
    text = as_yaml(plan.objects)
    file = FOLDER / f"{name}.yaml"
    if os.environ.get("MODELPORT_WRITE_GOLDEN_FILES"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")
