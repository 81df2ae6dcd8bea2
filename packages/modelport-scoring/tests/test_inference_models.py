"""How the schemas of scripts map to tensors, and what the paths of the Open Inference Protocol answer."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType
from inference_schema.parameter_types.numpy_parameter_type import NumpyParameterType
from inference_schema.parameter_types.pandas_parameter_type import PandasParameterType
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType

from inference_models import Model, contract_from, contract_of, schemas, target
from modelport_scoring.inference_protocol.answers import read_answer
from modelport_scoring.inference_protocol.codec import decode_request
from modelport_scoring.inference_protocol.mapping import TensorMapping, map_tensors
from modelport_scoring.inference_protocol.paths import Place, read_target
from modelport_scoring.inference_protocol.protocol import ProtocolError, error_reply_from
from modelport_scoring.inference_protocol.schemas import NoTensors, ObjectPart
from modelport_scoring.inference_protocol.score_input import ScoreInput
from modelport_scoring.workers.contract import Contract, Parameter

FRAME = pd.DataFrame({"a": [1], "b": [1.5], "c": ["x"], "d": [True], "e": pd.to_datetime(["2020-01-01"])})
DOUBLES = {"type": "array", "items": {"type": "number", "format": "double"}, "format": "numpy.ndarray"}
INTEGERS = {"type": "array", "items": {"type": "integer", "format": "int64"}}
ANYTHING = {"type": "object"}


def mapped(sample: AbstractParameterType) -> TensorMapping:
    """The tensors of ``run(data)`` with that sample."""

    @schemas(data=sample)
    def run(data: Any) -> None: ...

    return map_tensors(contract_of(run, data=True))


def inputs_of(mapping: TensorMapping) -> list[tuple[str, str, list[int]]]:
    return [(found["name"], found["datatype"], found["shape"]) for found in mapping.describe_inputs()]


def body_of(mapping: TensorMapping, *inputs: tuple[str, str, list[int], Any]) -> Any:
    """What ``run`` gets for inputs of a name, a datatype, a shape and data."""
    return json.loads(score_input(mapping, *inputs).body())


def score_input(mapping: TensorMapping, *inputs: tuple[str, str, list[int], Any]) -> ScoreInput:
    objects = [dict(zip(("name", "datatype", "shape", "data"), found, strict=True)) for found in inputs]
    return ScoreInput(mapping, decode_request(json.dumps({"inputs": objects}).encode()).inputs)


class TestInputs:
    @pytest.mark.parametrize(
        ("dtype", "datatype"),
        [(f"{sign}int{bits}", f"{sign.upper()}INT{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]
        + [("float16", "FP32"), ("float32", "FP32"), ("float64", "FP64"), ("bool", "BOOL"), ("U3", "BYTES")],
    )
    def test_arrays(self, dtype: str, datatype: str) -> None:
        mapping = mapped(NumpyParameterType(np.zeros((2, 3, 1), dtype=dtype)))
        assert inputs_of(mapping) == [("data", datatype, [-1, 3, 1])]

    def test_table(self) -> None:
        mapping = mapped(PandasParameterType(FRAME))
        assert inputs_of(mapping) == [
            (name, datatype, [-1])
            for name, datatype in zip("abcde", ["INT64", "FP64", "BYTES", "BOOL", "BYTES"], strict=True)
        ]
        rows = body_of(
            mapping,
            ("a", "INT32", [2], [1, 2]),
            ("b", "FP64", [2, 1], [[0.5], [math.inf]]),
            ("c", "BYTES", [2], ["null", "y"]),
            ("d", "BOOL", [2], [True, False]),
            ("e", "BYTES", [2], ["2020", "2021"]),
        )["data"]
        assert rows[0] == {"a": 1, "b": 0.5, "c": "null", "d": True, "e": "2020"}
        assert rows[1]["b"] == math.inf

    def test_columns_of_different_length(self) -> None:
        mapping = mapped(PandasParameterType(FRAME[["a", "b"]]))
        with pytest.raises(ProtocolError, match='the input "b" has 2 rows, and the input "a" has 1'):
            body_of(mapping, ("a", "INT64", [1], [1]), ("b", "FP64", [2], [1, 2]))

    def test_column_of_lists(self) -> None:
        mapping = mapped(PandasParameterType(pd.DataFrame({"a": [[1, 2]], "b": [1]})))
        assert inputs_of(mapping) == [("a", "INT64", [-1, -1]), ("b", "INT64", [-1])]
        body = body_of(mapping, ("a", "INT64", [2, 1], [1, 2]), ("b", "INT64", [2], [3, 4]))
        assert body == {"data": [{"a": [1], "b": 3}, {"a": [2], "b": 4}]}

    def test_table_without_rows(self) -> None:
        mapping = mapped(PandasParameterType(FRAME[["a"]]))
        assert body_of(mapping, ("a", "INT64", [0], [])) == {"data": []}

    def test_table_of_values(self) -> None:
        mapping = mapped(PandasParameterType(FRAME[["a", "b"]], orient="values"))
        assert inputs_of(mapping) == [("data", "FP64", [-1, 2])]

    @pytest.mark.parametrize(
        ("sample", "datatype", "shape"),
        [
            ([1, 2], "INT64", [-1]),
            ([1.5, 2], "FP64", [-1]),
            ([[1.5, 2], [3, 4]], "FP64", [-1, -1]),
            (["a"], "BYTES", [-1]),
            (7, "INT64", [1]),
            (0.5, "FP64", [1]),
            (True, "BOOL", [1]),
            ("text", "BYTES", [1]),
            (b"\xff", "BYTES", [1]),
        ],
    )
    def test_standard_types(self, sample: Any, datatype: str, shape: list[int]) -> None:
        assert inputs_of(mapped(StandardPythonParameterType(sample))) == [("data", datatype, shape)]

    def test_sizes_that_are_not_enforced_are_free(self) -> None:
        contract = contract_from({"data": {**DOUBLES, "items": DOUBLES}}, example={"data": [[1.0, 2.0]]})
        assert map_tensors(contract).describe_inputs()[0]["shape"] == [-1, 2]
        parameters = [msgspec.structs.replace(found, unchecked=["shape"]) for found in contract.parameters]
        freed = map_tensors(msgspec.structs.replace(contract, parameters=parameters))
        assert freed.describe_inputs()[0]["shape"] == [-1, -1]

    @pytest.mark.parametrize("sample", [NumpyParameterType(np.array([1.5])), StandardPythonParameterType([1.5])])
    def test_one_dimension_comes_with_another_one_of_size_1(self, sample: Any) -> None:
        """MLServer's codecs send it so (mlserver.codecs.utils.inject_batch_dimension)."""
        mapping = mapped(sample)
        for data in ([1, 2.5], [[1], [2.5]]):
            assert body_of(mapping, ("data", "FP64", [2, 1], data)) == {"data": [1, 2.5]}
        for shape in ([1, 2], [2, 1, 1], []):
            with pytest.raises(ProtocolError, match=r"the model takes \[-1\]"):
                body_of(mapping, ("data", "FP64", shape, [1.5] * math.prod(shape)))

    @pytest.mark.parametrize("shape", [[], [1], [1, 1]])
    def test_a_scalar_is_one_element(self, shape: list[int]) -> None:
        mapping = mapped(StandardPythonParameterType(7))
        assert body_of(mapping, ("data", "INT64", shape, [9])) == {"data": 9}
        with pytest.raises(ProtocolError, match=r'the input "data" has the shape \[2\]; the model takes \[1\]'):
            body_of(mapping, ("data", "INT64", [2], [9, 9]))

    def test_bytes_go_in_base64(self) -> None:
        mapping = mapped(StandardPythonParameterType(b"sample"))
        assert body_of(mapping, ("data", "BYTES", [1], ["hé"])) == {"data": "aMOp"}

    def test_nested_members_and_optional_parameters(self) -> None:
        tables = StandardPythonParameterType({"in": PandasParameterType(FRAME[["a"]]), "more": {"a": [1], "z": "t"}})

        @schemas(Inputs=tables, mode=StandardPythonParameterType("fast"))
        def nested(Inputs: Any, mode: Any = None, other: Any = None) -> None: ...

        mapping = map_tensors(contract_of(nested, Inputs=True, mode=False, other=False))
        names = [("Inputs.in.a", "INT64", [-1]), ("Inputs.more.a", "INT64", [-1]), ("z", "BYTES", [1])]
        assert inputs_of(mapping) == [*names, ("mode", "BYTES", [1])]
        given = [("Inputs.in.a", "INT64", [1], [5]), ("Inputs.more.a", "INT64", [2], [6, 7])]
        body = {"Inputs": {"in": [{"a": 5}], "more": {"a": [6, 7], "z": "t"}}}
        assert body_of(mapping, *given, ("z", "BYTES", [1], ["t"])) == body
        assert body_of(mapping, *given, ("z", "BYTES", [], ["t"]), ("mode", "BYTES", [1], ["m"])) == {
            **body,
            "mode": "m",
        }
        with pytest.raises(ProtocolError, match='the input "z" is missing'):
            body_of(mapping, *given)

    def test_schemas_without_marks_of_older_packages(self) -> None:
        table = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}
        array = {"type": "array", "items": {"type": "array", "items": {"type": "number", "format": "float"}}}
        mapping = map_tensors(contract_from({"table": table, "array": array}))
        assert inputs_of(mapping) == [("a", "INT64", [-1]), ("array", "FP32", [-1, -1])]

    @pytest.mark.parametrize(
        ("contract", "why"),
        [
            (Contract(input="text"), r"its run\(\) has no @input_schema and reads the request's body"),
            (Contract(input="raw"), "is decorated with @rawhttp"),
            (contract_from({"data": ANYTHING}), r'"data" of run\(\) is an object without declared members'),
            (contract_from({"data": {}}), "has no type that a tensor can have"),
            (contract_from({"data": {"type": "array", "items": ANYTHING}}), 'is of the type "object"'),
            (contract_from({"data": INTEGERS}, example={"data": [1, "a"]}), "has elements of different types"),
            (contract_from({}), "no parameter"),
            (
                contract_from({"data": {"type": "object", "format": "pandas.DataFrame:split"}}),
                'a table with the orient "split"; only "records" and "values" map to tensors',
            ),
            (
                contract_from(
                    {
                        "data": {
                            "type": "array",
                            "format": "numpy.ndarray",
                            "items": {**ANYTHING, "properties": {"a": {}}},
                        }
                    }
                ),
                "an array of records",
            ),
            (
                contract_from(
                    {"a.b": INTEGERS, "a": {**ANYTHING, "properties": {"b": INTEGERS}}, "b": INTEGERS},
                ),
                'two tensors with the name "a.b"',
            ),
        ],
    )
    def test_what_has_no_tensors(self, contract: Contract, why: str) -> None:
        with pytest.raises(NoTensors, match=why):
            map_tensors(contract)

    def test_a_schema_without_end(self) -> None:
        schema: dict[str, Any] = INTEGERS
        for _ in range(100):
            schema = {**ANYTHING, "properties": {"a": schema}}
        with pytest.raises(NoTensors, match="nested too deeply"):
            map_tensors(contract_from({"data": schema}))


