"""Which schemas are written as ``inference_schema`` writes its own (reference, 5.11).

A parameter type of the script's own may write anything that JSON can hold into its schema. v1's server copies that into
its documents and reads nothing of it. So nothing is read out of a schema that is not familiar, nor added to it.
"""

from __future__ import annotations

from typing import Any

WORDS = ("type", "format")
SIZES = ("minItems", "maxItems")
LARGEST = 2**53
"""Of what has a size. A dimension of a tensor has 64 bits, and so has a whole number in many a reader of JSON."""

DEEPEST = 64
"""So many levels of lists and objects. Those who walk a schema call themselves once or twice for each."""


def is_familiar(schema: Any, *, deepest: int = DEEPEST) -> bool:
    """Whether the schema is, with all that is in it."""
    if deepest == 0 or not is_familiar_itself(schema):
        return False
    members = [*schema.get("properties", {}).values(), schema.get("items", {})]
    return all(member == {} or is_familiar(member, deepest=deepest - 1) for member in members)


def is_familiar_itself(schema: Any) -> bool:
    """The same, whatever the schemas of its members and elements are."""
    return (
        isinstance(schema, dict)
        and all(isinstance(schema.get(word, ""), str) for word in WORDS)
        and all(is_size(schema.get(size, 0)) for size in SIZES)
        and isinstance(schema.get("properties", {}), dict)
    )


def is_size(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST
