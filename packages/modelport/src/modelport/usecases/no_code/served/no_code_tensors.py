"""Requests to a model with named tensors, and its answers.

The bodies, and the answers to them:

    {"instances": [row, …], "signature_name": "…"}    {"predictions": [row, …]}    TensorFlow Serving's rows
    {"inputs": tensor or {"name": tensor, …}, …}      {"outputs": …}               TensorFlow Serving's columns
    {"inputs": {"name": {"dims": […], "dataType": 1, "rawData": "…"}}, "outputFilter": […]}    ONNX Runtime server's
    {"data": …}                                       as "instances"; an object of tensors, as "inputs"

TensorFlow Serving's are described in its "RESTful API"; ONNX Runtime server's are the JSON of its predict.proto.
"""

import base64
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np
from inference_schema.schema_decorators import input_schema, output_schema
from no_code_schema import Described, object_schema, tensor_schema

from azureml.contrib.services.aml_response import AMLResponse

Tensors = Dict[str, Any]
"""By name: NumPy arrays; an output may be a list of objects too."""
Predict = Callable[[str, Tensors, List[str]], Tensors]
"""The outputs of these names, for inputs to a signature."""

ROWS, COLUMNS, PROTOBUF = "rows", "columns", "protobuf"
PROTOBUF_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
"""ONNX's TensorProto.DataType; 8 is a string."""
PROTOBUF_STRING = 8
PROTOBUF_LISTS = ("floatData", "int32Data", "int64Data", "doubleData", "uint64Data")


class BadRequest(Exception):
    """The request is at fault; the client is told why, with status 400."""


class Call(NamedTuple):
    """One request, understood."""

    form: str
    signature: str
    inputs: Tensors
    wanted: List[str]


class Specification:
    """One tensor of a signature. ``shape`` holds None for any size, or is None where that is not known."""

    def __init__(self, name: str, kind: str, shape: Optional[List[Optional[int]]]) -> None:
        self.name, self.kind, self.shape = name, kind, shape

    def schema(self, **more: Any) -> Dict[str, Any]:
        if self.shape is None:
            return dict({"type": "array", "items": {}, "example": []}, **more)
        return tensor_schema(self.kind, self.shape, **more)

    def row_schema(self) -> Dict[str, Any]:
        return {} if self.shape is None else tensor_schema(self.kind, self.shape[1:])

    @property
    def has_free_rows(self) -> bool:
        return self.shape is not None and self.shape[:1] == [None]

    def sample(self) -> Any:
        """An array of NumPy's, where every row has the same shape; else None."""
        if self.shape is None or not self.has_free_rows or None in self.shape[1:] or self.kind == "string":
            return None
        return np.zeros([1] + [size or 0 for size in self.shape[1:]], dtype=self.kind)

    def array(self, value: Any) -> Any:
        """The value of a request as an array. Raises BadRequest."""
        array = self._texts(value) if self.kind == "string" else self._numbers(value)
        if self.shape is not None:
            fits = [wanted in (None, size) for wanted, size in zip(self.shape, array.shape)]
            if array.ndim != len(self.shape) or not all(fits):
                wanted = [-1 if size is None else size for size in self.shape]
                raise self._wrong("it has the shape {}; the model takes {}".format(list(array.shape), wanted))
        return array

    def _numbers(self, value: Any) -> Any:
        try:
            array = value if isinstance(value, np.ndarray) else np.array(value)
            if array.dtype.kind == "O" and self.kind.startswith("float"):
                array = np.array(value, dtype=self.kind)  # null is NaN
        except (ValueError, TypeError) as error:
            raise self._wrong(str(error))
        if array.dtype.kind not in "iufb":
            raise self._wrong("it takes numbers, in lists of equal lengths")
        if "int" in self.kind and array.size:
            limits = np.iinfo(self.kind)
            if (
                (array.dtype.kind == "f" and np.mod(array, 1).any())
                or array.min() < limits.min
                or array.max() > limits.max
            ):
                raise self._wrong("it takes whole numbers of the type {}".format(self.kind))
        return array.astype(self.kind)

    def _texts(self, value: Any) -> Any:
        rank = 1 if self.shape is None else len(self.shape)
        array = np.empty(sizes_of(value, rank, self._wrong), dtype=object)
        for place in np.ndindex(*array.shape):
            element = value
            for index in place:
                element = element[index]
            array[place] = text_or_bytes(element, self._wrong)
        return array

    def _wrong(self, why: str) -> BadRequest:
        return BadRequest('The input "{}": {}.'.format(self.name, why))