class TestArrays:
    """What goes to the worker without JSON."""

    MAPPING = map_tensors(contract_from({"data": {**DOUBLES, "items": DOUBLES}}, example={"data": [[1.0, 2.0]]}))

    def array(self, datatype: str, *, type: str = "<f8", row: tuple[int, ...] = (2,)) -> Any:
        found = score_input(self.MAPPING, ("data", datatype, [2, 2], [1, 2, 3, 4]))
        return found.array(parameter="data", type=type, row=row)

    @pytest.mark.parametrize("datatype", ["FP64", "FP32", "FP16", "UINT32", "INT8"])
    def test_numbers_that_a_double_holds(self, datatype: str) -> None:
        assert self.array(datatype) == struct.pack("<4d", 1, 2, 3, 4)

    def test_integers(self) -> None:
        mapping = map_tensors(contract_from({"data": INTEGERS}))
        for datatype in ("INT64", "UINT8"):
            found = score_input(mapping, ("data", datatype, [2], [1, 2]))
            assert found.array(parameter="data", type="<i8", row=()) == struct.pack("<2q", 1, 2)
            assert found.array(parameter="data", type="<f8", row=()) is None

    def test_another_one_takes_the_ordinary_way(self) -> None:
        assert self.array("FP64", type="<i8") is None
        assert self.array("FP64", type="<f4") is None
        assert self.array("FP64", row=(4,)) is None
        words = map_tensors(contract_from({"data": {"type": "array", "items": {"type": "string"}}}))
        found = score_input(words, ("data", "BYTES", [1], ["a"]))
        assert found.array(parameter="data", type="<f8", row=()) is None

    def test_binary_data_are_not_copied(self) -> None:
        head = json.dumps(
            {"inputs": [{"name": "data", "datatype": "FP64", "shape": [1, 2], "parameters": {"binary_data_size": 16}}]}
        ).encode()
        body = bytearray(head + bytes(16))
        found = ScoreInput(self.MAPPING, decode_request(body, header_length=len(head)).inputs)
        array = found.array(parameter="data", type="<f8", row=[2])
        assert isinstance(array, memoryview)
        assert array.obj is body

    def test_a_second_parameter(self) -> None:
        contract = contract_from({"data": DOUBLES, "more": INTEGERS})
        found = score_input(map_tensors(contract), ("data", "FP64", [1], [1]))
        assert found.array(parameter="data", type="<f8", row=()) is None
        with pytest.raises(ProtocolError, match='the input "more" is missing'):
            found.body()


