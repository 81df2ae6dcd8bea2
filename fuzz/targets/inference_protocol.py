"""The Open Inference Protocol: a request's body, and the answer of ``run``.

An input is two bytes, the length of the body's JSON (0xFFFF: the header is not sent), and the body. What is found to be
a request has to become the body of ``run()``, to come back as outputs, and to decode to the same when it is encoded
again. Anything but ProtocolError is a finding.
"""

from __future__ import annotations

from typing import Any

from modelport_scoring.inference_protocol.codec import decode_request, encode_request
from modelport_scoring.inference_protocol.endpoint import Endpoint, ServedVersion
from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.workers.contract import Contract, Parameter

NO_HEADER = 0xFFFF
MOST_BYTES = 1 << 20

NUMBERS = {"type": "array", "items": {"type": "array", "items": {"type": "number", "format": "double"}}}
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
ENDPOINT = Endpoint(model="m", versions=lambda: [ServedVersion("1", is_ready=True, contract=CONTRACT)])


def check_one(data: bytes) -> None:
    """One request, there and back."""
    length, body = int.from_bytes(data[:2], "little"), data[2:]
    header = None if length == NO_HEADER else b"%d" % length
    try:
        call = ENDPOINT.begin(
            version="1", contract=CONTRACT, body=body, header_length=header, max_body_bytes=MOST_BYTES
        )
        answer = call.input.body()
    except ProtocolError:
        pass
    else:
        call.reply(200, answer)
        call.reply(200, body)
    if header is None or 0 < length <= len(body):
        check_round_trip(body, None if header is None else length)


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
