"""The Open Inference Protocol of a real service: the scoring server, its worker, and the public Triton client."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import pytest
from tritonclient.http import (  # type: ignore[import-untyped]
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
)
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # type: ignore[import-untyped]

from modelport_scoring import ServiceState
from scoring_services import RunningService, Services

SUM = """
import numpy as np
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.schema_decorators import input_schema, output_schema

def init():
    pass

@input_schema("data", NumpyParameterType(np.array([[1.0, 2.0]], dtype={dtype!r})))
@output_schema(NumpyParameterType(np.array([1.0])))
def run(data):
    assert data.dtype == {dtype!r}, data.dtype
    if data[0, 0] < 0:
        raise ValueError("negative")
    return data.sum(axis=1).tolist()
"""
KEY = "the-key-of-the-service"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    made = Services(tmp_path_factory.mktemp("inference"))
    try:
        yield made.start(SUM.format(dtype="float64"), path_prefix="/api/v1/service/demo")
    finally:
        made.end()


@pytest.fixture(scope="module")
def client(service: RunningService) -> Iterator[InferenceServerClient]:
    with InferenceServerClient(f"127.0.0.1:{service.settings.port}/api/v1/service/demo") as client:
        yield client


def tensor(values: np.ndarray, *, binary: bool = True) -> InferInput:
    found = InferInput("data", list(values.shape), np_to_triton_dtype(values.dtype))
    found.set_data_from_numpy(values, binary_data=binary)
    return found


def client_of(service: RunningService) -> InferenceServerClient:
    return InferenceServerClient(f"127.0.0.1:{service.settings.port}")


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("dtype", ["float64", "float32", "int16"])
def test_inference(client: InferenceServerClient, binary: bool, dtype: str) -> None:
    values = np.arange(8, dtype=dtype).reshape(4, 2)
    outputs = [InferRequestedOutput("output", binary_data=binary)]
    result = client.infer("demo", [tensor(values, binary=binary)], outputs=outputs, request_id="7")
    np.testing.assert_array_equal(result.as_numpy("output"), values.sum(axis=1))
    assert result.get_response()["id"] == "7"
    assert result.get_response()["model_version"] == "1"


def test_a_narrower_sample_gets_its_own_type(services: Services) -> None:
    service = services.start(SUM.format(dtype="float32"))
    values = np.array([[0.1, 0.2]], dtype="float32")
    with client_of(service) as client:
        assert client.get_model_metadata("demo")["inputs"][0]["datatype"] == "FP32"
        result = client.infer("demo", [tensor(values)])
        assert result.as_numpy("output")[0] == values.sum(dtype="float32")


def test_numbers_that_json_lacks(client: InferenceServerClient) -> None:
    values = np.array([[np.nan, 1], [np.inf, 1]])
    for binary in (True, False):
        result = client.infer("demo", [tensor(values, binary=binary)])
        np.testing.assert_array_equal(result.as_numpy("output"), [np.nan, np.inf])


def test_health_and_metadata(client: InferenceServerClient) -> None:
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("demo", "1")
    assert client.get_server_metadata()["name"] == "modelport"
    assert client.get_model_metadata("demo") == {
        "name": "demo",
        "versions": ["1"],
        "platform": "modelport_python",
        "inputs": [{"name": "data", "datatype": "FP64", "shape": [-1, 2]}],
        "outputs": [{"name": "output", "datatype": "FP64", "shape": [-1]}],
    }


def test_statistics(services: Services) -> None:
    service = services.start(SUM.format(dtype="float64"))
    with client_of(service) as client:
        (before,) = client.get_inference_statistics("demo")["model_stats"]
        assert (before["inference_count"], before["last_inference"], before["version"]) == (0, 0, "1")
        began = time.time()
        for value in (1.0, 2.0, -1.0):
            with suppress(InferenceServerException):
                client.infer("demo", [tensor(np.array([[value, 1.0]]))])
        (stats,) = client.get_inference_statistics("demo", "1")["model_stats"]
        assert client.get_inference_statistics()["model_stats"][0]["name"] == "demo"
    assert (stats["inference_count"], stats["execution_count"], stats["batch_stats"]) == (2, 3, [])
    assert {name: timed["count"] for name, timed in stats["inference_stats"].items() if timed["ns"]} == {
        "success": 2,
        "fail": 1,
        "queue": 3,
        "compute_infer": 3,
    }
    assert began - 2 < stats["last_inference"] / 1000 < time.time() + 2
    assert service.ask("GET", "/v2/models/other/stats").status == 404
    assert service.ask("GET", "/v2/models/demo/versions/2/stats").status == 404


def test_statistics_of_what_is_not_counted(services: Services) -> None:
    service = services.start(SUM.format(dtype="float64"), telemetry={"metrics": False})
    answer = service.ask("GET", "/v2/models/demo/stats")
    assert (answer.status, "telemetry.metrics is false" in answer.json["error"]) == (404, True)


def test_errors_have_the_protocols_shape(client: InferenceServerClient, service: RunningService) -> None:
    with pytest.raises(InferenceServerException, match=r"^\[502\] negative$"):
        client.infer("demo", [tensor(np.array([[-1.0, 1.0]]))])
    with pytest.raises(InferenceServerException, match=r"has the shape \[1, 3\]; the model takes \[-1, 2\]"):
        client.infer("demo", [tensor(np.ones((1, 3)))])
    with pytest.raises(InferenceServerException, match='Request for unknown model: "other"'):
        client.infer("other", [tensor(np.ones((1, 2)))])
    answer = service.ask("GET", "/api/v1/service/demo/v2/models/demo/infer")
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    answer = service.ask("GET", "/api/v1/service/demo/v2/models/demo/configs")
    assert (answer.status, list(answer.json)) == (404, ["error"])
    answer = service.ask("POST", "/api/v1/service/demo/v2/repository/index", body='{"ready": true}')
    assert [(found["name"], found["state"]) for found in answer.json] == [("demo", "READY")]
    answer = service.ask("POST", "/api/v1/service/demo/v2/models/demo/infer", body="no json")
    assert answer.status == 400
    assert list(answer.json) == ["error"]
    assert answer.headers["x-ms-run-function-failed"] == "False"
    coded = {"Content-Encoding": "br"}
    answer = service.ask("POST", "/api/v1/service/demo/v2/models/demo/infer", body="{}", headers=coded)
    assert (answer.status, list(answer.json), answer.headers["accept-encoding"]) == (415, ["error"], "gzip, deflate")


def test_a_script_without_tensors(services: Services) -> None:
    service = services.start()
    for method, path in (("GET", "/v2/models/demo"), ("POST", "/v2/models/demo/infer")):
        answer = service.ask(method, path, body='{"inputs": []}')
        assert answer.status == 400
        assert "has no @input_schema" in answer.json["error"]
    assert service.ask("GET", "/v2/models/demo/ready").json == {"name": "demo", "ready": True}


ROWS = """
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("size", StandardPythonParameterType(1))
def run(size):
    return [list(range(size))] * 2
