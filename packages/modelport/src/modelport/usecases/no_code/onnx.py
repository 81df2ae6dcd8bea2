"""ONNX: one ``.onnx`` file, or a folder with one and the files of its weights (azureml-v1 reference, 2.2.1).

Source of the format: onnx.proto of the ONNX project.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modelport.domain import models
from modelport.usecases.no_code.interface import ModelFolder, Plan, Requirements, looks_like, only_file, refused
from modelport.usecases.no_code.protobuf_fields import Message, NoMessage, open_message
from modelport.usecases.no_code.requirements import BASE, only_wheels

TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    8: "string",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
}
"""TensorProto.DataType by NumPy's names."""

# fields of ModelProto, GraphProto, ValueInfoProto, TypeProto and what is inside
_PRODUCER, _PRODUCER_VERSION, _GRAPH, _OPSETS = 2, 3, 7, 8
_INITIALIZERS, _INPUTS, _OUTPUTS = 5, 11, 12


class Onnx:
    """The framework."""

    name = models.Framework.ONNX

    def recognises(self, model: ModelFolder) -> bool:
        return sum(path.suffix.lower() == ".onnx" for path in model.files) == 1

    def plan(self, model: ModelFolder) -> Plan:
        path = only_file(model, (".onnx",), what="the model")
        try:
            return self._plan(model, path, open_message(path))
        except NoMessage as error:
            raise _not_onnx(model, path, str(error)) from error

    def _plan(self, model: ModelFolder, path: Path, message: Message) -> Plan:
        graph = message.message(_GRAPH)
        if graph is None or message.number(1) < 1 or not any(graph.messages(_OUTPUTS)):
            raise _not_onnx(model, path, "it has no graph")
        weights = {weight.text(8) for weight in graph.messages(_INITIALIZERS)}
        inputs = [_tensor(model, info) for info in graph.messages(_INPUTS) if info.text(1) not in weights]
        outputs = [_output(info) for info in graph.messages(_OUTPUTS)]
        opsets = [opset.number(2) for opset in message.messages(_OPSETS) if opset.text(1) in ("", "ai.onnx")]
        gpu = model.wants_gpu
        runtime = "onnxruntime-gpu" if gpu else "onnxruntime"
        made_by = " ".join(filter(None, (message.text(_PRODUCER), message.text(_PRODUCER_VERSION))))
        return Plan(
            framework=self.name,
            summary=f"ONNX, operator set {max(opsets, default=0)}" + (f", written by {made_by}" if made_by else ""),
            script="score_onnx.py",
            facts={
                "framework": self.name,
                "model": model.relative(path),
                "by_rows": True,
                "default_signature": "serving_default",
                "signatures": {"serving_default": {"inputs": inputs, "outputs": outputs}},
            },
            requirements=Requirements(pip=(*only_wheels(runtime, "numpy"), runtime, *BASE), decisive=runtime),
            by_rows=_by_rows(inputs, outputs),
            notes=_notes(model),
        )


def _by_rows(inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> bool:
    return all(tensor["shape"][:1] == [None] for tensor in (*inputs, *outputs) if tensor["shape"] is not None)


def _notes(model: ModelFolder) -> tuple[str, ...]:
    if not model.framework_version:
        return ()
    return (
        f"model_framework_version={model.framework_version} is the version of ONNX; the newest ONNX Runtime, which "
        "reads all of them, serves the model.",
    )


def _not_onnx(model: ModelFolder, path: Path, why: str) -> Exception:
    return refused(
        model,
        f"{path.name} is no ONNX model ({why}): it looks like {looks_like(path)}.",
        hint="Register the .onnx file that the exporter wrote, or name another model_framework.",
    )


def _tensor(model: ModelFolder, info: Message) -> dict[str, Any]:
    """Name, type and shape of an input. Raises WebserviceException for one that is no tensor."""
    found = _described(info)
    if found is None:
        raise refused(
            model,
            f"its input {info.text(1)!r} is no tensor of numbers, truth values or texts.",
            hint="Give an InferenceConfig with an entry script that makes such an input.",
        )
    return found


def _output(info: Message) -> dict[str, Any]:
    """An output; its shape is None where it is a sequence or a map, as classifiers' probabilities are."""
    return _described(info) or {"name": info.text(1), "type": "float32", "shape": None}


def _described(info: Message) -> dict[str, Any] | None:
    kind = info.message(2)
    tensor = None if kind is None else kind.message(1)
    if tensor is None or tensor.number(1) not in TYPES:
        return None
    shape = tensor.message(2)
    sizes = None if shape is None else [_size(size) for size in shape.messages(1)]
    return {"name": info.text(1), "type": TYPES[tensor.number(1)], "shape": sizes}


def _size(dimension: Message) -> int | None:
    """How many; None where it is named instead of numbered, or less than one, which old exporters write for any."""
    number = dimension.number(1, -1)
    return number if number > 0 else None
