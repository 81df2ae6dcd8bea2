"""Looks names of v1 up: in modules, in classes, and what a call of them is in this version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from importlib.util import find_spec

from azureml._table import DOORS, NOT_HERE
from modelport.usecases.compatibility import (
    Implementation,
    Kind,
    Member,
    Reference,
    ReferenceClass,
    Status,
    TypeName,
    reference,
)
from modelport.usecases.compatibility.implemented import why_not_here
from modelport.usecases.migration.values import (
    Bound,
    Class,
    Instance,
    Module,
    OfContainer,
    Placeholder,
    Text,
    Unknown,
    Value,
    instance_of,
)

_CONTAINERS = ("list", "dict", "tuple")
_TRAINING = ("azureml.train.", "azureml.automl.", "azureml.contrib.automl", "azureml.interpret", "azureml.explain")
_SERVICE_OF_CONFIGURATION = {
    "LocalWebserviceDeploymentConfiguration": "LocalWebservice",
    "AciServiceDeploymentConfiguration": "AciWebservice",
    "AksServiceDeploymentConfiguration": "AksWebservice",
    "AksEndpointDeploymentConfiguration": "AksEndpoint",
}


class Names:
    """The names of v1, as the table and the code have them."""

    def __init__(self) -> None:
        self.reference: Reference = reference()
        self.code = Implementation(self.reference)

    # --- modules ------------------------------------------------------------------------------------------------------

    def has_module(self, name: str) -> bool:
        """Whether ``import name`` works, where ``name`` begins with ``azureml``."""
        if name in DOORS or any(door.startswith(name + ".") for door in DOORS):
            return True
        try:
            return find_spec(name) is not None
        except ModuleNotFoundError:
            return False

    def in_module(self, module: str, name: str) -> Value:
        """What ``from module import name`` gives. Unknown where the import fails."""
        if self.has_module(f"{module}.{name}"):
            return Module(f"{module}.{name}")
        note = why_not_here(module, name)
        if note:
            return Placeholder(name, note)
        if module in DOORS and name not in DOORS[module]:
            return Unknown(f"{module}.{name}")
        found = self._classes.get(name)
        if found is not None:
            return Class(found)
        function = self.reference.functions.get(name)
        if function is not None:
            return Bound(None, function, self._module_of(function))
        return None

    def why_no_module(self, name: str) -> str:
        """What is said where a module cannot be imported."""
        why = NOT_HERE["training"] + " " if name.startswith(_TRAINING) else ""
        return f"{why}The import fails: Modelport has nothing of this name"

    def all_of(self, module: str) -> Iterable[str]:
        """The names of ``from module import *``."""
        return [name for name in DOORS.get(module, {}) if not name.startswith("_")]

    @cached_property
    def _classes(self) -> dict[str, ReferenceClass]:
        return self.reference.classes

    def _module_of(self, function: Member) -> str:
        chapters = self.reference.chapters
        return next(chapter.module for chapter in chapters if function in chapter.functions)

    # --- members ------------------------------------------------------------------------------------------------------

    def member(self, value: Value, name: str) -> Value:
        """What ``value.name`` is; None where nothing is known of it."""
        if isinstance(value, Module):
            return self.in_module(value.name, name)
        if isinstance(value, Class):
            nested = self._classes.get(f"{value.found.name}.{name}")
            return Class(nested) if nested else self._found(value.found.name, name)
        if isinstance(value, Instance):
            if value.type.name in _CONTAINERS:
                return OfContainer(value.type, name)
            nested = self._classes.get(f"{value.type.name}.{name}")
            return Class(nested) if nested else self._found(value.type.name, name)
        return None

    def _found(self, class_name: str, name: str) -> Value:
        if class_name not in self._classes or name.startswith("__"):
            return None
        for owner in self._related(class_name):
            for member in owner.members:
                if member.name == name:
                    return Bound(owner, member, owner.place)
        return Unknown(f"{class_name}.{name}")

    def _related(self, class_name: str) -> Iterator[ReferenceClass]:
        """The class, its parents, and what may be meant where only the parent is known: its children."""
        own = self._classes[class_name]
        yield own
        for base in own.bases:
            yield from self._related(base)
        yield from (found for found in self._classes.values() if class_name in found.bases)

    def constructor(self, found: ReferenceClass) -> Bound:
        """The constructor of a class; where the table has none, one of which nothing is known."""
        for owner in [found, *(self._classes[base] for base in found.bases)]:
            for member in owner.members:
                if member.kind is Kind.CONSTRUCTOR:
                    return Bound(found, member, found.place)
        return Bound(found, Member(name="__init__", kind=Kind.CONSTRUCTOR, owner=found.name, takes_more=True))

    def knows_member(self, class_name: str, name: str) -> bool:
        """Whether the code has a member that the table has not: something beyond v1's documents."""
        found = self._classes.get(class_name)
        owner = self.code.object_of(found) if found else None
        return owner is not None and hasattr(owner, name)

    # --- verdicts -----------------------------------------------------------------------------------------------------

    def returned(self, bound: Bound, arguments: dict[str, Value]) -> Value:
        """What the call gives. A deployment configuration decides which kind of service ``Model.deploy`` makes."""
        if bound.member.kind is Kind.CONSTRUCTOR and bound.owner is not None:
            return Instance(TypeName(bound.owner.name))
        if bound.member.label == "Experiment.submit" and not isinstance(arguments.get("config"), Instance):
            return None  # a run of another kind than that of a script
        kind = arguments.get("deployment_config")
        if isinstance(kind, Instance) and kind.type.name in _SERVICE_OF_CONFIGURATION:
            return Instance(TypeName(_SERVICE_OF_CONFIGURATION[kind.type.name]))
        return instance_of(bound.member.returns)

    def of_attribute(self, bound: Bound) -> Value:
        """What an attribute holds."""
        return instance_of(bound.member.returns)

    def verdict(self, bound: Bound, arguments: dict[str, Value]) -> tuple[Status, str]:
        """What a call with these arguments, by their parameters' names, is in this version."""
        verdict = self.code.of_member(bound.owner, bound.member, bound.module)
        if verdict.status in (Status.ABSENT, Status.NOT_YET):
            return verdict.status, verdict.note
        lacking = [name for name in arguments if name in verdict.lacks or self._refuses(bound, name)]
        if lacking:
            return Status.NOT_YET, f"takes no {', '.join(lacking)} yet"
        curated = arguments.get("name")
        if bound.member.label == "Environment.get" and isinstance(curated, Text) and _is_curated(curated.text):
            return (
                Status.ABSENT,
                "curated environments are the cloud's own. Make one: Environment.from_conda_specification",
            )
        notes = [f"{name}: {note}" for name, note in bound.member.parameter_notes.items() if name in arguments]
        differs = bool(notes) or bound.member.status is Status.DIFFERS
        status = Status.DIFFERS if differs else Status.SAME
        note = bound.member.note if bound.member.kind is not Kind.CONSTANT else ""
        return status, "; ".join(filter(None, [note, *notes]))

    def _refuses(self, bound: Bound, name: str) -> bool:
        known = {parameter.name for parameter in bound.member.parameters}
        if name in known or bound.member.takes_more or bound.owner is None:
            return False
        return not self.code.accepts(bound.owner, bound.member, name)


def _is_curated(name: str) -> bool:
    return name.startswith(("AzureML-", "Microsoft"))
