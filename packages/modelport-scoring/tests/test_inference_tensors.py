"""Tensors and inference requests of the Open Inference Protocol, from bytes and back."""

from __future__ import annotations

import gzip
import json
import math
import struct
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite
from tritonclient.http import InferenceServerClient, InferInput  # type: ignore[import-untyped]
from tritonclient.utils import triton_to_np_dtype  # type: ignore[import-untyped]

from modelport_scoring.inference_protocol.codec import (
    InferRequest,
    WantedOutput,
    decode_request,
    encode_request,
    encode_response,
    read_header_length,
)
from modelport_scoring.inference_protocol.compression import decompress
from modelport_scoring.inference_protocol.datatypes import DATATYPES, Datatype, Kind, holds_every
from modelport_scoring.inference_protocol.json_text import ELEMENTS_AT_ONCE, json_values, write_nested
from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.inference_protocol.tensors import Tensor, from_binary


def elements_of(datatype: Datatype) -> SearchStrategy[Any]:
    if datatype.kind is Kind.BOOL:
        return st.booleans()
    if datatype.kind is Kind.INTEGER:
        return st.integers(datatype.lowest, datatype.highest)
    if datatype.kind is Kind.FLOAT:
        return st.floats(width=datatype.size * 8)  # type: ignore[arg-type]
    return st.text().map(str.encode)


@composite
def tensors(draw: DrawFn, name: str = "x") -> Tensor:
    datatype = draw(st.sampled_from(list(DATATYPES.values())))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    count = math.prod(shape)
    values = draw(st.lists(elements_of(datatype), min_size=count, max_size=count))
    return Tensor(name, datatype, shape, values=values)


def same(left: Tensor, right: Tensor) -> bool:
    """Whether two tensors are one, NaN included."""
    return (left.name, left.datatype, left.shape, bytes(left.pack())) == (
        right.name,
        right.datatype,
        right.shape,
        bytes(right.pack()),
    )


def without_payload(tensor: Tensor) -> Tensor:
    """The tensor with one NaN for all of them: JSON knows no other."""
    if tensor.datatype.kind is not Kind.FLOAT:
        return tensor
    values = [math.nan if value != value else value for value in tensor.values()]
    return Tensor(tensor.name, tensor.datatype, tensor.shape, values=values)


def as_numpy(tensor: Tensor) -> Any:
    """The array as the public client takes it."""
    if tensor.datatype.name == "BYTES":
        array = np.empty(tensor.count, dtype=object)
        array[:] = tensor.values()
    else:
        array = np.array(tensor.values(), dtype=triton_to_np_dtype(tensor.datatype.name))
    return array.reshape(tensor.shape)


