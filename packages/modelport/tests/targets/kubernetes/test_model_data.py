"""The claim for collected model data belongs to the owners of the cluster once it is there."""

from __future__ import annotations

from pathlib import Path

from modelport.domain.deployments import Deployment

from .api_server import ApiServer, target
from .services import planned, service


def test_a_claim_that_has_grown_stays_as_it_is(api: ApiServer, tmp_path: Path) -> None:
    """The cluster refuses to make it smaller, and with that every later deployment."""
    collecting, cluster = service(deployment=Deployment(collects_model_data=True)), target(tmp_path)
    cluster.start(collecting, tmp_path)
    key = ("persistentvolumeclaims", planned(collecting).namespace, "modelport-modeldata")
    requests = api.objects[key]["spec"]["resources"]["requests"]
    assert requests == {"storage": "10Gi"}
    api.objects[key]["spec"]["resources"]["requests"] = {"storage": "50Gi"}
    cluster.start(collecting, tmp_path)
    assert api.objects[key]["spec"]["resources"]["requests"] == {"storage": "50Gi"}
