"""Compares the table with the code: what a script gets when it imports a name of v1."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from azureml._table import DOORS, NOT_HERE
from modelport.usecases.compatibility.table import Kind, Member, Reference, ReferenceClass, Status

_NOT_HERE = "not here:"
_VALUES = (Kind.ATTRIBUTE, Kind.CONSTANT)
_ANY = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a name is in this version."""

    status: Status
    note: str
    lacks: tuple[str, ...] = ()
    """Parameters or options of v1 that it does not take yet."""
    contradictions: tuple[str, ...] = ()
    """Where the code would misread a call of v1."""


class Implementation:
    """The code behind the ``azureml`` names."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._loaded: dict[tuple[str, str], Any] = {}

    def of_class(self, found: ReferenceClass) -> Verdict:
        """What the class is."""
        reason = why_not_here(found.place, found.name)
        if found.status is Status.ABSENT or reason:
            return Verdict(status=Status.ABSENT, note=reason or found.note)
        if self.object_of(found) is None:
            return Verdict(status=Status.NOT_YET, note=found.note)
        return Verdict(status=found.status, note=found.note)

    def of_member(self, found: ReferenceClass | None, member: Member, module: str) -> Verdict:
        """What the member is: the table's word, unless the code has not got it, or has it otherwise."""
        if member.status is Status.ABSENT:
            return Verdict(status=Status.ABSENT, note=member.note)
        if found is None:
            thing = self._load(module, member.name)
            owner = thing
        else:
            owner = self.object_of(found)
            thing = None if owner is None else _member(owner, member)
        if owner is None or thing is None:
            return Verdict(status=Status.NOT_YET, note=member.note)
        lacks = tuple(_lacking(thing, member))
        return Verdict(
            status=Status.DIFFERS if lacks else member.status,
            note=member.note,
            lacks=lacks,
            contradictions=tuple(_contradictions(thing, member)),
        )

    def object_of(self, found: ReferenceClass) -> Any | None:
        """The class that scripts get; None where there is none yet."""
        outer, _, inner = found.name.partition(".")
        if ":" in found.place:
            place, _, name = found.place.partition(":")
            thing = self._load(place, name)
        else:
            thing = self._load(found.place, outer)
        return getattr(thing, inner, None) if inner else thing

    def accepts(self, found: ReferenceClass, member: Member, keyword: str) -> bool:
        """Whether a call may have the keyword, as far as the code tells."""
        owner = self.object_of(found)
        thing = None if owner is None else _member(owner, member)
        signature = _signature(thing) if callable(thing) else None
        if signature is None:
            return True
        parameters = signature.parameters.values()
        return keyword in signature.parameters or any(each.kind is each.VAR_KEYWORD for each in parameters)

    def _load(self, module: str, name: str) -> Any | None:
        key = module, name
        if key not in self._loaded:
            self._loaded[key] = _loaded(module, name)
        return self._loaded[key]


def why_not_here(module: str, name: str) -> str:
    """What the doors say of a name that Modelport does not do: why, and what to do instead; empty for other names."""
    place = DOORS.get(module, {}).get(name, "")
    return NOT_HERE[place.removeprefix(_NOT_HERE)] if place.startswith(_NOT_HERE) else ""


def _loaded(module: str, name: str) -> Any | None:
    """What the name leads to. The doors' table is asked, not the doors: looking is not using the client."""
    place = DOORS.get(module, {}).get(name, f"{module}:{name}")
    if place.startswith(_NOT_HERE):
        return None
    home, _, inner = place.partition(":")
    try:
        return getattr(import_module(home), inner)
    except (ImportError, AttributeError):
        return None


_INSTANCE = object()
"""Stands for an attribute that objects get when they are made."""


def _member(owner: Any, member: Member) -> Any | None:
    if member.kind is Kind.CONSTRUCTOR:
        return owner
    if not isinstance(owner, type):
        return getattr(owner, member.name, None)
    if hasattr(owner, member.name):
        value = getattr(owner, member.name)
        return _INSTANCE if value is None else value  # None is the default of a field, which is there
    return _INSTANCE if member.name in _assigned(owner) else None


@cache
def _assigned(owner: type) -> frozenset[str]:
    """The names that methods of the class and its parents assign to ``self``, and those that are annotated."""
    found: set[str] = set()
    for parent in owner.__mro__:
        found |= set(inspect.get_annotations(parent))
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(parent)))
        except (OSError, TypeError):
            continue
        found |= {
            node.attr
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        }
    return frozenset(found)


def _lacking(thing: Any, member: Member) -> Iterator[str]:
    """The parameters that the code does not take."""
    signature = _signature(thing) if member.kind not in _VALUES else None
    if signature is None or any(each.kind in _ANY for each in signature.parameters.values()):
        return
    for parameter in member.parameters:
        if parameter.name not in signature.parameters:
            yield parameter.name


def _contradictions(thing: Any, member: Member) -> Iterator[str]:
    """Where the code would refuse, or misread, a call that v1 took."""
    if member.kind is Kind.CONSTANT and ast.literal_eval(member.note) != getattr(thing, "value", thing):
        yield f"is {thing!r}"
    signature = _signature(thing) if member.kind not in _VALUES else None
    if signature is None:
        return
    yield from _misplaced(signature, member)
    given = {parameter.name for parameter in member.parameters if parameter.default is None}
    for each in signature.parameters.values():
        if each.default is each.empty and each.kind not in _ANY and each.name not in given:
            yield f"needs {each.name}"


def _misplaced(signature: inspect.Signature, member: Member) -> Iterator[str]:
    places = [each.name for each in signature.parameters.values() if each.kind in _POSITIONAL]
    for number, (ours, theirs) in enumerate(zip(places, member.parameters, strict=False), start=1):
        if ours != theirs.name:
            yield f"has {ours} at place {number}, where v1 had {theirs.name}"
            return


def _signature(thing: Callable[..., Any]) -> inspect.Signature | None:
    try:
        found = inspect.signature(thing)
    except (TypeError, ValueError):
        return None
    named = list(found.parameters.values())
    return found.replace(parameters=named[1:]) if named and named[0].name == "self" else found