class TestRoundTrips:
    @given(
        st.lists(tensors(), max_size=3),
        st.booleans(),
        st.none() | st.text(),
        st.none()
        | st.lists(
            st.builds(WantedOutput, st.text(), st.booleans(), st.integers(0, 9)), unique_by=lambda wanted: wanted.name
        ),
    )
    def test_requests(
        self, given_tensors: list[Tensor], binary: bool, id: str | None, outputs: list[WantedOutput] | None
    ) -> None:
        inputs = {
            str(number): Tensor(str(number), tensor.datatype, tensor.shape, values=tensor.values())
            for number, tensor in enumerate(map(without_payload, given_tensors))
        }
        request = InferRequest(inputs=inputs, id=id, outputs=outputs, is_binary=binary)
        body, length = encode_request(request, binary=binary)
        decoded = decode_request(body, header_length=length)
        assert (decoded.id, decoded.outputs, decoded.is_binary) == (id, outputs or None, binary)
        assert list(decoded.inputs) == list(inputs)
        assert all(same(decoded.inputs[name], tensor) for name, tensor in inputs.items())

    @given(tensors(), st.booleans())
    def test_responses(self, tensor: Tensor, binary: bool) -> None:
        tensor = without_payload(tensor)
        reply = encode_response(model="m", version="1", request=InferRequest({}, is_binary=binary), outputs=[tensor])
        length = reply.lines.lower().partition(b"inference-header-content-length: ")[2].strip()
        assert bool(length) is binary
        head = reply.body[: int(length)] if binary else reply.body
        body = head.replace(b'"outputs"', b'"inputs"', 1) + reply.body[len(head) :]
        decoded = decode_request(body, header_length=len(head) - 1 if binary else None)
        assert same(decoded.inputs["x"], tensor)

    @given(st.lists(st.tuples(tensors(), st.booleans()), max_size=3), st.text(st.characters(codec="utf-8")))
    def test_requests_that_the_public_client_writes(self, given_tensors: list[tuple[Tensor, bool]], id: str) -> None:
        sent, inputs = dict[str, Tensor](), list[InferInput]()
        for number, (tensor, binary) in enumerate(given_tensors):
            name, is_binary = str(number), binary or tensor.datatype.name == "FP16"  # which it does not write as JSON
            sent[name] = Tensor(name, tensor.datatype, tensor.shape, values=without_payload(tensor).values())
            inputs.append(InferInput(name, list(tensor.shape), tensor.datatype.name))
            inputs[-1].set_data_from_numpy(as_numpy(sent[name]), binary_data=is_binary)
        body, length = InferenceServerClient.generate_request_body(inputs, request_id=id)
        decoded = decode_request(body, header_length=length)
        assert (decoded.id or "", list(decoded.inputs)) == (id, list(sent))
        assert all(same(decoded.inputs[name], tensor) for name, tensor in sent.items())

    @given(tensors(), st.booleans())
    def test_responses_that_the_public_client_reads(self, tensor: Tensor, binary: bool) -> None:
        tensor = without_payload(tensor)
        reply = encode_response(model="m", version="1", request=InferRequest({}, is_binary=binary), outputs=[tensor])
        length = reply.lines.lower().partition(b"inference-header-content-length: ")[2].strip()
        result = InferenceServerClient.parse_response_body(reply.body, header_length=int(length) if binary else None)
        found = result.as_numpy("x")
        assert (found.shape, found.dtype) == (tensor.shape, as_numpy(tensor).dtype)
        values = [each.encode() if isinstance(each, str) else each for each in found.ravel().tolist()]
        assert same(Tensor("x", tensor.datatype, tensor.shape, values=values), tensor)

    @given(tensors())
    def test_nested_json_means_the_same(self, tensor: Tensor) -> None:
        tensor = without_payload(tensor)
        nested = json.loads(write_nested(tensor))
        described = {**tensor.describe(), "data": nested if tensor.shape else [nested]}
        decoded = decode_request(json.dumps({"inputs": [described]}).encode())
        assert same(decoded.inputs["x"], tensor)

    @given(st.binary(max_size=40), st.sampled_from(list(DATATYPES.values())))
    def test_memory_is_kept_as_it_is(self, data: bytes, datatype: Datatype) -> None:
        data = data[: len(data) // (datatype.size or 1) * (datatype.size or 1)]
        shape = (len(data) // datatype.size,) if datatype.size else (0,)
        try:
            tensor = from_binary("x", datatype, shape, memoryview(data))
        except ProtocolError:
            assert datatype.name in ("BOOL", "BYTES")
        else:
            assert bytes(tensor.pack()) == data
            assert len(tensor.values()) == tensor.count


class TestHostileBytes:
    @given(st.binary(), st.none() | st.integers(0, 200))
    @example(b'{"inputs":' + b"[" * 5000, None)
    @example(b'{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[NaN],"a":"\\ud800"}],"id":"\\ud800"}', None)
    @example(b'{"inputs":[{"name":"\\ud800","datatype":"BYTES","shape":[2],"data":[NaN,"\\ud800"]}]}', None)
    @example(b'{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[NaN,' + b"9" * 6000 + b"]}]}", None)
    def test_random_bytes_raise_nothing_but_the_protocols_error(self, body: bytes, length: int | None) -> None:
        try:
            decode_request(body, header_length=None if length is None else min(length, len(body)))
        except ProtocolError as error:
            assert error.status == 400

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        ),
        st.sampled_from(list(DATATYPES)),
        st.lists(st.integers(-1, 3) | st.integers(2**62, 2**64), max_size=3),
    )
    def test_any_data_raise_nothing_but_the_protocols_error(self, data: Any, datatype: str, shape: list[int]) -> None:
        body = json.dumps({"inputs": [{"name": "x", "datatype": datatype, "shape": shape, "data": data}]}).encode()
        try:
            tensor = decode_request(body).inputs["x"]
        except ProtocolError:
            return
        assert len(tensor.values()) == math.prod(shape)

    @given(st.binary(max_size=60), st.integers(0, 4))
    def test_any_strings_in_binary(self, data: bytes, count: int) -> None:
        try:
            tensor = from_binary("x", DATATYPES["BYTES"], (count,), memoryview(data))
        except ProtocolError as error:
            assert '"x"' in str(error)
        else:
            assert tensor.pack() == data

    def test_rows_of_nothing_are_bounded(self) -> None:
        with pytest.raises(ProtocolError, match="rows without an element"):
            decode_one(shape=[10**9, 0], data=[])

    def test_compressed_bodies_are_bounded(self) -> None:
        bomb = gzip.compress(bytes(50_000_000))
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="max_body_bytes is 1000") as error:
                decompress(bomb, b"gzip", max_bytes=1000)
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()
        assert error.value.status == 413

    @pytest.mark.parametrize("coding", [b"gzip", b"x-gzip", b"GZip", b" gzip "])
    def test_names_of_a_coding(self, coding: bytes) -> None:
        assert decompress(gzip.compress(b"x"), coding, max_bytes=1000) == b"x"

    @pytest.mark.parametrize(("cut_off", "more"), [(0, b"y"), (1, b""), (20, b"")])
    def test_a_compressed_body_ends_where_its_coding_does(self, cut_off: int, more: bytes) -> None:
        whole = gzip.compress(b"x")
        with pytest.raises(ProtocolError, match="it does not end where that ends") as error:
            decompress(whole[: len(whole) - cut_off] + more, b"gzip", max_bytes=1000)
        assert error.value.status == 400

    def test_a_coding_that_is_not_known_is_named(self) -> None:
        with pytest.raises(ProtocolError, match='the content coding "br"; gzip and deflate are taken') as error:
            decompress(b"x", b"br", max_bytes=1000)
        assert error.value.status == 415

    @given(st.binary(), st.sampled_from([b"gzip", b"deflate", b"br"]))
    def test_any_compressed_body(self, body: bytes, encoding: bytes) -> None:
        with pytest.raises(ProtocolError):
            decompress(body + b"\0", encoding, max_bytes=1000)