def sizes_of(value: Any, rank: int, wrong: Callable[[str], BadRequest]) -> List[int]:
    """The sizes of lists in lists. Raises BadRequest where they differ."""
    if rank == 0:
        return []
    if not isinstance(value, list):
        raise wrong("it takes texts in lists of {} dimensions".format(rank))
    sizes = [sizes_of(member, rank - 1, wrong) for member in value]
    if any(size != sizes[0] for size in sizes):
        raise wrong("its lists differ in length")
    return [len(value)] + (sizes[0] if sizes else [0] * (rank - 1))


def text_or_bytes(element: Any, wrong: Callable[[str], BadRequest]) -> Any:
    if isinstance(element, dict) and set(element) == {"b64"}:
        return from_base64(element["b64"], wrong)
    if isinstance(element, str):
        return element.encode("utf-8")
    raise wrong('it takes texts, or bytes as {"b64": "…"}')


def from_base64(text: Any, wrong: Callable[[str], BadRequest]) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise wrong("that is no base64")


class Signature:
    """Inputs and outputs that belong together."""

    def __init__(self, inputs: List[Dict[str, Any]], outputs: List[Dict[str, Any]]) -> None:
        self.inputs = {one["name"]: Specification(one["name"], one["type"], one["shape"]) for one in inputs}
        self.outputs = {one["name"]: Specification(one["name"], one["type"], one["shape"]) for one in outputs}

    @property
    def sole_input(self) -> Optional[Specification]:
        return next(iter(self.inputs.values())) if len(self.inputs) == 1 else None

    @property
    def has_free_rows(self) -> bool:
        """Whether any number of rows may be given at once, and each of them gets an answer."""
        known = list(self.inputs.values()) + [one for one in self.outputs.values() if one.shape is not None]
        return all(specification.has_free_rows for specification in known)


