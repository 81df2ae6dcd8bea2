"""Which words a control socket understands: a server of another version may know others."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import lru_cache

from msgspec import inspect

from modelport_scoring.control.messages import Command


@lru_cache(maxsize=1)
def dialect() -> str:
    """A digest of every field, and of every choice, of what may be asked. Two versions with the same one understand
    each other; a field that is new is another dialect, since a server refuses what it does not know."""
    words = "\n".join(sorted(set(words_of(inspect.type_info(Command)))))
    return hashlib.sha256(words.encode()).hexdigest()[:12]


def words_of(kind: inspect.Type, seen: frozenset[type] = frozenset()) -> Iterator[str]:
    """The names of the fields and the choices in the type, and in whatever it holds."""
    if isinstance(kind, inspect.StructType):
        if kind.cls in seen:
            return
        for field in kind.fields:
            yield f"{kind.cls.__name__}.{field.encode_name}"
            yield from words_of(field.type, seen | {kind.cls})
    elif isinstance(kind, inspect.EnumType):
        yield from (f"{kind.cls.__name__}={choice.value}" for choice in kind.cls)
    elif isinstance(kind, inspect.UnionType):
        for each in kind.types:
            yield from words_of(each, seen)
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
        yield from words_of(kind.item_type, seen)
    elif isinstance(kind, inspect.DictType):
        yield from words_of(kind.value_type, seen)
