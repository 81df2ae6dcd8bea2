"""What the sample of a schema says beyond the schema that ``inference_schema`` makes of it.

The package describes types, and leaves unsaid what it refuses: a wrong number of columns, of dimensions, a number that
the array's type cannot hold (reference, 5.10). That is added here, read off the example. Nothing of what the package
wrote is taken away that may stand there, so that the document keeps the shape that clients know (reference, 5.11).
What a parameter type of the script's own writes in another way stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from modelport_scoring.familiar_schemas import DEEPEST, is_familiar, is_familiar_itself
from modelport_scoring.openapi.timedeltas import timedelta_pattern
from modelport_scoring.workers.contract import Parameter

Schema = dict[str, Any]

NUMPY = "numpy.ndarray"
PANDAS = "pandas.DataFrame:"

ANY_OBJECT: Schema = {"type": "object", "example": {}}
ERROR_RESPONSE: Schema = {
    "type": "object",
    "properties": {"status_code": {"type": "integer", "format": "int32"}, "message": {"type": "string"}},
}

BITS = (8, 16, 32, 64)
INTEGER_RANGES = {
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in BITS},
    **{f"uint{bits}": (0, 2**bits - 1) for bits in BITS},
}
"""The least and the largest number, by the names of NumPy's types."""

PRINTABLE = "^[ -~]*$"
JSON_TYPES: dict[str, tuple[type, ...]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}


def plan_definitions(schemas: Mapping[str, Any], parameters: Sequence[Parameter]) -> dict[str, Schema]:
    """ServiceInput, ServiceOutput and ErrorResponse. ``schemas`` holds ``input`` and ``output``, or nothing."""
    return {
        "ServiceInput": _valid(_complete_input(schemas["input"], parameters))
        if schemas.get("input")
        else dict(ANY_OBJECT),
        "ServiceOutput": _valid(_complete_output(schemas["output"])) if schemas.get("output") else dict(ANY_OBJECT),
        "ErrorResponse": ERROR_RESPONSE,
    }


def _valid(schema: Any, *, deepest: int = DEEPEST) -> Any:
    """The schema without the empty ``required`` that the package writes of an empty object: 2.0 and 3.0 forbid it."""
    if not isinstance(schema, dict) or deepest == 0:
        return schema
    kept = {key: value for key, value in schema.items() if key != "required" or value != []}
    if isinstance(kept.get("properties"), dict):
        kept["properties"] = {name: _valid(member, deepest=deepest - 1) for name, member in kept["properties"].items()}
    if "items" in kept:
        kept["items"] = _valid(kept["items"], deepest=deepest - 1)
    return kept


def _complete_input(schema: Schema, parameters: Sequence[Parameter]) -> Schema:
    examples = schema.get("example", {})
    unchecked = {parameter.name: parameter.unchecked for parameter in parameters}
    properties = {
        name: complete(described, examples.get(name), unchecked=unchecked.get(name, ()))
        for name, described in schema.get("properties", {}).items()
    }
    required = [parameter.name for parameter in parameters if parameter.required]
    return {
        **schema,
        **({"properties": properties} if properties else {}),
        **({"required": required} if required else {}),
    }


def _complete_output(schema: Any) -> Any:
    """What ``run`` returns is not checked against its sample: only an example that contradicts is made room for."""
    return _widen(schema, schema.get("example")) if is_familiar(schema) else schema


def complete(schema: Any, example: Any, *, unchecked: Collection[str] = (), deepest: int = DEEPEST) -> Any:
    """The schema of one parameter with all that its sample binds a request to. ``unchecked``: of ``Parameter``."""
    if deepest == 0 or not is_familiar_itself(schema):
        return schema
    is_frame = schema.get("format", "").startswith(PANDAS)
    if schema.get("type") == "object" and schema.get("properties") and isinstance(example, dict) and not is_frame:
        members = schema["properties"].items()
        nested = {name: complete(member, example.get(name), deepest=deepest - 1) for name, member in members}
        return {**schema, "properties": nested}
    return _complete_familiar(schema, example, unchecked, deepest) if is_familiar(schema) else schema


def _complete_familiar(schema: Schema, example: Any, unchecked: Collection[str], deepest: int) -> Schema:
    form = schema.get("format", "")
    if form == NUMPY:
        if "types" not in unchecked:
            schema = _with_elements(schema, example)
        return schema if "shape" in unchecked else _array(schema, example, is_outer=True)
    if form.startswith(PANDAS) and "shape" not in unchecked:
        return _frame(schema, example, orient=form.removeprefix(PANDAS))
    widened = _widen(schema, example)
    if widened.get("items") and isinstance(example, list) and example:  # of a list the first element converts all
        return {**widened, "items": complete(widened["items"], example[0], deepest=deepest - 1)}
    return widened