def answered(answer: Any, *, output: Any = None) -> list[dict[str, Any]]:
    """The outputs that an answer of ``run`` becomes, where that is the output schema."""
    mapping = map_tensors(contract_from({"data": INTEGERS}, output=output))
    tensors = read_answer(json.dumps(answer).encode(), mapping)
    return [{**tensor.describe(), "data": list(tensor.values())} for tensor in tensors]


def one(datatype: str, shape: list[int], data: list[Any], *, name: str = "output") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


class TestOutputs:
    @pytest.mark.parametrize(
        ("answer", "expected"),
        [
            ([1, 2], [one("INT64", [2], [1, 2])]),
            ([2**63], [one("UINT64", [1], [2**63])]),
            ([1, 2.5], [one("FP64", [2], [1.0, 2.5])]),
            ([[1, 2], [3, 4]], [one("INT64", [2, 2], [1, 2, 3, 4])]),
            ([True], [one("BOOL", [1], [True])]),
            (["a", "ü"], [one("BYTES", [2], [b"a", "ü".encode()])]),
            ([], [one("FP64", [0], [])]),
            ([[], []], [one("FP64", [2, 0], [])]),
            (7, [one("INT64", [1], [7])]),
            ("cat", [one("BYTES", [1], [b"cat"])]),
            ("[1, 2]", [one("BYTES", [1], [b"[1, 2]"])]),
            ({}, []),
            (
                {"label": "cat", "scores": [0.5, 0.5]},
                [one("BYTES", [1], [b"cat"], name="label"), one("FP64", [2], [0.5, 0.5], name="scores")],
            ),
            ({"a": {"x": 1}, "b": {"x": 2}}, [one("INT64", [1], [1], name="a.x"), one("INT64", [1], [2], name="b.x")]),
            (
                [{"a": 1, "b": "x"}, {"b": "y", "a": 2}],
                [one("INT64", [2], [1, 2], name="a"), one("BYTES", [2], [b"x", b"y"], name="b")],
            ),
        ],
    )
    def test_inferred(self, answer: Any, expected: list[dict[str, Any]]) -> None:
        assert answered(answer) == expected

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (None, 'the output "output" is no tensor: it holds null'),
            ([1, None], "it holds an integer and null"),
            ([1, "a"], "it holds a string and an integer|it holds an integer and a string"),
            ([True, 1], "it holds a boolean and an integer"),
            ([[1], [1, 2]], "its rows differ in length"),
            ([[1], 2], "its rows differ in length"),
            ([1, [2]], "it holds an array and an integer"),
            ([2**63, -1], "INT64 takes integers from"),
            ("\ud800", "a string that UTF-8 cannot hold"),
            (json.loads("[" * 33 + "]" * 33), "more than 32 dimensions"),
            (json.loads('{"a":' * 40 + "1" + "}" * 40), "nested too deeply"),
            ([{"a": 1}, {"b": 1}], "its rows have different keys"),
            ([{"a": 1}, 2], "it holds an integer and an object"),
        ],
    )
    def test_no_tensor(self, answer: Any, why: str) -> None:
        with pytest.raises(ProtocolError, match=why) as error:
            answered(answer)
        assert error.value.status == 500

    def test_declared_datatypes(self) -> None:
        assert answered([1, 2], output=DOUBLES) == [one("FP64", [2], [1.0, 2.0])]
        assert answered([], output=INTEGERS) == [one("INT64", [0], [])]
        assert answered([1.5], output=INTEGERS) == [one("FP64", [1], [1.5])]
        small = {"type": "array", "items": {"type": "integer", "format": "uint8"}, "format": "numpy.ndarray"}
        assert answered([255], output=small) == [one("UINT8", [1], [255])]
        assert answered([256], output=small) == [one("INT64", [1], [256])]

    def test_an_answer_encoded_twice(self) -> None:
        assert answered("[1, 2]", output=INTEGERS) == [one("INT64", [2], [1, 2])]
        assert answered('{"Results": [1]}', output={**ANYTHING, "properties": {"Results": DOUBLES}}) == [
            one("FP64", [1], [1.0], name="Results")
        ]

    def test_an_error_that_the_script_returned_as_text(self) -> None:
        with pytest.raises(ProtocolError, match=r'declares the output "output" as FP64.*: could not convert'):
            answered("could not convert", output=DOUBLES)

    def test_a_declared_output_that_is_missing(self) -> None:
        output = {**ANYTHING, "properties": {"a": DOUBLES, "b": DOUBLES}}
        with pytest.raises(ProtocolError, match='declares the output "b" and did not return it'):
            answered({"a": [1.0]}, output=output)
        assert [found["name"] for found in answered({"a": [1.0], "b": [1.0], "c": [1]}, output=output)] == list("abc")

    @pytest.mark.parametrize(
        ("answer", "text"),
        [
            ({"result": [1.0], "index": [1]}, 'did not return it, but "result", "index"'),
            (json.dumps({"error": "no such method"}), 'did not return it, but "error": no such method'),
            ({}, "did not return it, but none"),
            ({name: [1.0] for name in "abcdefg"}, 'did not return it, but "a", "b", "c", "d", "e" …'),
        ],
    )
    def test_what_was_returned_in_the_place_of_a_declared_output(self, answer: Any, text: str) -> None:
        """As AutoML's scripts do, whose @output_schema is an array."""
        with pytest.raises(ProtocolError) as error:
            answered(answer, output=DOUBLES)
        assert str(error.value) == f'run() declares the output "output" and {text}'

    def test_two_outputs_of_the_same_name(self) -> None:
        for output in (None, {**ANYTHING, "properties": {"a": {**ANYTHING, "properties": {"x": INTEGERS}}}}):
            with pytest.raises(ProtocolError, match="two tensors with the"):
                answered({"a": {"x": [1]}, "b": {"x": 1}, "b.x": 1}, output=output)

    def test_a_table_without_rows(self) -> None:
        table = {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}}
        assert answered([], output=table) == [one("BYTES", [0], [], name="a")]

    @pytest.mark.parametrize("payload", [b"", b"text", b"\xff", b"[" * 100_000])
    def test_no_json(self, payload: bytes) -> None:
        with pytest.raises(ProtocolError, match="is not JSON") as error:
            read_answer(payload, TensorMapping(ObjectPart({}), None))
        assert error.value.status == 500

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        ),
        st.sampled_from([None, DOUBLES, {**ANYTHING, "properties": {"a": DOUBLES}}]),
    )
    def test_any_answer_is_tensors_or_the_protocols_error(self, answer: Any, output: Any) -> None:
        try:
            tensors = answered(answer, output=output)
        except ProtocolError as error:
            assert error.status == 500
        else:
            assert all(len(found["data"]) == math.prod(found["shape"]) for found in tensors)