"""

NAMES_FROM_THE_CLIENT = """
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("labels", StandardPythonParameterType(["a"]))
@input_schema("size", StandardPythonParameterType(1))
def run(labels, size=1):
    return {chr(int(label, 16)): "x" * size for label in labels}
"""


def test_classes_of_a_large_answer(services: Services) -> None:
    """They are chosen in the process beside the server, and only they are sent."""
    service = services.start(ROWS)
    inputs = [{"name": "size", "datatype": "INT64", "shape": [1], "data": [100_000]}]
    body = {"inputs": inputs, "outputs": [{"name": "output", "parameters": {"classification": 2}}]}
    answer = service.ask("POST", "/v2/models/demo/infer", body=json.dumps(body))
    (output,) = answer.json["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [2, 2])
    assert output["data"] == ["99999:99999", "99998:99998"] * 2


@pytest.mark.parametrize("size", [1, 600_000])
def test_an_output_whose_name_is_no_text(services: Services, size: int) -> None:
    """Names may be what clients send: then one of them would end the worker, and wait for ever."""
    service = services.start(NAMES_FROM_THE_CLIENT)
    for label, status in (("d800", 500), ("78", 200)):
        inputs = [
            {"name": "labels", "datatype": "BYTES", "shape": [1], "data": [label]},
            {"name": "size", "datatype": "INT64", "shape": [1], "data": [size]},
        ]
        answer = service.ask("POST", "/v2/models/demo/infer", body=json.dumps({"inputs": inputs}))
        assert answer.status == status, answer.body[:500]
        assert status == 200 or "a name that UTF-8 cannot hold" in answer.json["error"]
    assert [worker.restarts for worker in service.status.workers] == [0]


HEADERS_OF_THE_BODY = """
import gzip
from azureml.contrib.services.aml_response import AMLResponse
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema

