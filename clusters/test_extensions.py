"""Services of clusters that have more than Kubernetes itself: a Gateway, KServe."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from clusters.bench import Bench, ask, eventually
from clusters.extensions import GATEWAY, KSERVE, installed
from clusters.gateway import gateway
from clusters.kserve import controlling
from clusters.store import Store
from clusters.test_endpoint import SIZE
from clusters.test_faults import state
from modelport import Model
from modelport.domain.errors import WebserviceException
from modelport.sdk.aks import AksWebservice
from modelport.sdk.aks_endpoint import AksEndpoint
from modelport.sdk.compute import ComputeTarget


def test_a_gateway_divides_the_requests(bench: Bench) -> None:
    """By weights and by header, and no router of ours is there; what it refuses, it is asked about."""
    with installed(bench.node, GATEWAY), gateway(bench.node, bench.folder) as front:
        bench.attach("gated", expose="Gateway", gateway="default/front", host=None)
        endpoint = Model.deploy(
            bench.workspace,
            "shop",
            [],
            bench.inference("one"),
            AksEndpoint.deploy_configuration(version_name="one", traffic_percentile=100, **SIZE),
            deployment_target=ComputeTarget(bench.workspace, "gated"),
        )
        assert isinstance(endpoint, AksEndpoint)
        endpoint.wait_for_deployment()
        assert endpoint.scoring_uri == "http://127.0.0.2:80/api/v1/service/shop/score"
        assert ask(endpoint) == "one"
        endpoint.update_version("one", traffic_percentile=50)
        endpoint.create_version("two", inference_config=bench.inference("two"), traffic_percentile=50, **SIZE)
        endpoint.wait_for_deployment()
        eventually(lambda: {ask(endpoint) for _ in range(20)} == {"one", "two"}, "both have their share")
        headers = {"Authorization": f"Bearer {endpoint.get_keys()[0]}", "modelport-revision": "2"}
        answers = {httpx.post(endpoint.scoring_uri, headers=headers, trust_env=False).text for _ in range(20)}
        assert answers == {'"two"'}
        components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for pod in bench.pods("shop")}
        assert components == {"scoring"}
        front.refuses = "NotAllowedByListeners"
        eventually(lambda: state(endpoint) == "Unhealthy", "the state tells")
        assert "does not take the route shop: NotAllowedByListeners" in str(endpoint.error)
        front.refuses = ""
        eventually(lambda: state(endpoint) == "Healthy", "it is taken again")
        endpoint.delete()
        assert _left(bench, "gateway.networking.k8s.io/v1", "httproutes") == []


def test_kserve_runs_a_service_while_somebody_asks(bench: Bench, store: Store) -> None:
    """From the stock image, with the bundle fetched by each pod; a revision that does not come up is taken back."""
    with installed(bench.node, KSERVE), controlling(bench.node) as knative:
        target = bench.attach("serverless", store=store.address, kserve=True, host=None)
        service = bench.deploy("line", bench.inference("one"), target=target, num_replicas=None, autoscale_enabled=True)
        assert (ask(service), service.state) == ("one", "Healthy")
        assert str(service.scoring_uri).endswith(":80/api/v1/service/line/score")
        (found,) = _left(bench, "serving.kserve.io/v1beta1", "inferenceservices")
        assert found["spec"]["predictor"]["minReplicas"] == 0
        assert "init of one" in service.get_logs()
        old = service.get_keys()[0]
        before = bench.pod_names("line")
        service.regen_key("Primary")
        answer = httpx.post(str(service.scoring_uri), headers={"Authorization": f"Bearer {old}"}, trust_env=False)
        assert (answer.status_code, ask(service)) == (401, "one")
        assert bench.pod_names("line") == before, "no other pod for other keys"

        service.update(inference_config=bench.inference("two"))
        assert ask(service) == "two"
        with pytest.raises(WebserviceException, match="the model is no model"):
            service.update(
                inference_config=bench.inference("three", init="raise RuntimeError('the model is no model')")
            )
        eventually(lambda: _answer(service) == "two", "the one before serves")
        eventually(lambda: state(service) == "Healthy", "it is as it was")

        knative.asleep.add("line")
        eventually(lambda: bench.pods("line") == [], "nobody asks")
        assert state(service) == "Healthy"
        service.update(tags={"some": "tag"})
        knative.asleep.clear()
        eventually(lambda: _answer(service) == "two", "somebody asks")
        service.delete()
        assert _left(bench, "serving.kserve.io/v1beta1", "inferenceservices") == []
        eventually(lambda: bench.left() == [], "nothing of it is left")


def test_kserve_says_why_it_cannot_serve(bench: Bench) -> None:
    with installed(bench.node, KSERVE), controlling(bench.node):
        bench.attach("serverless", kserve=True, host=None)
        target = ComputeTarget(bench.workspace, "serverless")
        with pytest.raises(WebserviceException, match="the model is no model"):
            bench.deploy(
                "line", bench.inference("one", init="raise RuntimeError('the model is no model')"), target=target
            )
        failed = AksWebservice(bench.workspace, "line")
        assert failed.state == "Failed"
        failed.delete()


def _left(bench: Bench, group_version: str, plural: str) -> list[Any]:
    items: list[Any] = bench.node.api(f"/apis/{group_version}/{plural}").json()["items"]
    return items


def _answer(service: Any) -> Any:
    try:
        return ask(service)
    except WebserviceException:
        return None