def decode_one(*, size: Any = None, binary: bytes = b"", **keys: Any) -> Tensor:
    """The one input, FP64 and named ``x`` where the keys do not say otherwise."""
    described: dict[str, Any] = {"name": "x", "datatype": "FP64", "shape": [1], **keys}
    if size is not None:
        described["parameters"] = {"binary_data_size": size}
    head = json.dumps({"inputs": [described]}).encode()
    return decode_request(head + binary, header_length=len(head)).inputs["x"]


WORD = struct.pack("<I", 2) + b"ab"

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"data": [1, 2]}, r'tensor "x": the shape \[1\] takes 1 elements of data; there are 2'),
    ({"data": 1}, 'tensor "x": data is not an array'),
    ({"data": ["1"]}, 'tensor "x": FP64 takes numbers; element 0 of data is a string'),
    ({"data": [None]}, "element 0 of data is null"),
    ({"data": [True]}, "element 0 of data is a boolean"),
    ({"data": [{}]}, "element 0 of data is an object"),
    ({"data": [[1.0]]}, "element 0 of data is an array"),
    ({"data": [1.5], "datatype": "INT8"}, "INT8 takes integers; element 0 of data is a number"),
    ({"data": [128], "datatype": "INT8"}, "INT8 takes integers from -128 to 127"),
    ({"data": [-1], "datatype": "UINT64"}, "UINT64 takes integers from 0"),
    ({"data": [1e39], "datatype": "FP32"}, "too large for FP32"),
    ({"data": [65520], "datatype": "FP16"}, "too large for FP16"),
    ({"data": [1], "datatype": "BOOL"}, "BOOL takes true or false; element 0 of data is an integer"),
    ({"data": [1], "datatype": "BF16"}, 'tensor "x": the datatype "BF16" is not one of BOOL, UINT8'),
    ({"data": [1], "shape": [-1]}, r'tensor "x": -1 in the shape \[-1\] is not the size of a dimension'),
    ({"data": [1], "shape": [2**63]}, "is not the size of a dimension"),
    ({"data": [1], "shape": [1] * 33}, "the shape has 33 dimensions; 32 are the most"),
    ({"data": [[1, 2], [3]], "shape": [2, 2]}, r"nested otherwise than the shape \[2, 2\] says"),
    ({"data": [[1], 2], "shape": [2, 1]}, "nested otherwise"),
    ({}, 'the input "x" has neither data nor the parameter binary_data_size'),
    ({"data": [1], "size": 8, "binary": bytes(8)}, "has both data and the parameter binary_data_size"),
    ({"size": 8}, 'the input "x" has a binary_data_size of 8; 0 bytes follow'),
    ({"size": -1}, "a binary_data_size of -1"),
    ({"size": True, "binary": b"1"}, "a binary_data_size of True"),
    ({"size": 4, "binary": bytes(4)}, r'tensor "x": FP64 \[1\] takes 8 bytes; there are 4'),
    ({"size": 8, "binary": bytes(9)}, "1 bytes follow the binary data of the last input"),
    ({"size": 1, "binary": b"\2", "datatype": "BOOL"}, 'tensor "x": a byte of BOOL is 0 or 1'),
    ({"size": 6, "binary": WORD, "datatype": "BYTES", "shape": [2]}, "takes 2 elements; there are 1"),
    ({"size": 7, "binary": WORD + b"x", "datatype": "BYTES"}, "there are 1 and 1 bytes more"),
    ({"size": 5, "binary": WORD[:5], "datatype": "BYTES"}, "element 0 is said to have 2 bytes; 1 are left"),
    ({"parameters": {"shared_memory_region": "r"}}, "lie in shared memory: the shared memory extension is not offered"),
    ({"parameters": {"a": {}}}, r"\$\.inputs\[0\]\.parameters"),
    ({"shape": ["1"], "data": [1]}, r"Expected `int`, got `str` - at `\$\.inputs\[0\]\.shape\[0\]`"),
]


