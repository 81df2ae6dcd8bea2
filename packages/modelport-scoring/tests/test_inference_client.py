"""The Open Inference Protocol as the public Triton client speaks it, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from tritonclient.http import (  # type: ignore[import-untyped]
    InferenceServerClient,
    InferInput,
    InferRequestedOutput,
    InferResult,
)
from tritonclient.utils import InferenceServerException, np_to_triton_dtype  # type: ignore[import-untyped]

from inference_models import Model, contract_of, schemas, serving

NUMBERS = np.arange(16, dtype=np.int32).reshape(1, 16)
ONES = np.ones((1, 16), dtype=np.int32)


@schemas(
    INPUT0=NumpyParameterType(NUMBERS),
    INPUT1=NumpyParameterType(NUMBERS),
    output=StandardPythonParameterType({"OUTPUT0": NumpyParameterType(ONES), "OUTPUT1": NumpyParameterType(ONES)}),
)
def add_and_subtract(INPUT0: Any, INPUT1: Any) -> Any:
    return {"OUTPUT0": (INPUT0 + INPUT1).tolist(), "OUTPUT1": (INPUT0 - INPUT1).tolist()}


@schemas(data=NumpyParameterType(np.array([[1.0, 2.0]])), output=NumpyParameterType(np.array([1.0])))
def sum_rows(data: Any) -> Any:
    return data.sum(axis=1).tolist()


@schemas(words=NumpyParameterType(np.array(["a sample that is long enough"])))
def shout(words: Any) -> Any:
    return [str(word).upper() + "!" for word in words]


@schemas(data=PandasParameterType(pd.DataFrame({"age": [1], "height": [1.5], "name": ["x"], "ok": [True]})))
def describe(data: Any) -> Any:
    assert list(data.dtypes.astype(str)[:2]) == ["int64", "float64"]
    return json.loads(data.assign(double=data.age * 2)[["name", "double"]].to_json(orient="records"))


@pytest.fixture(scope="module")
def simple() -> Iterator[Model]:
    """The model of Triton's own examples: the sum and the difference of two tensors."""
    yield Model(add_and_subtract, contract_of(add_and_subtract, INPUT0=True, INPUT1=True), name="simple", version="1")


@pytest.fixture(scope="module")
def client(simple: Model) -> Iterator[InferenceServerClient]:
    with serving(simple) as url, InferenceServerClient(url) as client:
        yield client


def tensor(name: str, values: Any, *, binary: bool = True) -> InferInput:
    found = InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    found.set_data_from_numpy(values, binary_data=binary)
    return found


def infer_once(model: Model, inputs: list[InferInput], **options: Any) -> InferResult:
    with serving(model) as url, InferenceServerClient(url) as client:
        return client.infer("iris", inputs, **options)


class TestHealthAndMetadata:
    def test_server_and_model_are_ready(self, client: InferenceServerClient) -> None:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("simple")
        assert client.is_model_ready("simple", "1")

    def test_not_ready_is_told(self, client: InferenceServerClient, simple: Model) -> None:
        simple.is_ready = False
        try:
            assert client.is_server_live()
            assert not client.is_server_ready()
            assert not client.is_model_ready("simple")
        finally:
            simple.is_ready = True

    def test_unknown_model_and_version(self, client: InferenceServerClient) -> None:
        assert not client.is_model_ready("other")
        assert not client.is_model_ready("simple", "2")
        with pytest.raises(InferenceServerException, match='no version "2"; served at the moment: 1') as error:
            client.get_model_metadata("simple", "2")
        assert error.value.status() == "404"

    def test_metadata(self, client: InferenceServerClient) -> None:
        assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
        metadata = client.get_model_metadata("simple")
        assert metadata["versions"] == ["1"]
        assert metadata["inputs"] == [
            {"name": name, "datatype": "INT32", "shape": [-1, 16]} for name in ("INPUT0", "INPUT1")
        ]
        assert [output["name"] for output in metadata["outputs"]] == ["OUTPUT0", "OUTPUT1"]


