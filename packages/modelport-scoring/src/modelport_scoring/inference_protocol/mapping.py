"""The tensors of a model, from what a ready worker says of its script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from modelport_scoring.inference_protocol.protocol import ProtocolError
from modelport_scoring.inference_protocol.schemas import (
    ArrayPart,
    Leaf,
    NoTensors,
    ObjectPart,
    Part,
    Path,
    name_leaves,
    read_schema,
)
from modelport_scoring.workers.contract import Contract

UNDECORATED = {
    "text": "its run() has no @input_schema and reads the request's body as it comes",
    "raw": "its run() is decorated with @rawhttp and reads the HTTP request itself",
}


class TensorMapping:
    """The tensors of one revision: inputs that its schema declares, and outputs where it declares them too."""

    def __init__(self, inputs: ObjectPart, outputs: Part | None) -> None:
        self.inputs = inputs
        self.input_names = name_leaves(inputs.leaves())
        self.inputs_by_name = {self.input_names[leaf.path]: leaf for leaf in inputs.leaves()}
        self.outputs = outputs
        self.output_datatypes = {leaf.path: leaf.datatype for leaf in leaves_of(outputs)}
        self.output_names = name_leaves(leaves_of(outputs))
        self.labels = {self.output_names[leaf.path]: leaf.labels for leaf in leaves_of(outputs) if leaf.labels}
        """Of classes, by the name of the output."""

    def describe_inputs(self) -> list[dict[str, Any]]:
        """``inputs`` of the model's metadata."""
        return [describe(leaf, self.input_names) for leaf in self.inputs.leaves()]

    def describe_outputs(self) -> list[dict[str, Any]]:
        """``outputs`` of the model's metadata; none where the script declares none that are tensors."""
        return [describe(leaf, self.output_names) for leaf in leaves_of(self.outputs)]

    def sole_input(self) -> Leaf:
        """The input of a model that has one. Raises ProtocolError where it has several."""
        leaves = list(self.inputs.leaves())
        if len(leaves) != 1:
            raise ProtocolError(f"a request without JSON goes to a model of one input; this one has {len(leaves)}")
        return leaves[0]


def map_tensors(contract: Contract) -> TensorMapping:
    """The mapping of a script. Raises NoTensors with a sentence that says why there is none."""
    if contract.input != "json":
        raise NoTensors(UNDECORATED[contract.input])
    schemas: Mapping[str, Any] = next(iter(contract.schemas.values()), {})
    schema = schemas.get("input") or {}
    properties, samples = schema.get("properties", {}), schema.get("example", {})
    members: dict[str, Part] = {}
    for parameter in contract.parameters:
        try:
            found = properties.get(parameter.name, {})
            part = read_schema(found, path=(parameter.name,), example=samples.get(parameter.name))
            members[parameter.name] = freed(part) if "shape" in parameter.unchecked else part
        except NoTensors as error:
            if parameter.required:
                raise NoTensors(f'the parameter "{parameter.name}" of run() {error}') from error
    if not members:
        raise NoTensors("no parameter of run() maps to tensors")
    optional = frozenset(parameter.name for parameter in contract.parameters if not parameter.required)
    try:
        return TensorMapping(ObjectPart(members, optional), _read_outputs(schemas.get("output")))
    except NoTensors as error:
        raise NoTensors(f"the script {error}") from error


def freed(part: Part) -> Part:
    """The part, where it is an array, with dimensions of any size."""
    if not isinstance(part, ArrayPart):
        return part
    return replace(part, leaf=replace(part.leaf, shape=(-1,) * len(part.leaf.shape)))


def _read_outputs(schema: Any) -> Part | None:
    """What the answer is declared to be; None where that is nothing that maps to tensors."""
    try:
        part = read_schema(schema, example=schema.get("example")) if isinstance(schema, dict) and schema else None
        name_leaves(leaves_of(part))
    except NoTensors:
        return None
    return part


def leaves_of(part: Part | None) -> Iterable[Leaf]:
    """The leaves of a part; none where there is none."""
    return part.leaves() if part is not None else ()


def describe(leaf: Leaf, names: Mapping[Path, str]) -> dict[str, Any]:
    """The metadata of a tensor."""
    return {"name": names[leaf.path], "datatype": leaf.datatype.name, "shape": list(leaf.shape)}
