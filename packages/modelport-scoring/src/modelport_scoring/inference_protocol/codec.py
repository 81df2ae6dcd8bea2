"""Inference requests from bytes and responses to bytes, in JSON and with the binary tensor data extension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import msgspec
import orjson

from modelport_scoring.inference_protocol.classification import classify
from modelport_scoring.inference_protocol.datatypes import BYTES, FP64, INT64
from modelport_scoring.inference_protocol.json_text import parse_json, write_flat
from modelport_scoring.inference_protocol.paths import SHARED_MEMORY
from modelport_scoring.inference_protocol.protocol import (
    BINARY_LINE,
    HEADER_LENGTH,
    JSON_LINE,
    Body,
    InputObject,
    OutputObject,
    Parameters,
    ProtocolError,
    Reply,
    RequestObject,
)
from modelport_scoring.inference_protocol.schemas import Leaf
from modelport_scoring.inference_protocol.tensors import Tensor, check_shape, find_datatype, from_binary, from_json

LIGHT = frozenset((FP64.name, INT64.name))
LONGEST_LIGHT_HEAD = 64 * 1024

NO_LABELS: Mapping[str, Sequence[str]] = {}

LONGEST_LENGTH = 20
"""Digits of an Inference-Header-Content-Length."""


@dataclass(frozen=True, slots=True)
class WantedOutput:
    """An output that the client asks for by name."""

    name: str
    is_binary: bool
    classes: int = 0
    """How many of the highest values of each row are wanted in its place; 0: the output itself."""


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A decoded inference request. Names of ``inputs`` are their keys."""

    inputs: Mapping[str, Tensor]
    id: str | None = None
    outputs: Sequence[WantedOutput] | None = None
    """None: all that there are."""
    is_binary: bool = False
    """Of outputs that were not asked for one by one."""

    @property
    def wants_classes(self) -> bool:
        """Whether, of an output, the highest values are wanted."""
        return any(wanted.classes for wanted in self.outputs or ())


def read_header_length(value: bytes | None, *, body_length: int) -> int | None:
    """The value of Inference-Header-Content-Length; None where it was not sent. Raises ProtocolError."""
    if value is None:
        return None
    if not value.isdigit() or len(value) > LONGEST_LENGTH or int(value) > body_length:
        text = value[:LONGEST_LENGTH].decode("latin-1")
        raise ProtocolError(
            f"Inference-Header-Content-Length is {text!r}; it takes a number up to the body's length, {body_length}"
        )
    return int(value)


def is_light(body: Body, header_length: int | None) -> bool:
    """Whether the one tensor of a long body is there as it crosses to a worker, so that reading the request copies it
    at most: binary data of 64-bit numbers, behind JSON that is short."""
    if not header_length or header_length > LONGEST_LIGHT_HEAD:
        return False
    try:
        request = _read_object(memoryview(body)[:header_length])
    except ProtocolError:
        return True  # that is all that will be read
    if len(request.inputs) != 1:
        return False
    return request.inputs[0].datatype in LIGHT and request.inputs[0].data is msgspec.UNSET


def decode_request(body: Body, *, header_length: int | None = None) -> InferRequest:
    """The request in a body. ``header_length`` tells how much of it is JSON; the binary data follow.

    Raises ProtocolError.
    """
    whole = memoryview(body)
    binary = whole[len(whole) :] if header_length is None else whole[header_length:]
    request = _read_object(whole[: len(whole) - len(binary)])
    wants_binary = _flag(request.parameters, "binary_data_output", of="the request", default=False)
    return InferRequest(
        inputs=_read_inputs(request.inputs, binary),
        id=request.id,
        outputs=_read_outputs(request.outputs, default=wants_binary) if request.outputs else None,
        is_binary=wants_binary,
    )


