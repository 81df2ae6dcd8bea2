"""The Open Inference Protocol: a request's body, and the answer of ``run``.

An input is two bytes, the length of the body's JSON (0xFFFF: the header is not sent), and the body. What is found to be
a request has to become the body of ``run()``, to come back as outputs, and to decode to the same when it is encoded
again. Anything but ProtocolError is a finding.
"""

from __future__ import annotations

import gzip
from typing import Any

from modelport_scoring.inference_protocol.codec import decode_request, encode_request, is_light
from modelport_scoring.inference_protocol.endpoint import Endpoint, ServedVersion
from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.workers.contract import ArrayParameter, Contract, Parameter

NO_HEADER = 0xFFFF
MOST_BYTES = 1 << 20

ROW: dict[str, Any] = {"type": "array", "items": {"type": "number", "format": "double"}}
NUMBERS = {"type": "array", "items": ROW}
WORDS = {"type": "array", "items": {"type": "string"}}
TABLE = {
    "type": "array",
    "items": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}},
}
PARAMETERS: dict[str, Any] = {"x": NUMBERS, "w": WORDS, "t": TABLE, "s": {"type": "string", "format": "byte"}}
CONTRACT = Contract(
    input="json",
    parameters=[Parameter(name=name, required=False) for name in PARAMETERS],
    schemas={"3.1": {"input": {"properties": PARAMETERS}}},
)
PAIRS = {"type": "array", "items": {**ROW, "minItems": 2, "maxItems": 2}}
LABELLED = {"type": "array", "items": {"type": "number", "format": "double"}, "x-tensor-labels": ["no", "yes"]}
ONE_INPUT = Contract(
    input="json",
    parameters=[Parameter(name="x", required=True)],
    array=ArrayParameter(name="x", type="<f8", row=[2]),
    schemas={"3.1": {"input": {"properties": {"x": PAIRS}, "example": {"x": [[1.0, 2.0]]}}, "output": LABELLED}},
)
"""Of a model that takes data without JSON, and whose answers may be asked for as classes."""

CONTRACTS = (CONTRACT, ONE_INPUT)
ENDPOINTS = [
    Endpoint(model="m", versions=lambda contract=contract: [ServedVersion("1", is_ready=True, contract=contract)])  # type: ignore[misc]
    for contract in CONTRACTS
]
SCORES = b"[0.1, NaN, 0.7, 1e400]"


def check_one(data: bytes) -> None:
    """One request, there and back, for each of the models, and compressed as well."""
    length, body = int.from_bytes(data[:2], "little"), data[2:]
    header = None if length == NO_HEADER else b"%d" % length
    for endpoint, contract in zip(ENDPOINTS, CONTRACTS, strict=True):
        plain = begin(endpoint, contract, body, header)
        assert begin(endpoint, contract, gzip.compress(body, 1), header, encoding=b"gzip") == plain
    if header is None or 0 < length <= len(body):
        check_round_trip(body, None if header is None else length)
        is_light(body, None if header is None else length)


def begin(
    endpoint: Endpoint, contract: Contract, body: bytes, header: bytes | None, *, encoding: bytes = b""
) -> tuple[bytes, bool] | None:
    """What the script gets, and whether that is an array's memory; None where the request is refused."""
    try:
        call = endpoint.begin(
            version="1",
            contract=contract,
            body=body,
            header_length=header,
            content_encoding=encoding,
            max_body_bytes=MOST_BYTES,
        )
        argument, is_array = call.argument(contract.array)
        answer = call.input.body()
    except ProtocolError:
        return None
    for said in (answer, body, SCORES):
        call.reply(200, said)
    return bytes(argument), is_array


def check_round_trip(body: bytes, length: int | None) -> None:
    """What decodes, encodes to what decodes to the same."""
    try:
        request = decode_request(body, header_length=length)
    except ProtocolError:
        return
    again, length = encode_request(request, binary=True)
    decoded = decode_request(again, header_length=length)
    assert (decoded.id, decoded.outputs, decoded.is_binary) == (request.id, request.outputs, request.is_binary)
    for name, tensor in request.inputs.items():
        assert decoded.inputs[name].shape == tensor.shape
        assert bytes(decoded.inputs[name].pack()) == bytes(tensor.pack())