def init():
    pass

@input_schema("packed", StandardPythonParameterType(True))
def run(packed):
    body = gzip.compress(b"[1.5]") if packed else b"[1.5]"
    headers = {"ETag": "of-the-json", "X-Own": "kept"}
    if packed:
        headers["Content-Encoding"] = "gzip"
    return AMLResponse(body, 200, headers, json_str=False)
"""


def test_headers_of_the_scripts_body_are_not_those_of_the_tensors(services: Services) -> None:
    service = services.start(HEADERS_OF_THE_BODY)
    for packed, status in ((False, 200), (True, 500)):
        inputs = [{"name": "packed", "datatype": "BOOL", "shape": [1], "data": [packed]}]
        answer = service.ask("POST", "/v2/models/demo/infer", body=json.dumps({"inputs": inputs}))
        assert (answer.status, answer.headers["x-own"]) == (status, "kept")
        assert not {"etag", "content-encoding"} & answer.headers.keys()
        assert answer.json["outputs"][0]["data"] == [1.5] if status == 200 else "is not JSON" in answer.json["error"]


def test_probes_need_no_key_and_the_rest_does(services: Services) -> None:
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    service = services.start(SUM.format(dtype="float64"), auth={"enabled": True, "key_digests": [digest]})
    with client_of(service) as client:
        assert client.is_server_live() and client.is_server_ready()
        assert not client.is_model_ready("demo")
        with pytest.raises(InferenceServerException, match=r"^\[401\] ") as error:
            client.infer("demo", [tensor(np.ones((1, 2)))])
        assert "decoding the response" not in str(error.value)
        headers = {"Authorization": f"Bearer {KEY}"}
        assert client.infer("demo", [tensor(np.ones((1, 2)))], headers=headers).as_numpy("output") == [2.0]


def test_a_service_that_is_not_ready(services: Services) -> None:
    service = services.start(
        "import time\ndef init(): time.sleep(600)\ndef run(data): pass", until=ServiceState.STARTING
    )
    assert service.ask("GET", "/v2/health/live").status == 200
    assert service.ask("GET", "/v2/health/ready").status == 503
    assert service.ask("GET", "/v2/models/demo/ready").json == {"name": "demo", "ready": False}
    assert "not ready" in service.ask("GET", "/v2/models/demo").json["error"]


def test_the_version_follows_a_switch(services: Services) -> None:
    service = services.start(SUM.format(dtype="float64"))
    body = json.dumps({"inputs": [{"name": "data", "datatype": "FP64", "shape": [1, 2], "data": [1, 2]}]})
    assert service.ask("POST", "/v2/models/demo/versions/1/infer", body=body).json["model_version"] == "1"
    service.control.switch(service.revision(2, SUM.format(dtype="float64")))
    assert service.ask("POST", "/v2/models/demo/versions/1/infer", body=body).status == 404
    answer = service.ask("POST", "/v2/models/demo/versions/2/infer", body=body)
    assert (answer.json["model_version"], answer.json["outputs"][0]["data"]) == ("2", [3.0])
