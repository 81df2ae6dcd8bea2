"""The commands of ``az-ml`` as a table for the extension of the real ``az``, which has no Modelport at hand.

``python -m modelport.cli.azure.extension_table > packages/modelport-azure-cli/src/azext_modelport/commands.json``
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup

from modelport.cli.azure.grammar import choices, is_switch, is_truth
from modelport.cli.azure.reference import commands
from modelport.cli.azure.words import PROGRAM
from modelport.cli.reference import below

_HOST_S_OWN = frozenset({"--output", "-o", "--query", "--verbose", "--debug", "--only-show-errors"})
"""Options that ``az`` itself reads: it formats what a command returns."""


def table() -> dict[str, Any]:
    """Groups and commands by the words that call them in ``az``."""
    roots = commands()
    found = dict(_groups("ml", roots))
    return {
        "groups": {"ml": "Machine learning on this machine, with the words of azure-cli-ml.", **found},
        "commands": {_words(path): _command(command) for path, root in roots for path, command in below(path, root)},
    }


def _words(path: str) -> str:
    return f"ml{path.removeprefix(PROGRAM)}"


def _groups(path: str, members: list[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, member in members:
        if isinstance(member, TyperGroup):
            yield _words(name), _first_line(member)
            yield from _groups(name, [(f"{name} {below}", command) for below, command in member.commands.items()])


def _first_line(command: Any) -> str:
    return inspect.cleandoc(command.help or "").partition("\n")[0]


def _command(command: Any) -> dict[str, Any]:
    first, _, rest = inspect.cleandoc(command.help or "").partition("\n")
    parameters = [parameter for parameter in command.params if set(parameter.opts) - _HOST_S_OWN]
    return {"help": first, "more": rest.strip(), "options": [_option(parameter) for parameter in parameters]}


def _option(parameter: Any) -> dict[str, Any]:
    if parameter.param_type_name == "argument":
        return {"names": [], "metavar": parameter.metavar, "kind": "words", "help": parameter.help or ""}
    names = sorted(set(parameter.opts) - _HOST_S_OWN, key=lambda name: (-len(name), name))
    option: dict[str, Any] = {"names": names, "kind": _kind(parameter)}
    option |= {"help": parameter.help or "", "required": parameter.required, "choices": choices(parameter)}
    return {key: value for key, value in option.items() if value or key in ("names", "kind", "help")}


def _kind(parameter: Any) -> str:
    if is_switch(parameter):
        return "switch"
    if is_truth(parameter):
        return "truth"
    return "list" if parameter.multiple else "value"


if __name__ == "__main__":
    json.dump(table(), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