class TestPaths:
    @pytest.mark.parametrize(
        ("path", "place", "model", "version"),
        [
            ("/v2", Place.SERVER, "", None),
            ("/v2/", Place.SERVER, "", None),
            ("/v2/health/live", Place.LIVE, "", None),
            ("/v2/health/ready", Place.READY, "", None),
            ("/v2/models/m", Place.MODEL, "m", None),
            ("/v2/models/m/versions/3", Place.MODEL, "m", "3"),
            ("/v2/models/m/ready", Place.MODEL_READY, "m", None),
            ("/v2/models/m/versions/3/ready", Place.MODEL_READY, "m", "3"),
            ("/v2/models/m/infer", Place.INFER, "m", None),
            ("/v2/models/m/config", Place.CONFIGURATION, "m", None),
            ("/v2/models/m/versions/3/config", Place.CONFIGURATION, "m", "3"),
            ("/v2/repository/index", Place.INDEX, "", None),
            ("/v2/models/m/stats", Place.STATISTICS, "m", None),
            ("/v2/models/m/versions/3/stats", Place.STATISTICS, "m", "3"),
            ("/v2/models/a%2Fb/versions/3/infer", Place.INFER, "a/b", "3"),
        ],
    )
    def test_known(self, path: str, place: Place, model: str, version: str | None) -> None:
        found = target(path)
        assert (found.place, found.model, found.version) == (place, model, version)
        assert found.needs_key is (place not in (Place.LIVE, Place.READY))

    @pytest.mark.parametrize(
        "path",
        [
            "/v2/health", "/v2/health/alive", "/v2/health/live/", "/v2/models", "/v2/models/", "/v2/models//ready",
            "/v2/models/m/", "/v2/models/m/versions", "/v2/models/m/versions/", "/v2/models/m/versions/3/",
            "/v2/models/m/versions//infer", "/v2/models/m/configs", "/v2/repository",
            "/v2/models/m/versions/3/infer/x", "/v2//health",
        ],
    )  # fmt: skip
    def test_unknown(self, path: str) -> None:
        assert target(path).place is Place.UNKNOWN

    @pytest.mark.parametrize("path", ["/", "/score", "/v20", "//v2", "/V2", "/v1/v2", ""])
    def test_of_others(self, path: str) -> None:
        assert read_target(path.encode()) is None

    @given(st.binary())
    def test_any_path(self, path: bytes) -> None:
        read_target(b"/v2/models/" + path)


