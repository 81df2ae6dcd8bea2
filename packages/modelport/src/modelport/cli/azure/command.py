"""Commands of ``az-ml``: those of modelport in the dialect of ``az``, and its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import typer

from modelport.cli.azure.grammar import AzCommand, ForwardingCommand
from modelport.cli.azure.session import AzSession, AzVersionedSession
from modelport.cli.command import Dialect, command
from modelport.cli.session import Session, VersionedSession

_Function = TypeVar("_Function", bound=Callable[..., object])

AZ = Dialect(AzCommand, {Session: AzSession, VersionedSession: AzVersionedSession})
FORWARDING = replace(AZ, command_class=ForwardingCommand)


def az_command(app: typer.Typer, name: str, dialect: Dialect = AZ) -> Callable[[_Function], _Function]:
    """Make the function the command ``name`` of ``az-ml``. It may be one of modelport too."""
    return command(app, name, dialect)


def add_all(app: typer.Typer, functions: dict[str, Callable[..., object]]) -> None:
    """Make each function the command of its name."""
    for name, function in functions.items():
        az_command(app, name)(function)
