"""The table's rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Status(StrEnum):
    """What becomes of a name of v1."""

    SAME = "same"
    DIFFERS = "differs"
    """It works, in another way: the note says how."""
    NOT_YET = "not yet"
    """It is meant to work, and this version has not got it."""
    ABSENT = "absent"
    """Modelport does not do it: the note says why, and what to do instead."""


class Kind(StrEnum):
    CONSTRUCTOR = "constructor"
    METHOD = "method"
    STATIC = "static method"
    ATTRIBUTE = "attribute"
    CONSTANT = "constant"
    FUNCTION = "function"


@dataclass(frozen=True)
class TypeName:
    """What a member returns or is: a class of the table, or ``list``, ``dict``, ``tuple`` of others."""

    name: str
    of: tuple[TypeName, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One parameter of v1's signature. ``default`` is its source text; None where it must be given."""

    name: str
    default: str | None = None


@dataclass(frozen=True, kw_only=True)
class Member:
    """One name that a class or a module of v1 has."""

    name: str
    kind: Kind
    status: Status = Status.SAME
    note: str = ""
    owner: str = ""
    """The class; empty for a function of a module."""
    parameters: tuple[Parameter, ...] = ()
    takes_more: bool = False
    """Whether v1 took any other keyword (``**kwargs``) or positional argument (``*args``)."""
    parameter_notes: Mapping[str, str] = field(default_factory=dict)
    """What differs where a parameter is given."""
    returns: TypeName | None = None

    @property
    def label(self) -> str:
        """As one would write it: ``Model.register``, ``Workspace(…)``."""
        if self.kind is Kind.CONSTRUCTOR:
            return f"{self.owner}(…)"
        return f"{self.owner}.{self.name}" if self.owner else self.name


@dataclass(frozen=True, kw_only=True)
class ReferenceClass:
    """A class of v1.

    ``place`` is the module that it is imported from, or ``module:Name`` of ours where v1 had no public name for it.
    """

    name: str
    place: str
    bases: tuple[str, ...] = ()
    status: Status = Status.SAME
    note: str = ""
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Chapter:
    """A section of the reference."""

    title: str
    module: str
    classes: tuple[ReferenceClass, ...]
    functions: tuple[Member, ...]


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command of ``az ml``, without these two words."""

    name: str
    status: Status = Status.SAME
    note: str = ""
    options: tuple[tuple[str, ...], ...] = ()
    """The spellings of each option."""
    option_notes: Mapping[str, str] = field(default_factory=dict)
    """By the long spelling."""

    def long_of(self, option: str) -> str | None:
        """The long spelling of an option; None where the command has no such option."""
        return next((names[0] for names in self.options if option in names), None)


@dataclass(frozen=True, kw_only=True)
class KeyTable:
    """Keys of a kind of file, with the status and the note of each."""

    title: str
    file: str
    keys: Mapping[str, tuple[Status, str]]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The whole table."""

    chapters: tuple[Chapter, ...]
    commands: tuple[Command, ...]
    tables: tuple[KeyTable, ...]

    @property
    def classes(self) -> dict[str, ReferenceClass]:
        """By name; a nested class by its path, ``Model.Framework``."""
        return {found.name: found for chapter in self.chapters for found in chapter.classes}

    @property
    def functions(self) -> dict[str, Member]:
        return {found.name: found for chapter in self.chapters for found in chapter.functions}

    def command(self, name: str) -> Command | None:
        """The command of that name."""
        return next((command for command in self.commands if command.name == name), None)

    def keys(self, file: str) -> dict[str, tuple[Status, str]]:
        """The keys of a kind of file: ``inference``, ``deployment``, ``environment``, ``workspace``."""
        return {key: row for table in self.tables if table.file == file for key, row in table.keys.items()}

    def members(self) -> Iterator[tuple[ReferenceClass | None, Member, str]]:
        """Every member with its class, if it has one, and the module."""
        for chapter in self.chapters:
            for found in chapter.classes:
                for member in found.members:
                    yield found, member, found.place
            for function in chapter.functions:
                yield None, function, chapter.module
