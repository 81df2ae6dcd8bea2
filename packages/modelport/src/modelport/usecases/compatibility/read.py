"""Reads the table.

In an ``.api`` file the docstring of the module is the chapter's title and the module that its names come from. A
member without a docstring is the same as in v1. A docstring begins with ``same``, ``differs: how`` or ``absent: why,
and what to do instead``; a line ``name: note`` below says what differs where that parameter is given. In the docstring
of a class, a line ``from module`` names another module than the chapter's.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from modelport.usecases.compatibility.table import (
    Chapter,
    Command,
    KeyTable,
    Kind,
    Member,
    Parameter,
    Reference,
    ReferenceClass,
    Status,
    TypeName,
)

_STATUS = re.compile(r"(same|differs|absent)(?::\s*(.*))?$")
_PARAMETER = re.compile(r"(\w+):\s+(.*)$")
_FROM = re.compile(r"(?:^|\n)from (\S+)")


@cache
def reference() -> Reference:
    """The table. Reading it takes some milliseconds, once."""
    folder = files(__package__) / "reference"
    chapters = sorted((file for file in folder.iterdir() if file.name.endswith(".api")), key=lambda file: file.name)
    commands = tomllib.loads((folder / "az.toml").read_text(encoding="utf-8"))["command"]
    tables = tomllib.loads((folder / "files.toml").read_text(encoding="utf-8"))["table"]
    return Reference(
        chapters=tuple(_chapter(file.read_text(encoding="utf-8")) for file in chapters),
        commands=tuple(map(_command, commands)),
        tables=tuple(map(_key_table, tables)),
    )


def _chapter(text: str) -> Chapter:
    tree = ast.parse(text)
    title, _, module = (ast.get_docstring(tree) or "").partition("\n")
    module = module.strip()
    classes = [found for node in tree.body if isinstance(node, ast.ClassDef) for found in _classes(node, module)]
    functions = [_function(node, owner="") for node in tree.body if isinstance(node, ast.FunctionDef)]
    return Chapter(title=title, module=module, classes=tuple(classes), functions=tuple(functions))


def _classes(node: ast.ClassDef, module: str, *, within: str = "") -> Iterator[ReferenceClass]:
    """The class, and those nested in it."""
    name = f"{within}.{node.name}" if within else node.name
    docstring = ast.get_docstring(node) or ""
    place = _FROM.search(docstring)
    status, note, _ = _said(_FROM.sub("", docstring).strip())
    yield ReferenceClass(
        name=name,
        place=place[1] if place else module,
        bases=tuple(ast.unparse(base) for base in node.bases),
        status=status or Status.SAME,
        note=note,
        members=tuple(_members(node, name)),
    )
    for inner in node.body:
        if isinstance(inner, ast.ClassDef):
            yield from _classes(inner, place[1] if place else module, within=name)


def _members(node: ast.ClassDef, owner: str) -> Iterator[Member]:
    for statement, after in zip(node.body, [*node.body[1:], None], strict=True):
        if isinstance(statement, ast.FunctionDef):
            yield _function(statement, owner=owner)
        elif isinstance(statement, ast.AnnAssign):
            status, note, _ = _said(_text(after))
            name, returns = ast.unparse(statement.target), _type(statement.annotation)
            yield Member(
                name=name,
                kind=Kind.ATTRIBUTE,
                owner=owner,
                status=status or Status.SAME,
                note=note,
                returns=returns,
            )
        elif isinstance(statement, ast.Assign):
            value = ast.unparse(statement.value)
            yield Member(name=ast.unparse(statement.targets[0]), kind=Kind.CONSTANT, owner=owner, note=value)


def _function(node: ast.FunctionDef, *, owner: str) -> Member:
    status, note, parameter_notes = _said(ast.get_docstring(node) or "")
    static = any(ast.unparse(decorator) == "staticmethod" for decorator in node.decorator_list)
    names = [argument.arg for argument in node.args.args]
    defaults = [None] * (len(names) - len(node.args.defaults)) + [ast.unparse(value) for value in node.args.defaults]
    parameters = tuple(
        Parameter(name=name, default=default) for name, default in zip(names, defaults, strict=True) if name != "self"
    )
    unknown = parameter_notes.keys() - {parameter.name for parameter in parameters}
    if unknown:
        raise ValueError(f"{owner}.{node.name}: notes of parameters that it has not: {', '.join(unknown)}")
    return Member(
        name=node.name,
        kind=_kind(node.name, owner=owner, static=static),
        owner=owner,
        status=status or Status.SAME,
        note=note,
        parameters=parameters,
        takes_more=node.args.kwarg is not None or node.args.vararg is not None,
        parameter_notes=parameter_notes,
        returns=TypeName(owner) if node.name == "__init__" else _type(node.returns),
    )


def _kind(name: str, *, owner: str, static: bool) -> Kind:
    if name == "__init__":
        return Kind.CONSTRUCTOR
    if not owner:
        return Kind.FUNCTION
    return Kind.STATIC if static else Kind.METHOD


def _said(docstring: str) -> tuple[Status | None, str, Mapping[str, str]]:
    """The status, its note, and the notes of parameters. A text without a status is a note."""
    first, *lines = [line.strip() for line in docstring.splitlines() if line.strip()] or [""]
    match = _STATUS.match(first)
    notes = {found[1]: found[2] for found in map(_PARAMETER.match, lines) if found}
    if match is None:
        return None, first, notes
    return Status(match[1]), match[2] or "", notes


def _text(statement: ast.stmt | None) -> str:
    """The docstring of an attribute, which is the text that follows it."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
        return str(statement.value.value)
    return ""


def _type(node: ast.expr | None) -> TypeName | None:
    if isinstance(node, ast.Name):
        return None if node.id == "object" else TypeName(node.id)
    if isinstance(node, ast.Subscript):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        return TypeName(ast.unparse(node.value), tuple(_type(part) or TypeName("object") for part in inner))
    return None


def _command(row: dict[str, Any]) -> Command:
    return Command(
        name=row["name"],
        status=Status(row["status"]),
        note=row.get("note", ""),
        options=tuple(tuple(option.split("/")) for option in row.get("options", "").split()),
        option_notes=row.get("notes", {}),
    )


def _key_table(row: dict[str, Any]) -> KeyTable:
    keys = {}
    for key, text in row["keys"].items():
        status, note, _ = _said(text)
        keys[key] = (status or Status.SAME, note)
    return KeyTable(title=row["title"], file=row["file"], keys=keys)
