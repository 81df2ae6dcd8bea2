"""Requests to a model with named tensors, and its answers.

The bodies, and the answers to them:

    {"instances": [row, …], "signature_name": "…"}    {"predictions": [row, …]}    TensorFlow Serving's rows
    {"inputs": tensor or {"name": tensor, …}, …}      {"outputs": …}               TensorFlow Serving's columns
    {"inputs": {"name": {"dims": […], "dataType": 1, "rawData": "…"}}, "outputFilter": […]}    ONNX Runtime server's
    {"data": …}                                       as "instances"; an object of tensors, as "inputs"

TensorFlow Serving's are described in its "RESTful API"; ONNX Runtime server's are the JSON of its predict.proto.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Tuple, Type

import numpy as np
from inference_schema.schema_decorators import input_schema, output_schema
from no_code_answers import BadRequest, as_json, refused, refused_as_protobuf, write_protobuf
from no_code_bodies import Signature, Tensors, columns_of, is_protobuf, protobuf_of, rows_of
from no_code_schema import Described, object_schema

Predict = Callable[[str, Tensors, List[str]], Tensors]
"""The outputs of these names, for inputs to a signature."""

ROWS, COLUMNS, PROTOBUF = "rows", "columns", "protobuf"


class Call(NamedTuple):
    """One request, understood."""

    form: str
    signature: str
    inputs: Tensors
    wanted: List[str]


class TensorServer:
    """Reads requests, has the model predict, and writes answers in the form of the request."""

    def __init__(
        self, facts: Dict[str, Any], predict: Predict, *, misfits: Tuple[Type[Exception], ...] = (BadRequest,)
    ) -> None:
        """``misfits``: what ``predict`` raises for inputs that the model cannot take."""
        self._misfits = (BadRequest,) + misfits
        self._default = facts["default_signature"]
        self._by_rows = facts["by_rows"]
        self._predict = predict
        names = facts.get("feature_names")
        self._signatures = {name: Signature(names=names, **parts) for name, parts in facts["signatures"].items()}

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
        except self._misfits as error:
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


def refusal(request: Dict[str, Any], error: Exception) -> Any:
    """Status 400, in the form of the server whose request it is."""
    return (refused_as_protobuf if is_protobuf(request.get("inputs")) else refused)(error)
