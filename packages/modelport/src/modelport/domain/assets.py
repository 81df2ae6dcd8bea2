"""Assets: the small things of a workspace that are rows and nothing else, such as compute targets and datastores."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelport.domain.errors import UserErrorException


@dataclass(frozen=True, kw_only=True)
class Asset:
    """One version of a thing. What the body holds is agreed by those who write and read assets of that kind."""

    kind: str
    """Which sort of thing: a name has its own versions within each kind."""
    name: str
    version: int
    body: Mapping[str, Any]
    """A JSON object, as ``json_object`` returns it."""
    created_time: dt.datetime
    updated_time: dt.datetime
    """When the body was last replaced; at first, the time of creation."""
    created_by: str

    @property
    def id(self) -> str:
        return f"{self.name}:{self.version}"


def json_object(body: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy of the body as JSON gives it back: of dicts, lists (tuples too become lists) and plain values.

    Raises UserErrorException, naming the place, for what JSON would lose or change: a key that is no text, a number
    that is not finite, a value of another type.
    """
    return {_key(key, "the body"): _json(value, f"body[{key!r}]") for key, value in body.items()}


def _json(value: object, place: str) -> object:
    match value:
        case None | bool():
            return value
        case str():
            return str.__str__(value)  # of an enumeration's member: its value
        case int():
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case Mapping():
            return {_key(key, place): _json(each, f"{place}[{key!r}]") for key, each in value.items()}
        case list() | tuple():
            return [_json(each, f"{place}[{index}]") for index, each in enumerate(value)]
    raise UserErrorException(
        f"{place} is {value!r} ({type(value).__name__}), which JSON does not have.",
        hint="Give texts, finite numbers, true, false, null, lists and objects only.",
    )


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise UserErrorException(
            f"The key {key!r} in {place} is of type {type(key).__name__}; JSON has texts as keys only.",
            hint=f"Write it as a text: {str(key)!r}.",
        )
    return str.__str__(key)