def decode_raw_request(body: Body, leaf: Leaf, *, name: str) -> InferRequest:
    """The request whose body has no JSON, only the binary data of the one input: Inference-Header-Content-Length is 0.

    The one dimension whose size is not declared is told by the length of the data; the data of BYTES are one element.
    All outputs are wanted as binary data. Raises ProtocolError.
    """
    data, datatype = memoryview(body), leaf.datatype
    if datatype is BYTES and len(leaf.shape) == 1:
        tensor = Tensor(name, datatype, (1,), values=[bytes(data)])
        return InferRequest(inputs={name: tensor}, is_binary=True)
    known = prod(size for size in leaf.shape if size != -1) * datatype.size
    if not known or leaf.shape.count(-1) > 1:
        raise ProtocolError(
            f'the shape of the input "{name}", {datatype.name} {list(leaf.shape)}, does not follow from the number of '
            "bytes: send the request's JSON before them"
        )
    shape = tuple(len(data) // known if size == -1 else size for size in leaf.shape)
    return InferRequest(inputs={name: from_binary(name, datatype, shape, data)}, is_binary=True)


def encode_request(request: InferRequest, *, binary: bool) -> tuple[bytes, int | None]:
    """A body that decodes to the request, and the length of its JSON where binary data follow it."""
    objects, data = _write_tensors([(tensor, binary) for tensor in request.inputs.values()])
    head: dict[str, Any] = {"inputs": objects, "parameters": {"binary_data_output": request.is_binary}}
    if request.id is not None:
        head["id"] = request.id
    if request.outputs is not None:
        head["outputs"] = [
            {
                "name": wanted.name,
                "parameters": {"binary_data": wanted.is_binary}
                | ({"classification": wanted.classes} if wanted.classes else {}),
            }
            for wanted in request.outputs
        ]
    text = orjson.dumps(head)
    return (b"".join((text, *data)), len(text)) if binary else (text, None)


def encode_response(
    *,
    model: str,
    version: str,
    request: InferRequest,
    outputs: Sequence[Tensor],
    labels: Mapping[str, Sequence[str]] = NO_LABELS,
) -> Reply:
    """The response with the outputs that the request wants, in its order. ``labels`` are those of classes, by the
    output's name. Raises ProtocolError for an output there is not, and for names that are no text."""
    chosen = _choose(request, {tensor.name: tensor for tensor in outputs}, labels)
    objects, data = _write_tensors(chosen)
    head: dict[str, Any] = {"model_name": model, "model_version": version, "outputs": objects}
    if request.id is not None:
        head["id"] = request.id
    try:
        text = orjson.dumps(head)
    except TypeError as error:
        raise ProtocolError("an output of run() has a name that UTF-8 cannot hold", status=500) from error
    if not any(is_binary for _, is_binary in chosen):
        return Reply(200, JSON_LINE, text)
    lines = BINARY_LINE + b"%b: %d\r\n" % (HEADER_LENGTH, len(text))
    return Reply(200, lines, b"".join((text, *data)))


# --- reading ----------------------------------------------------------------------------------------------------------


def _read_object(text: memoryview) -> RequestObject:
    try:
        value = parse_json(text)
    except ValueError as error:
        raise ProtocolError(f"the request's JSON cannot be read: {error}") from error
    try:
        request = msgspec.convert(value, RequestObject)
        "".join(_words(request)).encode()  # they go back to the client
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise ProtocolError(f"the request's JSON is not an inference request: {error}") from error
    return request


def _words(request: RequestObject) -> Iterator[str]:
    """The texts of a request, but for data and parameters."""
    yield request.id or ""
    for found in request.inputs:
        yield from (found.name, found.datatype)
    for wanted in request.outputs or ():
        yield wanted.name


def _read_inputs(objects: list[InputObject], binary: memoryview) -> dict[str, Tensor]:
    inputs: dict[str, Tensor] = {}
    for found in objects:
        if found.name in inputs:
            raise ProtocolError(f'the input "{found.name}" is given twice')
        inputs[found.name], binary = _read_input(found, binary)
    if len(binary):
        raise ProtocolError(f"{len(binary)} bytes follow the binary data of the last input")
    return inputs


def _read_input(found: InputObject, binary: memoryview) -> tuple[Tensor, memoryview]:
    """The tensor, and the binary data behind its own."""
    name, parameters = found.name, found.parameters or {}
    if any(key.startswith("shared_memory_") for key in parameters):
        raise ProtocolError(f'the input "{name}" is to lie in shared memory: {SHARED_MEMORY}')
    datatype = find_datatype(found.datatype, tensor=name)
    shape = check_shape(found.shape, tensor=name)
    if "binary_data_size" not in parameters:
        if found.data is msgspec.UNSET:
            raise ProtocolError(f'the input "{name}" has neither data nor the parameter binary_data_size')
        return from_json(name, datatype, shape, found.data), binary
    if found.data is not msgspec.UNSET:
        raise ProtocolError(f'the input "{name}" has both data and the parameter binary_data_size')
    size = parameters["binary_data_size"]
    if type(size) is not int or not 0 <= size <= len(binary):
        raise ProtocolError(
            f'the input "{name}" has a binary_data_size of {size!r}; {len(binary)} bytes follow the '
            "Inference-Header-Content-Length of JSON and the inputs before"
        )
    return from_binary(name, datatype, shape, binary[:size]), binary[size:]


def _read_outputs(objects: list[OutputObject], *, default: bool) -> list[WantedOutput]:
    names: set[str] = set()
    wanted: list[WantedOutput] = []
    for found in objects:
        if found.name in names:
            raise ProtocolError(f'the output "{found.name}" is asked for twice')
        if any(key.startswith("shared_memory_") for key in found.parameters or ()):
            raise ProtocolError(f'the output "{found.name}" is to lie in shared memory: {SHARED_MEMORY}')
        names.add(found.name)
        binary = _flag(found.parameters, "binary_data", of=f'the output "{found.name}"', default=default)
        wanted.append(WantedOutput(found.name, binary, _classes(found)))
    return wanted


def _classes(found: OutputObject) -> int:
    """How many classes are asked for."""
    classes = (found.parameters or {}).get("classification", 0)
    if type(classes) is not int or classes < 0:
        raise ProtocolError(
            f'the parameter classification of the output "{found.name}" is {classes!r}; it takes a number of classes'
        )
    return classes


def _flag(parameters: Parameters | None, name: str, *, of: str, default: bool) -> bool:
    value = (parameters or {}).get(name, default)
    if not isinstance(value, bool):
        raise ProtocolError(f"the parameter {name} of {of} is {value!r}; it takes true or false")
    return value


# --- writing ----------------------------------------------------------------------------------------------------------


def _choose(
    request: InferRequest, outputs: Mapping[str, Tensor], labels: Mapping[str, Sequence[str]]
) -> list[tuple[Tensor, bool]]:
    """The tensors to send, and whether each goes as binary data."""
    if request.outputs is None:
        return [(tensor, request.is_binary) for tensor in outputs.values()]
    for wanted in request.outputs:
        if wanted.name not in outputs:
            known = ", ".join(f'"{name}"' for name in outputs) or "none"
            raise ProtocolError(f'the model has no output "{wanted.name}"; its outputs are: {known}')
    return [
        (
            classify(outputs[wanted.name], wanted.classes, labels.get(wanted.name, ()))
            if wanted.classes
            else outputs[wanted.name],
            wanted.is_binary,
        )
        for wanted in request.outputs
    ]


def _write_tensors(tensors: Sequence[tuple[Tensor, bool]]) -> tuple[list[dict[str, Any]], list[bytes | memoryview]]:
    objects: list[dict[str, Any]] = []
    data: list[bytes | memoryview] = []
    for tensor, is_binary in tensors:
        described = tensor.describe()
        if is_binary:
            packed = tensor.pack()
            data.append(packed)
            described["parameters"] = {"binary_data_size": len(packed)}
        else:
            described["data"] = orjson.Fragment(write_flat(tensor))
        objects.append(described)
    return objects, data
