"""Extensions of the Open Inference Protocol: classification, the model's configuration, and the index."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from tritonclient.http import (  # type: ignore[import-untyped]
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
)
from tritonclient.utils import InferenceServerException  # type: ignore[import-untyped]

from inference_models import Model, contract_from, contract_of, schemas, serving
from modelport_scoring.inference_protocol.classification import classify
from modelport_scoring.inference_protocol.codec import InferRequest, WantedOutput
from modelport_scoring.inference_protocol.datatypes import DATATYPES
from modelport_scoring.inference_protocol.jobs import Wanted
from modelport_scoring.inference_protocol.mapping import map_tensors
from modelport_scoring.inference_protocol.model_config import describe_config
from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.inference_protocol.tensors import Tensor, pack_elements

FLOATS = {
    "FP16": st.floats(width=16, allow_nan=False),
    "FP32": st.floats(width=32, allow_nan=False),
    "FP64": st.floats(allow_nan=False),
}
SCORES = np.array([[0.25, 3.5, 0.1], [7.0, 7.0, math.nan]])


class LabelledScores(NumpyParameterType):  # type: ignore[misc]
    """What a script writes to name its classes."""

    def input_to_swagger(self) -> dict[str, Any]:
        return {**super().input_to_swagger(), "x-tensor-labels": ["cat", "dog"]}


@schemas(data=NumpyParameterType(SCORES[:1]), output=LabelledScores(SCORES[:1]))
def give_back(data: Any) -> Any:
    return data.tolist()


@pytest.fixture(scope="module")
def model() -> Model:
    return Model(give_back, contract_of(give_back, data=True))


@pytest.fixture(scope="module")
def client(model: Model) -> Iterator[InferenceServerClient]:
    with serving(model) as url, InferenceServerClient(url) as client:
        yield client


def classes_of(values: Any, datatype: str, count: int, *labels: str) -> list[str]:
    array = np.asarray(values, dtype=object)
    tensor = Tensor("y", DATATYPES[datatype], array.shape, values=array.ravel().tolist())
    found = classify(tensor, count, labels)
    assert found.count == len(found.values())
    return [element.decode() for element in found.values()]  # type: ignore[union-attr]


class TestClassification:
    @pytest.mark.parametrize("binary", [True, False])
    def test_highest_values_with_labels(self, client: InferenceServerClient, binary: bool) -> None:
        data = InferInput("data", [2, 3], "FP64")
        data.set_data_from_numpy(SCORES)
        wanted = InferRequestedOutput("output", binary_data=binary, class_count=2)
        result = client.infer("iris", [data], outputs=[wanted])
        found = [
            [text if isinstance(text, str) else text.decode() for text in row] for row in result.as_numpy("output")
        ]
        assert found == [["3.5:1:dog", "0.25:0:cat"], ["7:0:cat", "7:1:dog"]]
        assert result.get_output("output")["datatype"] == "BYTES"

    def test_no_label_where_there_is_none_and_not_a_number_comes_last(self) -> None:
        assert classes_of(SCORES[1], "FP64", 9, "cat") == ["7:0:cat", "7:1", "nan:2"]
        assert classes_of([-math.inf, math.nan, math.inf], "FP32", 3) == ["inf:2", "-inf:0", "nan:1"]

    def test_integers_and_a_tensor_of_one_dimension(self) -> None:
        assert classes_of([2**63 - 1, 5, 2**63 - 2], "INT64", 2) == [f"{2**63 - 1}:0", f"{2**63 - 2}:2"]

    def test_rows_of_several_dimensions(self) -> None:
        assert classes_of([[[1, 2], [9, 3]], [[5, 6], [7, 8]]], "INT8", 1) == ["9:2", "8:3"]

    @pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0,)])
    def test_nothing_to_choose_from(self, shape: tuple[int, ...]) -> None:
        found = classify(Tensor("y", DATATYPES["FP64"], shape, values=[]), 2, ())
        assert (found.count, found.shape[:-1]) == (0, shape[:-1])

    @pytest.mark.parametrize("datatype", ["BYTES", "BOOL"])
    def test_what_are_no_numbers(self, datatype: str) -> None:
        with pytest.raises(ProtocolError, match=f'the output "y" is {datatype}, and classification compares numbers'):
            classes_of([True], datatype, 1)

    @pytest.mark.parametrize("count", [-1, 1.5, True, "3"])
    def test_a_number_of_classes_that_is_none(self, model: Model, count: Any) -> None:
        body = {"inputs": [], "outputs": [{"name": "output", "parameters": {"classification": count}}]}
        reply = model.answer("POST", "/v2/models/iris/infer", {}, json.dumps(body).encode())
        assert (reply.status, "it takes a number of classes" in json.loads(reply.body)["error"]) == (400, True)

    @given(st.data(), st.sampled_from(list(FLOATS)))
    def test_numbers_are_written_so_that_the_same_are_read(self, data: st.DataObject, name: str) -> None:
        value = data.draw(FLOATS[name])
        (text,) = classes_of([value], name, 1)
        written = text.removesuffix(":0")
        assert pack_elements(DATATYPES[name], [float(written)]) == pack_elements(DATATYPES[name], [value])
        assert len(written) <= 24

    @pytest.mark.parametrize(
        ("value", "datatype", "text"),
        [(0.1, "FP32", "0.1"), (0.1, "FP64", "0.1"), (1e20, "FP32", "1e+20"), (5.0, "FP16", "5")],
    )
    def test_numbers_are_as_short_as_their_datatype_allows(self, value: float, datatype: str, text: str) -> None:
        assert classes_of([value], datatype, 1) == [f"{text}:0"]

    def test_the_process_beside_the_server_is_told(self) -> None:
        request = InferRequest(inputs={}, id="7", outputs=[WantedOutput("y", True, 3)])
        assert Wanted.of(request).request == request


def config_of(*, output: Any = None, **inputs: Any) -> dict[str, Any]:
    @schemas(output=output, **inputs)
    def run(**arguments: Any) -> Any: ...

    contract = contract_of(run, **{name: name != "optional" for name in inputs})
    return describe_config(map_tensors(contract), model="iris", platform="p", versions=["3", "12"])


class TestConfiguration:
    def test_of_the_client(self, client: InferenceServerClient) -> None:
        assert "model_configuration" in client.get_server_metadata()["extensions"]
        config = client.get_model_config("iris", "3")
        assert (config["name"], config["max_batch_size"]) == ("iris", 2**31 - 1)
        (given_input,), (output,) = config["input"], config["output"]
        assert (given_input["name"], given_input["data_type"], given_input["dims"]) == ("data", "TYPE_FP64", [3])
        assert (output["name"], output["data_type"], output["dims"]) == ("output", "TYPE_FP64", [3])

    def test_a_table_has_rows(self) -> None:
        config = config_of(data=PandasParameterType(pd.DataFrame({"age": [1], "name": ["x"]})))
        assert config["max_batch_size"] > 0
        assert [(column["data_type"], column["dims"], column["reshape"]) for column in config["input"]] == [
            ("TYPE_INT64", [1], {"shape": []}),
            ("TYPE_STRING", [1], {"shape": []}),
        ]
        assert config["version_policy"]["specific"]["versions"] == [3, 12]

    @pytest.mark.parametrize("sample", [[1.5, 2.5], 3, "text"])
    def test_what_may_be_one_example_has_none(self, sample: Any) -> None:
        config = config_of(
            data=NumpyParameterType(np.ones((2, 2))), optional=StandardPythonParameterType(sample), output=None
        )
        assert config["max_batch_size"] == 0
        assert {found["name"]: found["optional"] for found in config["input"]} == {"data": False, "optional": True}
        assert next(found for found in config["input"] if found["name"] == "data")["dims"] == [-1, 2]

    def test_an_output_of_fixed_size_is_not_one_of_rows(self) -> None:
        sample = NumpyParameterType(np.ones((2, 2)))
        assert config_of(data=sample, output=StandardPythonParameterType(1.5))["max_batch_size"] == 0
        assert config_of(data=sample, output=NumpyParameterType(np.ones(2)))["max_batch_size"] > 0

    @pytest.mark.parametrize(
        ("shape", "expected"),
        [
            ((1, 8, 8, 3), "NHWC"),
            ((1, 3, 8, 8), "NCHW"),
            ((1, 3, 8, 3), "NONE"),
            ((1, 8, 8, 8), "NONE"),
            ((1, 3), "NONE"),
        ],
    )
    def test_format_of_images(self, shape: tuple[int, ...], expected: str) -> None:
        (found,) = config_of(data=NumpyParameterType(np.zeros(shape, dtype="float32")))["input"]
        assert found["format"] == f"FORMAT_{expected}"

    def test_labels_that_are_none(self, model: Model) -> None:
        schema = {"type": "array", "items": {"type": "number"}, "x-tensor-labels": "cat"}
        mapping = map_tensors(contract_from({"data": {"type": "integer"}}, output=schema))
        assert mapping.describe_outputs() == []


class TestIndex:
    def test_models(self, client: InferenceServerClient, model: Model) -> None:
        ready = {"name": "iris", "version": "3", "state": "READY", "reason": ""}
        assert client.get_model_repository_index() == [ready]
        model.is_ready = False
        try:
            (found,) = client.get_model_repository_index()
            assert (found["state"], bool(found["reason"])) == ("UNAVAILABLE", True)
            assert model.answer("POST", "/v2/repository/index", {}, b'{"ready": true}').body == b"[]"
        finally:
            model.is_ready = True

    @pytest.mark.parametrize(
        "body",
        [
            b"{",
            b'{"ready": 1}',
            b"[" * 100_000,
            b'{"a": ' + b"[" * 100_000,
            b'{"\xff": 1, "ready": "\xff"}',
            b'{"ready": true' + b" " * 10_000 + b"}",
        ],
    )
    def test_a_question_that_is_none(self, model: Model, body: bytes) -> None:
        reply = model.answer("POST", "/v2/repository/index", {}, body)
        assert (reply.status, "does not ask for an index" in json.loads(reply.body)["error"]) == (400, True)
        assert model.answer("GET", "/v2/repository/index", {}, b"").status == 405


class TestNotOffered:
    def test_what_the_clients_ask_for(self, client: InferenceServerClient) -> None:
        for ask, says in (
            (client.unregister_system_shared_memory, "shared memory extension is not offered: send tensors"),
            (client.get_cuda_shared_memory_status, "shared memory extension is not offered: send tensors"),
            (lambda: client.load_model("iris"), "deploy, update or delete the service"),
            (lambda: client.unload_model("iris"), "deploy, update or delete the service"),
            (client.get_trace_settings, "trace extension is not offered"),
            (lambda: client.get_trace_settings("iris"), "trace extension is not offered"),
            (client.get_log_settings, "logging extension is not offered"),
        ):
            with pytest.raises(InferenceServerException, match=says) as error:
                ask()
            assert error.value.status() == "404"

    def test_tensors_in_shared_memory(self, client: InferenceServerClient) -> None:
        data, output = InferInput("data", [1, 3], "FP64"), InferRequestedOutput("output")
        data.set_shared_memory("region", 24)
        with pytest.raises(InferenceServerException, match='the input "data" is to lie in shared memory'):
            client.infer("iris", [data])
        data.set_data_from_numpy(SCORES[:1])
        output.set_shared_memory("region", 24)
        with pytest.raises(InferenceServerException, match='the output "output" is to lie in shared memory'):
            client.infer("iris", [data], outputs=[output])


def test_generate_is_named(model: Model) -> None:
    reply = model.answer("POST", "/v2/models/iris/versions/3/generate_stream", {}, struct.pack("<q", 1))
    assert (reply.status, "generate extension" in json.loads(reply.body)["error"]) == (404, True)