class TestEndpoint:
    def ask(self, method: str, path: str, contract: Contract | None = None) -> tuple[int, Any]:
        found = Model(lambda data: data, contract or contract_from({"data": INTEGERS}))
        reply = found.answer(method, path, {}, b'{"inputs": []}')
        return reply.status, json.loads(reply.body)

    def test_a_path_that_there_is_not(self) -> None:
        assert self.ask("GET", "/v2/models/iris/configs")[0] == 404

    def test_methods(self) -> None:
        assert self.ask("POST", "/v2")[0] == 405
        status, body = self.ask("GET", "/v2/models/iris/infer")
        assert (status, list(body)) == (405, ["error"])

    def test_metadata(self) -> None:
        status, body = self.ask("GET", "/v2/models/iris/versions/3")
        assert status == 200
        assert body == {
            "name": "iris",
            "versions": ["3"],
            "platform": "modelport_python",
            "inputs": [{"name": "data", "datatype": "INT64", "shape": [-1]}],
            "outputs": [],
        }

    def test_a_model_without_tensors_says_why(self) -> None:
        for method, path in (("GET", "/v2/models/iris"), ("POST", "/v2/models/iris/infer")):
            status, body = self.ask(method, path, Contract(input="text", parameters=[Parameter("data", True)]))
            assert status == 400
            assert "has no @input_schema" in body["error"]
            assert "Use /score" in body["error"]

    def test_statistics_of_all_models_and_a_model_of_that_name(self) -> None:
        contract = contract_from({"data": INTEGERS})
        reply = Model(lambda data: data, contract).answer("GET", "/v2/models/stats", {}, b"")
        assert (reply.status, "telemetry.metrics" in json.loads(reply.body)["error"]) == (404, True)
        named = Model(lambda data: data, contract, name="stats").answer("GET", "/v2/models/stats", {}, b"")
        assert json.loads(named.body)["name"] == "stats"

    def test_errors_of_the_ordinary_path(self) -> None:
        for body in (b"too large", b'{"message": "too large"}', b'"too large"'):
            assert json.loads(error_reply_from(413, body).body) == {"error": "too large"}
        assert json.loads(error_reply_from(502, b"\xff").body) == {"error": "\ufffd"}
        assert json.loads(error_reply_from(502, b"[1]").body) == {"error": "[1]"}

    @pytest.mark.parametrize(
        ("schema", "body", "expected"),
        [
            (INTEGERS, struct.pack("<2q", 5, -6), [5, -6]),
            ({"type": "string"}, b"a text", "a text"),
            ({"type": "array", "items": {"type": "string"}}, b"", [""]),
            ({"type": "integer"}, struct.pack("<q", 7), 7),
        ],
    )
    def test_a_body_without_json(self, schema: Any, body: bytes, expected: Any) -> None:
        assert self.infer_raw(contract_from({"data": schema}), body) == expected

    @pytest.mark.parametrize(
        ("contract", "why"),
        [
            (contract_from({"data": INTEGERS}), r"INT64 \[1\] takes 8 bytes; there are 9"),
            (contract_from({"data": {"type": "array", "items": INTEGERS}}), "does not follow from the number of bytes"),
            (contract_from({"data": INTEGERS, "more": INTEGERS}), "a model of one input; this one has 2"),
        ],
    )
    def test_a_body_without_json_that_tells_too_little(self, contract: Contract, why: str) -> None:
        with pytest.raises(ProtocolError, match=why):
            self.infer_raw(contract, bytes(9))

    def infer_raw(self, contract: Contract, body: bytes) -> Any:
        endpoint = Model(lambda data: data, contract).endpoint
        call = endpoint.begin(version="3", contract=contract, body=body, header_length=b"0", max_body_bytes=100)
        reply = call.reply(200, b"[1]")
        assert b"octet-stream" in reply.lines
        return json.loads(call.input.body())["data"]

    def test_a_mapping_follows_its_contract(self) -> None:
        first, second = contract_from({"data": INTEGERS}), contract_from({"other": INTEGERS})
        endpoint = Model(lambda data: data, first).endpoint
        for contract, name in ((first, "data"), (second, "other"), (first, "data")):
            body = json.dumps({"inputs": [{"name": name, "datatype": "INT64", "shape": [1], "data": [1]}]}).encode()
            call = endpoint.begin(
                version="3", contract=contract, body=body, header_length=None, max_body_bytes=len(body)
            )
            assert json.loads(call.input.body()) == {name: [1]}
