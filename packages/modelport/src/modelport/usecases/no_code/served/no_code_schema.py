"""What is known of the model, and its inputs and outputs as JSON schemas.

``model.json`` beside this file holds what the model file told when the service was deployed.
"""

import json
import os
from functools import reduce
from typing import Any, Dict, List, Optional

from inference_schema.parameter_types.abstract_parameter_type import AbstractParameterType

LARGEST_EXAMPLE = 1000
"""Elements. The example of a larger tensor is a list without rows."""

ELEMENTS = {
    "float64": ("number", "double"),
    "float32": ("number", "float"),
    "float16": ("number", "float"),
    "bool": ("boolean", ""),
    "string": ("string", ""),
}  # type: Dict[str, Any]
EXAMPLES = {"number": 0.0, "integer": 0, "boolean": False, "string": ""}  # type: Dict[str, Any]


def read_facts() -> Dict[str, Any]:
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "model.json"), encoding="utf-8") as file:
        return json.load(file)  # type: ignore[no-any-return]


def model_path(facts: Dict[str, Any]) -> str:
    """The file or folder of the model in the service."""
    return os.path.join(os.environ["AZUREML_MODEL_DIR"], *facts["model"].split("/"))


class Described(AbstractParameterType):  # type: ignore[misc]
    """A parameter with a JSON schema; what a request brings for it reaches ``run`` as it is.

    With ``array``, a sample of NumPy's, numbers in JSON may come as an array of its type.
    """

    enforce_column_type = enforce_shape = True

    def __init__(self, schema: Dict[str, Any], array: Any = None) -> None:
        super().__init__(schema["example"] if array is None else array)
        self.takes_arrays = array is not None
        self._schema = schema

    def deserialize_input(self, input_data: Any) -> Any:
        return input_data

    def input_to_swagger(self) -> Dict[str, Any]:
        return self._schema


def element_schema(kind: str) -> Dict[str, Any]:
    """Of one number, text or truth value of that type, by NumPy's names and ``string``."""
    name, form = ELEMENTS.get(kind, ("integer", kind))
    return {"type": name, "format": form} if form else {"type": name}


def tensor_schema(kind: str, shape: List[Optional[int]], **more: Any) -> Dict[str, Any]:
    """Of an array of that shape, in which None is any size, with an example."""
    schema = reduce(array_of, reversed(shape), element_schema(kind))
    return dict(schema, example=example_of(schema, shape), **more)


def array_of(items: Dict[str, Any], size: Optional[int]) -> Dict[str, Any]:
    bounds = {} if size is None else {"minItems": size, "maxItems": size}
    return dict(bounds, type="array", items=items)


def example_of(schema: Dict[str, Any], shape: List[Optional[int]]) -> Any:
    sizes = [1 if size is None else size for size in shape]
    if reduce(lambda product, size: product * size, sizes, 1) > LARGEST_EXAMPLE:
        return []
    while schema["type"] == "array":
        schema = schema["items"]
    return reduce(lambda value, size: [value] * size, reversed(sizes), EXAMPLES[schema["type"]])


def object_schema(properties: Dict[str, Dict[str, Any]], **more: Any) -> Dict[str, Any]:
    """Of an object with these members; their examples make its own."""
    members = {name: {key: schema[key] for key in schema if key != "example"} for name, schema in properties.items()}
    example = {name: schema["example"] for name, schema in properties.items() if "example" in schema}
    return dict(more, type="object", properties=members, example=example)