class TestInference:
    @pytest.mark.parametrize("binary_input", [True, False])
    @pytest.mark.parametrize("binary_output", [True, False])
    def test_binary_and_json(self, client: InferenceServerClient, binary_input: bool, binary_output: bool) -> None:
        inputs = [tensor("INPUT0", NUMBERS, binary=binary_input), tensor("INPUT1", ONES, binary=binary_input)]
        outputs = [InferRequestedOutput(name, binary_data=binary_output) for name in ("OUTPUT0", "OUTPUT1")]
        result = client.infer("simple", inputs, outputs=outputs, request_id="r-7")
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), NUMBERS + 1)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), NUMBERS - 1)
        assert result.as_numpy("OUTPUT0").dtype == np.int32
        assert ("data" in result.get_output("OUTPUT0")) is not binary_output
        assert result.get_response()["id"] == "r-7"
        assert result.get_response()["model_name"] == "simple"
        assert result.get_response()["model_version"] == "1"

    def test_one_json_and_one_binary_input(self, client: InferenceServerClient) -> None:
        result = client.infer("simple", [tensor("INPUT1", ONES, binary=False), tensor("INPUT0", NUMBERS)])
        np.testing.assert_array_equal(result.as_numpy("OUTPUT1"), NUMBERS - 1)

    def test_only_the_requested_output_comes(self, client: InferenceServerClient) -> None:
        inputs = [tensor("INPUT0", NUMBERS), tensor("INPUT1", ONES)]
        result = client.infer("simple", inputs, model_version="1", outputs=[InferRequestedOutput("OUTPUT1")])
        assert [output["name"] for output in result.get_response()["outputs"]] == ["OUTPUT1"]

    def test_an_output_that_is_not_there(self, client: InferenceServerClient) -> None:
        inputs = [tensor("INPUT0", NUMBERS), tensor("INPUT1", ONES)]
        with pytest.raises(
            InferenceServerException, match='no output "OUTPUT9"; its outputs are: "OUTPUT0", "OUTPUT1"'
        ):
            client.infer("simple", inputs, outputs=[InferRequestedOutput("OUTPUT9")])

    def test_asynchronous_requests(self, client: InferenceServerClient) -> None:
        inputs = [tensor("INPUT0", NUMBERS), tensor("INPUT1", ONES)]
        pending = [client.async_infer("simple", inputs, request_id=str(number)) for number in range(4)]
        assert [request.get_result().get_response()["id"] for request in pending] == ["0", "1", "2", "3"]

    @pytest.mark.parametrize("algorithm", ["gzip", "deflate"])
    def test_compressed_request(self, client: InferenceServerClient, algorithm: str) -> None:
        inputs = [tensor("INPUT0", NUMBERS), tensor("INPUT1", ONES)]
        result = client.infer("simple", inputs, request_compression_algorithm=algorithm)
        np.testing.assert_array_equal(result.as_numpy("OUTPUT0"), NUMBERS + 1)

    def test_raw_binary_request(self) -> None:
        model = Model(sum_rows, contract_of(sum_rows, data=True))
        headers = {"inference-header-content-length": "0"}
        reply = model.answer("POST", "/v2/models/iris/infer", headers, np.arange(6.0).tobytes())
        assert json.loads(model.bodies[-1]) == {"data": [[0, 1], [2, 3], [4, 5]]}
        length = int(reply.lines.decode().lower().split("inference-header-content-length: ")[1].split("\r")[0])
        np.testing.assert_array_equal(np.frombuffer(reply.body[length:]), [1, 5, 9])


class TestErrors:
    @pytest.mark.parametrize(
        ("values", "says"),
        [
            (np.zeros((1, 16)), 'the input "INPUT0" is of the datatype FP64; the model takes INT32'),
            (np.zeros((1, 15), np.int32), r'the input "INPUT0" has the shape \[1, 15\]; the model takes \[-1, 16\]'),
        ],
    )
    def test_wrong_tensor(self, client: InferenceServerClient, values: Any, says: str) -> None:
        with pytest.raises(InferenceServerException, match=says) as error:
            client.infer("simple", [tensor("INPUT0", values), tensor("INPUT1", ONES)])
        assert error.value.status() == "400"

    def test_missing_and_unknown_input(self, client: InferenceServerClient) -> None:
        with pytest.raises(InferenceServerException, match='the input "INPUT1" is missing'):
            client.infer("simple", [tensor("INPUT0", NUMBERS)])
        with pytest.raises(InferenceServerException, match='no input "INPUT2"; its inputs are: "INPUT0", "INPUT1"'):
            client.infer("simple", [tensor("INPUT2", NUMBERS)])

    def test_run_that_raises(self) -> None:
        def run(data: Any) -> Any:
            raise ValueError(f"no such row: {data}")

        with pytest.raises(InferenceServerException, match="no such row") as error:
            infer_once(Model(run, contract_of(sum_rows, data=True)), [tensor("data", np.ones((1, 2)))])
        assert error.value.status() == "502"


class TestOtherSchemas:
    @pytest.mark.parametrize("binary", [True, False])
    def test_strings(self, binary: bool) -> None:
        words = np.array(["ab", "ü", "", "ßtraße null"], dtype=object)
        result = infer_once(Model(shout, contract_of(shout, words=True)), [tensor("words", words, binary=binary)])
        assert [word.decode() for word in result.as_numpy("output")] == ["AB!", "Ü!", "!", "SSTRASSE NULL!"]

    @pytest.mark.parametrize("binary", [True, False])
    def test_table_with_a_tensor_for_each_column(self, binary: bool) -> None:
        model = Model(describe, contract_of(describe, data=True))
        inputs = [
            tensor("name", np.array(["ann", "bob"], dtype=object), binary=binary),
            tensor("age", np.array([[30], [40]], dtype=np.int64), binary=binary),
            tensor("height", np.array([1.7, 1.8], dtype=np.float32), binary=binary),
            tensor("ok", np.array([True, False]), binary=binary),
        ]
        result = infer_once(model, inputs)
        assert result.as_numpy("name").tolist() == [b"ann", b"bob"]
        assert result.as_numpy("double").tolist() == [60, 80]

    @pytest.mark.parametrize("binary", [True, False])
    def test_numbers_that_json_lacks(self, binary: bool) -> None:
        model = Model(sum_rows, contract_of(sum_rows, data=True))
        values = np.array([[np.inf, 1], [np.nan, 1], [-np.inf, 1], [1e-310, 0]])
        outputs = [InferRequestedOutput("output", binary_data=binary)]
        result = infer_once(model, [tensor("data", values, binary=binary)], outputs=outputs)
        np.testing.assert_array_equal(result.as_numpy("output"), values.sum(axis=1))

    def test_many_rows(self) -> None:
        values = np.random.default_rng(0).normal(size=(70_000, 2))
        result = infer_once(Model(sum_rows, contract_of(sum_rows, data=True)), [tensor("data", values)])
        np.testing.assert_array_equal(result.as_numpy("output"), values.sum(axis=1))
