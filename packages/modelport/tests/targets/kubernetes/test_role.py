"""The Role of the documents has what Modelport asks a cluster for, in a namespace of somebody else's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from modelport.domain.deployments import Autoscale, Deployment
from modelport.targets.kubernetes.settings import Expose

from .api_server import ApiServer, target
from .services import service

ROLE = Path(__file__).parents[5] / "docs" / "kubernetes-role.yaml"
OF_THE_CLUSTER = ("namespaces", "nodes")
"""What the Role's first lines say of those who may have more."""


@pytest.mark.parametrize(
    "given",
    [
        {"expose": Expose.INGRESS, "host": "models.example.org", "cert_issuer": "letsencrypt"},
        {"expose": Expose.GATEWAY, "gateway": "team/front"},
        {"expose": Expose.LOAD_BALANCER},
    ],
    ids=lambda given: given["expose"].value,
)
def test_the_role_is_enough(api: ApiServer, tmp_path: Path, given: dict[str, Any]) -> None:
    scaling = Autoscale(enabled=True, min_replicas=1, max_replicas=3)
    row = service(deployment=Deployment(autoscale=scaling, collects_model_data=True))
    cluster = target(tmp_path, namespace="team", **given)
    cluster.start(row, tmp_path)
    if given["expose"] is Expose.GATEWAY:
        api.put("gateways", "front", namespace="team", spec={})
        api.objects["httproutes", "team", _only(api, "httproutes")]["status"] = {"parents": [{"conditions": []}]}
    cluster.observe(row)
    cluster.stop(row)
    cluster.delete(row)
    rules = yaml.safe_load(ROLE.read_text(encoding="utf-8"))["rules"]
    granted = {(verb, plural) for rule in rules for verb in rule["verbs"] for plural in rule["resources"]}
    asked = {(verb, plural) for verb, plural, _ in api.asked if plural not in OF_THE_CLUSTER}
    asked |= {("create", plural) for verb, plural in asked if verb == "patch"}
    assert asked <= granted
    assert ("gateways" in {plural for _, plural in asked}) is (given["expose"] is Expose.GATEWAY)


def _only(api: ApiServer, plural: str) -> str:
    (name,) = api.names(plural)
    return name
