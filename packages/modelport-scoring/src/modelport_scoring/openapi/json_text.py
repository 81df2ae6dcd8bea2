"""A parameter of a query is JSON in a text (reference, 5.5): the pattern of texts that hold what a schema describes.

Neither Swagger 2.0 nor the generators of clients know JSON inside of a parameter; a text with a pattern they all know.
The pattern admits one way to write each value: members in the order of the schema, no spaces but one behind a comma or
a colon, no escapes. What else is JSON is taken by the server as well.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

MOST_VALUES = 500
"""A pattern grows with the numbers of an array; those who would check a longer one refuse it."""

COMMA, COLON = ", ?", ": ?"
DATE = "(19|20)[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
TEXTS = {"byte": "([A-Za-z0-9+/]{4})*", "date": DATE, "date-time": f"{DATE}T{TIME}", "time": TIME}
ANY_TEXT = r'[^"\\\x00-\x1f]*'
DIGITS = 15
"""So many every reader of JSON keeps."""

SCALARS = ("boolean", "integer", "number")


def query_schema(schema: Schema) -> Schema:
    """The schema of a query parameter whose value is one of ``schema``, as JSON."""
    if schema.get("type") in SCALARS:
        return {name: value for name, value in schema.items() if name != "example"}
    if count_values(schema) > MOST_VALUES:
        return {"type": "string"}
    return {"type": "string", "pattern": f"^{pattern(schema)}$"}


def count_values(schema: Schema) -> int:
    """How many values one of ``schema`` has at the least."""
    if schema.get("type") == "array":
        least: int = schema.get("minItems", 0)
        return max(1, least) * count_values(schema.get("items", {}))
    return sum(count_values(member) for member in schema.get("properties", {}).values()) or 1


def pattern(schema: Schema) -> str:
    """Of the JSON texts of values of ``schema``."""
    kind = schema.get("type")
    if kind == "array":
        return _array(schema)
    if kind == "object":
        return _object(schema)
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
    digits = min(DIGITS, len(str(schema.get("maximum", 10**DIGITS))) - 1)
    sign = "" if schema.get("minimum") == 0 else "-?"
    return f"{sign}(0|[1-9][0-9]{{0,{digits - 1}}})"


def _text(schema: Schema) -> str:
    if "pattern" in schema:
        return f'"{schema["pattern"].removeprefix("^").removesuffix("$")}"'
    return f'"{TEXTS.get(schema.get("format", ""), ANY_TEXT)}"'