class TestRefusals:
    @pytest.mark.parametrize(("keys", "says"), REFUSED)
    def test_input(self, keys: dict[str, Any], says: str) -> None:
        with pytest.raises(ProtocolError, match=says) as error:
            decode_one(**keys)
        assert error.value.status == 400

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({}, "missing required field `inputs`"),
            ({"inputs": [], "id": 7}, "Expected `str | null`"),
            ({"inputs": [{"name": "x", "datatype": "INT8", "shape": [0], "data": []}] * 2}, '"x" is given twice'),
            ({"inputs": [], "outputs": [{"name": "y"}] * 2}, 'the output "y" is asked for twice'),
            ({"inputs": [], "outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}, "takes true or false"),
            ({"inputs": [], "parameters": {"binary_data_output": "yes"}}, "binary_data_output of the request is 'yes'"),
        ],
    )
    def test_request(self, body: dict[str, Any], says: str) -> None:
        with pytest.raises(ProtocolError, match=says):
            decode_request(json.dumps(body).encode())

    @pytest.mark.parametrize(
        "value", [b"", b"-1", b"+1", b"1.0", b"11", b"0x1", b" 1", b"9" * 500, "²".encode("latin-1")]
    )
    def test_header_length(self, value: bytes) -> None:
        with pytest.raises(ProtocolError, match="Inference-Header-Content-Length"):
            read_header_length(value, body_length=10)
        assert read_header_length(b"10", body_length=10) == 10
        assert read_header_length(None, body_length=10) is None


class TestValues:
    def test_integers_beyond_doubles_stay_exact(self) -> None:
        tensor = decode_one(datatype="INT64", shape=[2], data=[2**63 - 1, -(2**63)])
        assert json.loads(write_nested(tensor)) == [2**63 - 1, -(2**63)]

    def test_a_level_of_output_overrides_the_request(self) -> None:
        body = {
            "inputs": [],
            "parameters": {"binary_data_output": True},
            "outputs": [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}],
        }
        assert decode_request(json.dumps(body).encode()).outputs == [WantedOutput("a", True), WantedOutput("b", False)]

    @pytest.mark.parametrize("outputs", [[], None])
    def test_asking_for_no_outputs_asks_for_all(self, outputs: Any) -> None:
        """As the other servers of the protocol have it."""
        assert decode_request(json.dumps({"inputs": [], "outputs": outputs}).encode()).outputs is None

    def test_strings_that_are_no_text_pass_only_as_binary(self) -> None:
        tensor = Tensor("x", DATATYPES["BYTES"], (1,), values=[b"\xff"])
        assert tensor.pack() == b"\1\0\0\0\xff"
        with pytest.raises(ProtocolError, match='tensor "x": JSON takes text'):
            json_values(tensor)

    @pytest.mark.parametrize(
        "shape", [(ELEMENTS_AT_ONCE * 2 + 1,), (3, ELEMENTS_AT_ONCE + 1), (ELEMENTS_AT_ONCE, 3, 1)]
    )
    def test_large_tensors_are_written_in_parts(self, shape: tuple[int, ...]) -> None:
        packed = struct.pack(f"<{math.prod(shape)}i", *range(math.prod(shape)))
        nested = json.loads(write_nested(from_binary("x", DATATYPES["INT32"], shape, memoryview(packed))))
        for size in shape[1:]:
            assert {len(row) for row in nested} == {size}
            nested = [element for row in nested for element in row]
        assert nested == list(range(math.prod(shape)))

    @pytest.mark.parametrize(
        ("wide", "narrow", "holds"),
        [
            ("FP64", "FP32", True),
            ("FP32", "FP64", False),
            ("FP64", "INT32", True),
            ("FP64", "INT64", False),
            ("FP32", "UINT16", True),
            ("FP32", "INT32", False),
            ("FP16", "UINT8", True),
            ("INT64", "UINT32", True),
            ("INT64", "UINT64", False),
            ("UINT8", "INT8", False),
            ("INT64", "BOOL", False),
            ("BYTES", "BYTES", True),
            ("FP64", "BYTES", False),
        ],
    )
    def test_what_can_stand_for_what(self, wide: str, narrow: str, holds: bool) -> None:
        assert holds_every(DATATYPES[wide], DATATYPES[narrow]) is holds
