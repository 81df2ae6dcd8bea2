"""What an expression of a script is known to be."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Protocol

from modelport.usecases.compatibility import Member, ReferenceClass, TypeName


@dataclass(frozen=True)
class Module:
    """A module of ``azureml``, or one of the project (``code`` is its name in the report)."""

    name: str


@dataclass(frozen=True)
class Class:
    """A class of v1 itself."""

    found: ReferenceClass


@dataclass(frozen=True)
class Placeholder:
    """A name that can be imported, and says at its first use that Modelport does not do it."""

    name: str
    note: str


@dataclass(frozen=True)
class Instance:
    """An object of a class of v1, or a list, dict or tuple that may hold some."""

    type: TypeName


@dataclass(frozen=True)
class Bound:
    """A method of v1 that is about to be called."""

    owner: ReferenceClass | None
    member: Member
    module: str = ""


@dataclass(frozen=True)
class OfContainer:
    """A method of a list or dict, such as ``values``."""

    container: TypeName
    name: str


@dataclass(frozen=True)
class Unknown:
    """A member of a known class that nobody knows."""

    label: str


@dataclass(frozen=True, eq=False)
class Function:
    """A function that the project defines. ``reader`` reads the file that it is in."""

    node: ast.FunctionDef | ast.AsyncFunctionDef
    scope: dict[str, Value]
    reader: Caller


class Caller(Protocol):
    """Knows what functions of its file return."""

    def call_function(
        self,
        function: Function,
        positional: list[Value],
        given: dict[str, Value],
        *,
        shared: dict[str, Value] | None = None,
    ) -> Value:
        """What it returns, given these arguments."""


@dataclass(frozen=True)
class Text:
    """A text that the script itself has."""

    text: str


Value = Module | Class | Placeholder | Instance | Bound | OfContainer | Unknown | Function | Text | None


_SIMPLE = ("str", "int", "float", "bool", "bytes", "object")


def instance_of(found: TypeName | None) -> Value:
    """An object of that type; None for those of which nothing is to be known."""
    return None if found is None or found.name in _SIMPLE else Instance(found)


def element_of(value: Value, index: object = None) -> Value:
    """What a container holds: the element of a list, the value of a dict, the part of a tuple."""
    if not isinstance(value, Instance) or not value.type.of:
        return None
    if value.type.name == "tuple":
        whole = isinstance(index, int) and -len(value.type.of) <= index < len(value.type.of)
        return instance_of(value.type.of[index]) if whole and isinstance(index, int) else None
    return instance_of(value.type.of[-1])


def called_on_container(method: OfContainer) -> Value:
    """What ``values()``, ``items()``, ``get(…)`` and ``pop(…)`` give."""
    held = method.container.of[-1] if method.container.of else None
    if held is None:
        return None
    if method.name in ("get", "pop", "setdefault"):
        return instance_of(held)
    if method.name == "values" or (method.name == "copy" and method.container.name == "list"):
        return Instance(TypeName("list", (held,)))
    if method.name == "items":
        return Instance(TypeName("list", (TypeName("tuple", (TypeName("str"), held)),)))
    return None
