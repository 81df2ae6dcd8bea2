"""Which words of ``az ml`` the command line takes, and with which options."""

from __future__ import annotations

from functools import cache

from modelport.cli.azure.reference import commands
from modelport.cli.azure.words import PROGRAM
from modelport.cli.reference import below

_SHARED = frozenset({"--workspace-name", "-w", "--resource-group", "-g", "--subscription-id", "--path"})


def known_options(command: str) -> frozenset[str] | None:
    """The spellings of the options of ``model deploy`` and the like; None where there is no such command."""
    return _commands().get(command)


@cache
def _commands() -> dict[str, frozenset[str]]:
    return {
        path.removeprefix(f"{PROGRAM} "): _SHARED
        | {spelling for parameter in command.params for spelling in parameter.opts}
        for root, found in commands()
        for path, command in below(root, found)
    }
