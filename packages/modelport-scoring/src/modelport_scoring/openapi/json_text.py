"""A parameter of a query is JSON in a text (reference, 5.5): the pattern of texts that hold what a schema describes.

Neither Swagger 2.0 nor the generators of clients know JSON inside of a parameter; a text with a pattern they all know.
The pattern admits one way to write each value: members in the order of the schema, no spaces but one behind a comma or
a colon, no escapes. What else is JSON is taken by the server as well.
"""

from __future__ import annotations

from typing import Any

from modelport_scoring.familiar_schemas import is_familiar
from modelport_scoring.openapi.samples import INTEGER_RANGES, PRINTABLE
from modelport_scoring.openapi.timedeltas import TIMEDELTA_PATTERNS

Schema = dict[str, Any]

MOST_VALUES = 500
"""A pattern grows with the numbers of an array; those who would check a longer one refuse it."""

MOST_LETTERS = 65_536
"""A pattern has what an array holds twice, and so that of lists in lists twice as many letters for each level."""

COMMA, COLON = ", ?", ": ?"
DATE = "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
TEXTS = {"byte": "([A-Za-z0-9+/]{4})*", "date": DATE, "date-time": f"{DATE}T{TIME}", "time": TIME}
ANY_TEXT = r'[^"\\\x00-\x1f]*'
DIGITS = 15
"""So many every reader of JSON keeps."""

MOST_WHOLE = 10**DIGITS
RANGES = [(-MOST_WHOLE, MOST_WHOLE), *INTEGER_RANGES.values()]
PATTERNS = {PRINTABLE: r"[ !#-\[\]-~]*", **{pattern: pattern.strip("^$") for pattern in TIMEDELTA_PATTERNS.values()}}
"""Patterns of texts, and what they are between the quotation marks of JSON."""

UNTOLD = {"$ref", "allOf", "anyOf", "oneOf", "not", "const", "enum", "multipleOf", "uniqueItems", "patternProperties"}
UNTOLD |= {"minLength", "maxLength", "minProperties", "maxProperties", "exclusiveMinimum", "exclusiveMaximum"}
"""Keywords that say more of a value than its pattern does."""

SCALARS = ("boolean", "integer", "number")


class NoPattern(Exception):
    """The pattern would be too long, or the schema, of a parameter type of the script's own, says what none tells."""


def query_schema(schema: Any) -> Schema:
    """The schema of a query parameter whose value is one of ``schema``, as JSON."""
    if isinstance(schema, dict) and schema.get("type") in SCALARS:
        return {name: value for name, value in schema.items() if name != "example"}
    if not is_familiar(schema) or count_values(schema) > MOST_VALUES:
        return {"type": "string"}
    try:
        return {"type": "string", "pattern": f"^{pattern(schema)}$"}
    except NoPattern:
        return {"type": "string"}


def count_values(schema: Schema) -> int:
    """How many values one of ``schema`` has at the least."""
    if schema.get("type") == "array":
        least: int = schema.get("minItems", 0)
        return max(1, least) * count_values(schema.get("items", {}))
    return sum(count_values(member) for member in schema.get("properties", {}).values()) or 1


def pattern(schema: Schema) -> str:
    """Of the JSON texts of values of ``schema``. Raises NoPattern."""
    if not UNTOLD.isdisjoint(schema):
        raise NoPattern
    kind = schema.get("type")
    if kind in ("array", "object"):
        found = _array(schema) if kind == "array" else _object(schema)
        if len(found) > MOST_LETTERS:
            raise NoPattern
        return found
    if kind == "boolean":
        return "(true|false)"
    if kind == "integer":
        return _integer(schema)
    if kind == "number":
        return rf"-?(0|[1-9][0-9]{{0,{DIGITS - 1}}})(\.[0-9]{{1,{DIGITS}}})?"
    return _text(schema)


def _array(schema: Schema) -> str:
    item = pattern(schema.get("items", {}))
    least, most = schema.get("minItems", 0), schema.get("maxItems")
    if most == 0:
        return r"\[\]"
    rest = f"({COMMA}{item}){{{max(0, least - 1)},{'' if most is None else most - 1}}}"
    return rf"\[{item}{rest}\]" if least else rf"\[({item}{rest})?\]"


def _object(schema: Schema) -> str:
    members = (f'"{_literal(name)}"{COLON}{pattern(member)}' for name, member in schema.get("properties", {}).items())
    return rf"\{{{COMMA.join(members)}\}}"


def _literal(name: str) -> str:
    """The name of a member; letters that mean something to a pattern are taken for any letter."""
    return "".join(letter if letter.isalnum() or letter in "_ " else "." for letter in name)


def _integer(schema: Schema) -> str:
    least, most = schema.get("minimum", -MOST_WHOLE), schema.get("maximum", MOST_WHOLE)
    if (least, most) not in RANGES:
        raise NoPattern
    digits = min(DIGITS, len(str(most)) - 1)
    sign = "" if least == 0 else "-?"
    return f"{sign}(0|[1-9][0-9]{{0,{digits - 1}}})"


def _text(schema: Schema) -> str:
    if schema.get("type", "string") != "string":
        raise NoPattern
    if "pattern" not in schema:
        return f'"{TEXTS.get(schema.get("format", ""), ANY_TEXT)}"'
    told = PATTERNS.get(schema["pattern"]) if isinstance(schema["pattern"], str) else None
    if told is None:
        raise NoPattern
    return f'"{told}"'