# --- numpy ------------------------------------------------------------------------------------------------------------


def _array(schema: Schema, example: Any, *, is_outer: bool) -> Schema:
    """Every dimension but the first has the sample's size; and none of them may be lost in an empty list."""
    items = schema.get("items", {})
    if not isinstance(example, list):
        return schema
    bounds = {} if is_outer else {"minItems": len(example), "maxItems": len(example)}
    if items.get("type") != "array":
        return {**schema, **bounds}
    if is_outer:
        bounds = {"minItems": 1} if example else {}
    inner = example[0] if example else None
    return {**schema, **bounds, "items": _array(items, inner, is_outer=False)}


def _with_elements(schema: Schema, example: Any) -> Schema:
    """The schema with what its elements can be, however deep they are."""
    if schema.get("type") != "array":
        return _element(schema, example)
    inner = example[0] if isinstance(example, list) and example else None
    return {**schema, "items": _with_elements(schema["items"], inner)} if schema.get("items") else schema


def _element(schema: Schema, example: Any) -> Schema:
    """What an array of that type can hold."""
    if schema.get("type") == "object" and schema.get("properties"):
        values = example if isinstance(example, dict) else {}
        fields = {name: _element(field, values.get(name)) for name, field in schema["properties"].items()}
        return {**schema, "properties": fields, "required": list(fields)}
    form = schema.get("format", "")
    if form == "timedelta":
        return {**schema, "pattern": timedelta_pattern(example)}
    if form == "binary":
        return {**schema, "pattern": PRINTABLE}
    return {**schema, **_integer_range(form)}


def _integer_range(form: str) -> Schema:
    if form not in INTEGER_RANGES:
        return {}
    least, most = INTEGER_RANGES[form]
    return {"minimum": least, "maximum": most}


# --- pandas -----------------------------------------------------------------------------------------------------------


def _frame(schema: Schema, example: Any, *, orient: str) -> Schema:
    """The number of columns is the sample's. Names are not checked, but no others are worth telling."""
    items, rows = schema.get("items", {}), example if isinstance(example, list) else []
    if orient == "records":
        return {**schema, "minItems": 1, "items": _closed(_widen_columns(items, rows))}
    if orient == "values":
        return {**schema, "minItems": 1, "items": _row(items, rows[0] if rows else None)}
    if orient == "split" and isinstance(example, dict):
        return _split_frame(schema, example)
    if orient in ("columns", "index") and schema.get("properties"):
        return _closed({**schema, "properties": {key: _closed(part) for key, part in schema["properties"].items()}})
    return schema


def _split_frame(schema: Schema, example: Mapping[str, Any]) -> Schema:
    """Columns, row labels and rows apart; how many rows there are is free."""
    parts = {"columns": {}, "data": {}, **schema.get("properties", {})}
    columns, rows = example.get("columns"), example.get("data")
    row = rows[0] if isinstance(rows, list) and rows else None
    data = {**parts["data"], "items": _row(parts["data"].get("items", {}), row)}
    return {**schema, "properties": {**parts, "columns": _row(parts["columns"], columns), "data": data}}


def _row(schema: Schema, example: Any) -> Schema:
    if not isinstance(example, list):
        return schema
    return {**_widen(schema, example), "minItems": len(example), "maxItems": len(example)}


def _closed(schema: Schema) -> Schema:
    if not schema.get("properties"):
        return schema
    members = {
        name: {**member, **_integer_range(member.get("format", ""))} for name, member in schema["properties"].items()
    }
    return {**schema, "properties": members, "additionalProperties": False}


# --- examples ---------------------------------------------------------------------------------------------------------


def _widen(schema: Schema, example: Any) -> Schema:
    """The schema without the element type of a list whose example has others: the package knows the last one's only."""
    items = schema.get("items")
    if not isinstance(example, list) or not items:
        return schema
    if any(not _has_type(element, items.get("type")) for element in example):
        return {**schema, "items": {}}
    return {**schema, "items": _widen(items, example[0])} if example else schema


def _widen_columns(schema: Schema, rows: Sequence[Any]) -> Schema:
    """The same for the columns of a table: a missing value of the last row says nothing of the others."""
    if "properties" not in schema or not all(isinstance(row, dict) for row in rows):
        return schema
    columns = {
        name: member if all(_has_type(row.get(name), member.get("type")) for row in rows) else {}
        for name, member in schema["properties"].items()
    }
    return {**schema, "properties": columns}


def _has_type(value: Any, name: str | None) -> bool:
    if isinstance(value, bool):
        return name in (None, "boolean")
    return name is None or isinstance(value, JSON_TYPES.get(name, (object,)))
