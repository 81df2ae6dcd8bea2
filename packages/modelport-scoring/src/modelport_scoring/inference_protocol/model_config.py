"""The protocol's model configuration extension (triton-inference-server/server,
docs/protocol/extension_model_configuration.md): what a service knows of the message ``ModelConfig``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from modelport_scoring.inference_protocol.datatypes import BYTES, Datatype
from modelport_scoring.inference_protocol.mapping import TensorMapping, leaves_of
from modelport_scoring.inference_protocol.schemas import Leaf

MOST_ROWS = (1 << 31) - 1
"""``max_batch_size`` of a model with rows: the field's largest value, since only the size of a body bounds them."""

CHANNELS = frozenset((1, 3, 4))
"""Grey, RGB, RGB with transparency: by them a dimension of an image is told from its height and width."""


def describe_config(mapping: TensorMapping, *, model: str, platform: str, versions: Sequence[str]) -> dict[str, Any]:
    """The configuration of a version of the model. ``versions`` are all that are served."""
    has_rows = takes_rows(mapping)
    return {
        "name": model,
        "platform": platform,
        "backend": "",
        "version_policy": {"specific": {"versions": [int(version) for version in versions]}},
        "max_batch_size": MOST_ROWS if has_rows else 0,
        "input": [
            {
                **_describe(leaf, mapping.input_names[leaf.path], has_rows=has_rows),
                "format": image_format(leaf, has_rows=has_rows),
                "allow_ragged_batch": False,
                "optional": leaf.path[0] in mapping.inputs.optional,
            }
            for leaf in mapping.inputs.leaves()
        ],
        "output": [
            {**_describe(leaf, mapping.output_names[leaf.path], has_rows=has_rows), "label_filename": ""}
            for leaf in leaves_of(mapping.outputs)
        ],
        "model_transaction_policy": {"decoupled": False},
    }


def takes_rows(mapping: TensorMapping) -> bool:
    """Whether the first dimension of all tensors is the one of rows: of any size, and of more than one dimension, or a
    table's column. An output may be one number for each row."""
    inputs: Iterable[Leaf] = mapping.inputs.leaves()
    return all(_is_free(leaf) and (len(leaf.shape) > 1 or leaf.takes_scalar) for leaf in inputs) and all(
        _is_free(leaf) for leaf in leaves_of(mapping.outputs)
    )


def image_format(leaf: Leaf, *, has_rows: bool) -> str:
    """Where the channels are, of what has the shape of an image."""
    dimensions = leaf.shape[1:] if has_rows else leaf.shape
    if len(dimensions) == 3 and leaf.datatype is not BYTES:
        first, last = dimensions[0] in CHANNELS, dimensions[2] in CHANNELS
        if first is not last:
            return "FORMAT_NCHW" if first else "FORMAT_NHWC"
    return "FORMAT_NONE"


def _is_free(leaf: Leaf) -> bool:
    return leaf.shape[:1] == (-1,)


def _describe(leaf: Leaf, name: str, *, has_rows: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "data_type": _type_name(leaf.datatype), "is_shape_tensor": False}
    dimensions = list(leaf.shape[1:] if has_rows else leaf.shape)
    if dimensions:
        return {**described, "dims": dimensions}
    return {**described, "dims": [1], "reshape": {"shape": []}}  # the message has no tensor without dimensions


def _type_name(datatype: Datatype) -> str:
    return "TYPE_STRING" if datatype is BYTES else f"TYPE_{datatype.name}"
