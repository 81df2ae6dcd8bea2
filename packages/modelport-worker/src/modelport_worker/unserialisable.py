"""What to say of a value that JSON cannot hold: which part of it, where that is, and what to return instead."""

import json
from contextlib import suppress
from typing import Any, Iterator, List, NamedTuple, Optional, Tuple

from modelport_worker.answers import response_classes
from modelport_worker.failures import text_of

KEYS = (str, int, float, bool, type(None))
"""Of these types the keys of a dict may be; and of these, and of lists, tuples and dicts, what it holds."""

REPLACEMENTS = (
    ("columns", "its to_dict(orient='records')"),  # a table
    ("tolist", "its tolist()"),
    ("to_dict", "its to_dict()"),
    ("isoformat", "its isoformat()"),
    ("hex", "its hex(), or text"),
    ("__iter__", "a list of it"),
)
"""An attribute of such a value, and what could be returned in its place; the first that fits."""


DEEPEST = 500
"""Levels that are looked at: json gives up at a thousand, orjson at half of that."""

SHOWN = 40
"""Characters of such a path."""


class Part(NamedTuple):
    """A part of a value; ``path`` as in JSONPath, ``$`` is the whole."""

    path: str
    what: str
    instead: str


def complaint(value: Any, error: BaseException) -> str:
    """One sentence on what was wrong with ``value``, which could not be written as JSON because of ``error``."""
    part = None
    with suppress(BaseException):  # its own methods may raise whatever they like
        if not isinstance(value, response_classes()):
            part = first_wrong(value)
    if part is None:
        return "What run() returned cannot be sent: {}.".format(text_of(error).rstrip("."))
    return "What run() returned cannot be sent as JSON: {0.path} {0.what}. Return {0.instead}.".format(part)


def first_wrong(value: Any) -> Optional[Part]:
    """The first part that ``json`` refuses; None where there is none."""
    ancestors: List[int] = []
    rest: List[Tuple[str, Any, int]] = [("$", value, 0)]
    while rest:
        path, here, depth = rest.pop()
        if is_plain(here):
            continue
        if not isinstance(here, (list, tuple, dict)):
            return Part(path, "is of type {}".format(type_name(here)), replacement(here))
        del ancestors[depth:]
        if id(here) in ancestors:
            return Part(path, "holds itself", "something that ends")
        if depth == DEEPEST:
            return Part(path[:SHOWN] + "…", "goes on deeper than JSON is read", "something flatter")
        ancestors.append(id(here))
        if isinstance(here, dict):
            for key in here:
                if not isinstance(key, KEYS):
                    return Part(path, "has a key of type {}, {!r}".format(type_name(key), key), "texts as keys")
        rest.extend(reversed([(member_path, member, depth + 1) for member_path, member in members(path, here)]))
    return None


def is_plain(value: Any) -> bool:
    return value is None or isinstance(value, KEYS)


def members(path: str, value: Any) -> Iterator[Tuple[str, Any]]:
    """Those that are not plain: of millions of numbers nobody needs the paths."""
    if isinstance(value, dict):
        for key, member in value.items():
            if not is_plain(member):
                named = isinstance(key, str) and key.isidentifier()
                yield (path + "." + key if named else "{}[{}]".format(path, json.dumps(key))), member
    else:
        for index, member in enumerate(value):
            if not is_plain(member):
                yield "{}[{}]".format(path, index), member


def type_name(value: Any) -> str:
    kind = type(value)
    module = "" if kind.__module__ in ("builtins", None) else kind.__module__ + "."
    return module + kind.__qualname__


def replacement(value: Any) -> str:
    for attribute, text in REPLACEMENTS:
        if hasattr(value, attribute):
            return text + " instead"
    return "lists, dicts, texts and numbers instead"