class TensorServer:
    """Reads requests, has the model predict, and writes answers in the form of the request."""

    def __init__(self, facts: Dict[str, Any], predict: Predict) -> None:
        self._default = facts["default_signature"]
        self._by_rows = facts["by_rows"]
        self._predict = predict
        self._signatures = {name: Signature(**parts) for name, parts in facts["signatures"].items()}

    # --- schemas ------------------------------------------------------------------------------------------------------

    def decorate(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """``run`` with the schemas of its parameters and its answer: those of the default signature."""
        signature = self._signatures[self._default]
        sole = signature.sole_input
        decorated = output_schema(Described(self._answer_schema(signature)))(run)
        rows, columns = self._rows_schema(signature), self._columns_schema(signature)
        others = {
            "inputs": columns if sole is None else dict(columns, example=None),
            "instances": dict(rows, example=None),
            "signature_name": not_shown({"type": "string"}),
            "outputFilter": not_shown({"type": "array", "items": {"type": "string"}}),
        }
        for name, schema in others.items():
            decorated = input_schema(name, Described(schema), convert_to_provided_type=False)(decorated)
        sample = None if sole is None else sole.sample()
        data = Described(rows if sole is not None else dict(rows, example=None), sample)
        return input_schema("data", data, convert_to_provided_type=sample is not None)(decorated)  # type: ignore

    def _columns_schema(self, signature: Signature) -> Dict[str, Any]:
        return object_schema({name: one.schema() for name, one in signature.inputs.items()})

    def _rows_schema(self, signature: Signature) -> Dict[str, Any]:
        if signature.sole_input is not None:
            return signature.sole_input.schema(**{"x-tensor": False})
        row = object_schema({name: one.row_schema() for name, one in signature.inputs.items()})
        example = [row.pop("example")]
        return {"type": "array", "items": row, "example": example, "x-tensor": False}

    def _answer_schema(self, signature: Signature) -> Dict[str, Any]:
        outputs = list(signature.outputs.values())
        if not outputs or any(one.shape is None for one in outputs):
            return {"type": "object", "properties": {}, "example": {}}
        if len(outputs) == 1:
            columns = outputs[0].schema(**{"x-tensor-name": outputs[0].name})
            rows = outputs[0].schema(**{"x-tensor": False})
        else:
            columns = object_schema({one.name: one.schema() for one in outputs})
            rows = {"type": "array", "items": {"type": "object"}, "x-tensor": False}
        return object_schema({"outputs": columns, "predictions": rows})

    # --- requests -----------------------------------------------------------------------------------------------------

    def answer(self, request: Dict[str, Any]) -> Any:
        """The answer to the arguments of one request."""
        try:
            call = self._understand(request)
            return self._write(call, self._predict(call.signature, call.inputs, call.wanted))
        except BadRequest as error:
            return refusal(request, error)

    def answer_all(self, requests: List[Dict[str, Any]]) -> List[Any]:
        """The answers to several requests: those whose rows can be put together are predicted together."""
        answers = [None] * len(requests)  # type: List[Any]
        together = {}  # type: Dict[Any, List[Any]]
        for number, request in enumerate(requests):
            try:
                call = self._understand(request)
                together.setdefault(self._group(call, number), []).append((number, call))
            except BadRequest as error:
                answers[number] = refusal(request, error)
        for members in together.values():
            for (number, call), outputs in zip(members, self._predict_together([call for _, call in members])):
                try:
                    answers[number] = self._write(call, outputs)
                except BadRequest as error:
                    answers[number] = refusal(requests[number], error)
        return answers

    def _group(self, call: Call, number: int) -> Any:
        """Equal for calls that can be one."""
        rows = {len(array) for array in call.inputs.values() if array.ndim}
        if not self._by_rows or not self._signatures[call.signature].has_free_rows or len(rows) != 1 or 0 in rows:
            return number
        shapes = sorted((name, array.shape[1:]) for name, array in call.inputs.items())
        return call.signature, tuple(call.wanted), tuple(shapes)

    def _predict_together(self, calls: List[Call]) -> List[Tensors]:
        first = calls[0]
        if len(calls) == 1:
            return [self._predict(first.signature, first.inputs, first.wanted)]
        joined = {name: np.concatenate([call.inputs[name] for call in calls]) for name in first.inputs}
        outputs = self._predict(first.signature, joined, first.wanted)
        counts = [len(next(iter(call.inputs.values()))) for call in calls]
        ends = np.cumsum(counts).tolist()
        if any(np.ndim(value) == 0 or len(value) != ends[-1] for value in outputs.values()):
            raise ValueError("an output of the model has not one member for each row")
        return [{name: value[end - count : end] for name, value in outputs.items()} for count, end in zip(counts, ends)]

    def _understand(self, request: Dict[str, Any]) -> Call:
        given = [name for name in ("data", "instances", "inputs") if request.get(name) is not None]
        if len(given) != 1:
            raise BadRequest('Give one of "inputs", "instances" and "data"; there is {}.'.format(given or "none"))
        value = request[given[0]]
        name = request.get("signature_name") or self._default
        signature = self._signatures.get(name)
        if signature is None:
            raise BadRequest('The model has no signature "{}"; it has: {}.'.format(name, ", ".join(self._signatures)))
        wanted = self._wanted(signature, request.get("outputFilter"))
        if given[0] == "instances" or (given[0] == "data" and not isinstance(value, dict)):
            return Call(ROWS, name, rows_of(signature, value), wanted)
        if is_protobuf(value):
            return Call(PROTOBUF, name, protobuf_of(signature, value), wanted)
        return Call(COLUMNS, name, columns_of(signature, value), wanted)

    def _wanted(self, signature: Signature, chosen: Any) -> List[str]:
        if not chosen:
            return list(signature.outputs)
        unknown = [name for name in chosen if name not in signature.outputs]
        if unknown:
            raise BadRequest(
                'The model has no output "{}"; it has: {}.'.format(unknown[0], ", ".join(signature.outputs))
            )
        return list(chosen)

    def _write(self, call: Call, outputs: Tensors) -> Any:
        if call.form == PROTOBUF:
            return {"outputs": {name: write_protobuf(name, value) for name, value in outputs.items()}}
        listed = {name: as_json(name, value) for name, value in outputs.items()}
        if call.form == COLUMNS:
            return {"outputs": listed if len(listed) != 1 else next(iter(listed.values()))}
        if len(listed) == 1:
            return {"predictions": next(iter(listed.values()))}
        if len({len(value) if isinstance(value, list) else None for value in listed.values()}) != 1:
            raise BadRequest('The outputs differ in their numbers of rows: ask with "inputs" instead of "instances".')
        return {"predictions": [dict(zip(listed, row)) for row in zip(*listed.values())]}


def not_shown(schema: Dict[str, Any]) -> Dict[str, Any]:
    """The schema of a part that examples do without."""
    return dict(schema, example=None, **{"x-tensor": False})


def refusal(request: Dict[str, Any], error: BadRequest) -> AMLResponse:
    """Status 400, in the form of the server whose request it is."""
    if is_protobuf(request.get("inputs")):
        return AMLResponse({"error_code": 3, "error_message": str(error)}, 400, json_str=True)
    return AMLResponse({"error": str(error)}, 400, json_str=True)


def rows_of(signature: Signature, value: Any) -> Tensors:
    sole = signature.sole_input
    by_name = isinstance(value, list) and value and isinstance(value[0], dict) and set(value[0]) != {"b64"}
    if sole is not None and not by_name:
        return {sole.name: sole.array(value)}
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise BadRequest("Each instance must be an object with the inputs: {}.".format(", ".join(signature.inputs)))
    columns = {}
    for name, specification in signature.inputs.items():
        if any(name not in row for row in value):
            raise BadRequest('An instance lacks the input "{}".'.format(name))
        columns[name] = specification.array([row[name] for row in value])
    return columns


def columns_of(signature: Signature, value: Any) -> Tensors:
    sole = signature.sole_input
    if sole is not None and (not isinstance(value, dict) or set(value) == {"b64"}):
        return {sole.name: sole.array(value)}
    check_names(signature, value)
    return {name: specification.array(value[name]) for name, specification in signature.inputs.items()}


def check_names(signature: Signature, value: Any) -> None:
    if not isinstance(value, dict):
        raise BadRequest('"inputs" must be an object with: {}.'.format(", ".join(signature.inputs)))
    for name in list(signature.inputs) + list(value):
        if name not in value:
            raise BadRequest('The input "{}" is missing.'.format(name))
        if name not in signature.inputs:
            raise BadRequest('The model has no input "{}"; it has: {}.'.format(name, ", ".join(signature.inputs)))


# --- ONNX Runtime server's tensors ------------------------------------------------------------------------------------


def is_protobuf(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and bool(value)
        and all(
            isinstance(tensor, dict) and ("dataType" in tensor or "data_type" in tensor) for tensor in value.values()
        )
    )


def protobuf_of(signature: Signature, value: Dict[str, Any]) -> Tensors:
    check_names(signature, value)
    return {name: one.array(read_protobuf(name, value[name])) for name, one in signature.inputs.items()}


def read_protobuf(name: str, tensor: Dict[str, Any]) -> Any:
    def wrong(why: str) -> BadRequest:
        return BadRequest('The input "{}": {}.'.format(name, why))

    fields = {camel(key): value for key, value in tensor.items()}
    sizes = [int(size) for size in fields.get("dims", [])]
    kind = int(fields["dataType"])
    if kind == PROTOBUF_STRING:
        elements = [from_base64(text, wrong) for text in fields.get("stringData", [])]
        texts = np.empty(len(elements), dtype=object)
        texts[:] = [{"b64": base64.b64encode(element).decode()} for element in elements]
        return reshaped(texts, sizes, wrong).tolist()
    if kind not in PROTOBUF_TYPES:
        raise wrong("the data type {} is not known".format(kind))
    if "rawData" in fields:
        return reshaped(bytes_as(PROTOBUF_TYPES[kind], from_base64(fields["rawData"], wrong), wrong), sizes, wrong)
    for key in PROTOBUF_LISTS:
        if key in fields:
            numbers = np.array([to_number(text) for text in fields[key]])
            if PROTOBUF_TYPES[kind] == "float16":  # its bits come as whole numbers
                numbers = numbers.astype("uint16").view("float16")
            return reshaped(numbers.astype(PROTOBUF_TYPES[kind]), sizes, wrong)
    return reshaped(np.zeros(0, dtype=PROTOBUF_TYPES[kind]), sizes, wrong)


def bytes_as(kind: str, content: bytes, wrong: Callable[[str], BadRequest]) -> Any:
    try:
        return np.frombuffer(content, dtype=np.dtype(kind).newbyteorder("<"))
    except ValueError:
        raise wrong("rawData has {} bytes, which is no number of {}".format(len(content), kind))


def reshaped(array: Any, sizes: List[int], wrong: Callable[[str], BadRequest]) -> Any:
    try:
        return array.reshape(sizes)
    except ValueError:
        raise wrong("it has {} elements, and the dims are {}".format(array.size, sizes))


def to_number(text: Any) -> Any:
    """A number of protobuf's JSON, where 64 bit integers are texts."""
    return int(text) if isinstance(text, str) and text.lstrip("-").isdigit() else float(text)


def camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def write_protobuf(name: str, value: Any) -> Dict[str, Any]:
    array = np.asarray(value)
    if array.dtype.kind in "OUS":
        if isinstance(value, list):
            raise BadRequest('The output "{}" is no tensor: ask with "inputs" as plain lists.'.format(name))
        texts = [base64.b64encode(as_bytes(text)).decode() for text in array.ravel().tolist()]
        return {"dims": dims_of(array), "dataType": PROTOBUF_STRING, "stringData": texts, "dataLocation": "DEFAULT"}
    kinds = {kind: number for number, kind in PROTOBUF_TYPES.items()}
    content = array.astype(array.dtype.newbyteorder("<")).tobytes()
    return {
        "dims": dims_of(array),
        "dataType": kinds[array.dtype.name],
        "rawData": base64.b64encode(content).decode(),
        "dataLocation": "DEFAULT",
    }


def dims_of(array: Any) -> List[str]:
    return [str(size) for size in array.shape]


def as_bytes(text: Any) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8")


# --- answers ----------------------------------------------------------------------------------------------------------


def as_json(name: str, value: Any) -> Any:
    """An output in lists. Bytes are text, unless the name ends in ``_bytes``, as TensorFlow Serving has it."""
    if isinstance(value, np.ndarray) and value.dtype.kind not in "OS":
        return value.tolist()
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [as_json(name, member) for member in value]
    if isinstance(value, dict):
        return {str(key): as_json(name, member) for key, member in value.items()}
    if isinstance(value, bytes):
        if name.endswith("_bytes"):
            return {"b64": base64.b64encode(value).decode()}
        return value.decode("utf-8", "replace")
    return value.item() if isinstance(value, np.generic) else value
