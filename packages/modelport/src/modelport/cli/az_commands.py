"""Which words of ``az ml`` the program ``az-ml`` takes, and with which options."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from typer.core import TyperGroup

from modelport.cli.azure.words import AzGroup

_SHARED = frozenset({"--workspace-name", "-w", "--resource-group", "-g", "--subscription-id", "--path"})


def known_options(command: str) -> frozenset[str] | None:
    """The spellings of the options of ``model deploy`` and the like; None where there is no such command."""
    return _commands().get(command)


@cache
def _commands() -> dict[str, frozenset[str]]:
    return {path: options for name in AzGroup.members for path, options in _below(name, AzGroup.load(name))}


def _below(path: str, command: Any) -> Iterator[tuple[str, frozenset[str]]]:
    if not isinstance(command, TyperGroup):
        yield path, _SHARED | {spelling for parameter in command.params for spelling in parameter.opts}
        return
    for name, inner in command.commands.items():
        yield from _below(f"{path} {name}", inner)
