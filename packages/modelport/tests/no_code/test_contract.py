"""What every framework's service does: the contract of a no-code deployment (azureml-v1 reference, 2.2.1)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openapi_spec_validator import validate

from modelport import Model, Webservice, Workspace

from .conftest import Steps
from .framework_models import ALL, CASES, Case, Workshop

pytestmark = pytest.mark.timeout(900)
TESTED = [case for case in CASES if ALL or not case.is_large]


@dataclass
class Deployed:
    """A case's service, and what its deployment said."""

    case: Case
    service: Webservice
    expected: dict[str, Any]
    steps: list[str]

    def post(self, body: object, *, path: str = "/score") -> httpx.Response:
        url = str(self.service.scoring_uri).replace("/score", path)
        return httpx.post(url, json=body, timeout=60, trust_env=False)

    @property
    def model_path(self) -> str:
        return f"/v2/models/{self.service.name}"


@pytest.fixture(scope="module", params=TESTED, ids=lambda case: case.name)
def deployed(request: pytest.FixtureRequest, shop: Workspace, steps: Steps, workshop: Workshop) -> Iterator[Deployed]:
    case: Case = request.param
    model = Model.register(
        shop,
        workshop.path(case),
        case.name,
        model_framework=case.framework,
        model_framework_version=case.version,
        sample_input_dataset=case.sample,
    )
    before = len(steps.texts)
    service = Model.deploy(shop, f"svc-{case.name.replace('_', '-').lower()}"[:32].strip("-"), [model])
    try:
        service.wait_for_deployment()
        yield Deployed(case, service, workshop.expected(case), steps.texts[before:])
    finally:
        service.delete()


def alike(expected: object, *, rel: float = 1e-5) -> Any:
    """Equal, numbers nearly: libraries write them with other lengths, and sums of a batch are rounded another way."""
    if isinstance(expected, dict):
        return {name: alike(value, rel=rel) for name, value in expected.items()}
    if isinstance(expected, list):
        return [alike(value, rel=rel) for value in expected]
    return pytest.approx(expected, rel=rel, abs=1e-7) if isinstance(expected, int | float) else expected


def test_it_answers_as_the_library_does(deployed: Deployed) -> None:
    for body, answer in deployed.expected["requests"]:
        response = deployed.post(body)
        assert response.status_code == 200, response.text
        assert response.json() == alike(answer), body


def test_the_log_says_what_was_made_and_where(deployed: Deployed) -> None:
    (what,) = [line for line in deployed.steps if line.startswith("No-code deployment of ")]
    assert deployed.case.log in what
    (where,) = [line for line in deployed.steps if line.startswith("Auto-generated assets for the no-code deployment")]
    folder = Path(where.split(" are in ")[1].split(":")[0])
    assert {"score.py", "model.json", "conda_dependencies.yml", "no_code_schema.py"} <= {
        path.name for path in folder.iterdir()
    }
    assert "yours to change" in (folder / "score.py").read_text()


def test_the_open_inference_protocol_knows_its_tensors(deployed: Deployed) -> None:
    metadata = httpx.get(str(deployed.service.scoring_uri).replace("/score", deployed.model_path), trust_env=False)
    if not deployed.case.knows_shapes:
        assert "inputs" not in metadata.json()
        return
    assert metadata.json()["inputs"] == deployed.expected["metadata"]
    response = deployed.post({"inputs": deployed.expected["inputs"]}, path=f"{deployed.model_path}/infer")
    assert response.status_code == 200, response.text
    outputs = {output["name"]: output for output in response.json()["outputs"]}
    assert outputs.keys() == deployed.expected["outputs"].keys()
    for name, value in deployed.expected["outputs"].items():
        flat = [number for row in value for number in (row if isinstance(row, list) else [row])]
        assert outputs[name]["data"] == alike(flat)


@pytest.mark.parametrize("version", ["2", "3", "3.1"])
def test_its_document_is_valid_and_its_example_is_answered(deployed: Deployed, version: str) -> None:
    response = httpx.get(str(deployed.service.swagger_uri), params={"version": version}, trust_env=False)
    document = response.json()
    validate(document)
    definitions = document.get("definitions") or document["components"]["schemas"]
    example = definitions["ServiceInput"]["example"]
    # table.pkl: its one column knows only the texts that it was fitted with
    if deployed.case.file != "table.pkl" and deployed.case.knows_shapes:
        assert deployed.post(example).status_code == 200, example


def test_requests_at_once_get_what_each_would_get_alone(deployed: Deployed) -> None:
    assert (deployed.service.settings["batching"] is not None) is deployed.case.batching  # type: ignore[attr-defined]
    requests = deployed.expected["requests"] * 12
    together = threading.Barrier(len(requests))

    def ask(request: list[Any]) -> bool:
        together.wait(timeout=20)
        response = deployed.post(request[0])
        return response.status_code == 200 and bool(response.json() == alike(request[1]))

    with ThreadPoolExecutor(len(requests)) as pool:
        assert all(pool.map(ask, requests))
    assert "scored together and had to be" not in deployed.service.get_logs()


def test_a_wrong_request_costs_its_neighbours_nothing(deployed: Deployed) -> None:
    body, answer = deployed.expected["requests"][0]
    bodies = [body, {"data": "nonsense"}] * 8
    together = threading.Barrier(len(bodies))

    def ask(body: object) -> tuple[object, httpx.Response]:
        together.wait(timeout=20)
        return body, deployed.post(body)

    with ThreadPoolExecutor(len(bodies)) as pool:
        for asked, response in pool.map(ask, bodies):
            if asked == body:
                assert (response.status_code, response.json()) == (200, alike(answer))
            else:
                assert (response.status_code, response.headers["content-type"]) == (400, "application/json")


def test_a_wrong_request_is_told_what_is_wrong_with_it(deployed: Deployed) -> None:
    for body, said in deployed.case.wrong:
        response = deployed.post(body)
        assert (response.status_code, response.headers["content-type"]) == (400, "application/json"), response.text
        assert said in response.json()["error"], body


def test_the_generated_code_is_the_users_to_change(deployed: Deployed) -> None:
    (where,) = [line for line in deployed.steps if line.startswith("Auto-generated assets for the no-code deployment")]
    script = Path(where.split(" are in ")[1].split(":")[0]) / "score.py"
    text = script.read_text()
    try:
        script.write_text(text.replace("def init():", "def init():\n    print('taken over')", 1))
        deployed.service.reload()
        body, answer = deployed.expected["requests"][0]
        assert deployed.post(body).json() == alike(answer)
        assert "taken over" in deployed.service.get_logs()
    finally:
        script.write_text(text)
