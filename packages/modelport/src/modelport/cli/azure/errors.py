"""Errors as ``az`` and its extension ``azure-cli-ml`` printed them (azureml-v1 reference, 3)."""

from __future__ import annotations

import itertools
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer

from azureml._constants import VERSION
from azureml.exceptions import AzureMLException
from modelport.cli.az_commands import known_options
from modelport.cli.errors import FAILED, Stopped, described
from modelport.domain.errors import UserErrorException
from modelport.usecases.compatibility import Status, reference

_CALLED_WRONGLY = 2
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What a command line raises that cannot be read; typer has no public name for it."""


def exit_code_of(error: BaseException, arguments: Sequence[str]) -> int:
    """Print what the error means and return the exit code; with ``--debug``, the traceback before it."""
    debug = "--debug" in arguments
    if isinstance(error, _UsageError):
        return _called_wrongly(error, arguments)
    if debug:
        traceback.print_exception(error)
    if isinstance(error, Stopped):
        _say("Interrupted." if error.number is signal.SIGINT else "Terminated.")
        return 128 + error.number
    if isinstance(error, typer.Abort):
        _say("Operation cancelled.")
        return FAILED
    complain(error)
    return FAILED


def complain(error: BaseException) -> None:
    """Print the error in the form that scripts look for."""
    shown = error if isinstance(error, AzureMLException) else UserErrorException(described(error))
    _say(f"ERROR: {{'Azure-cli-ml Version': {VERSION!r}, 'Error': {shown!r}}}")


def _called_wrongly(error: Any, arguments: Sequence[str]) -> int:
    absent = absent_command(arguments)
    if absent is not None:
        _say(f"ERROR: {absent}")
        return _CALLED_WRONGLY
    context = error.ctx
    path = context.command_path if context is not None else "az-ml"
    if type(error).__name__ == "NoArgsIsHelpError":
        _say(error.format_message())
        return _CALLED_WRONGLY
    _say(f"ERROR: {_complaint(error)}\nHelp: {path} --help")
    return _CALLED_WRONGLY


def absent_command(arguments: Sequence[str]) -> str | None:
    """Of a command of v1 that there is not: why, and what to do instead (docs/compatibility.md)."""
    words = list(itertools.takewhile(lambda argument: not argument.startswith("-"), arguments))
    for command in reference().commands:
        named = command.name.split()
        if words[: len(named)] != named or known_options(command.name) is not None:
            continue
        if command.status is Status.ABSENT:
            return f"az ml {command.name} is not possible here: {command.note}."
        return f"az ml {command.name} is not in this version yet."
    return None


def _complaint(error: Any) -> str:
    kind = type(error).__name__
    if kind == "MissingParameter" and error.param is not None:
        names = sorted(error.param.opts, key=lambda spelling: -len(spelling))
        missing = error.param.metavar if error.param.param_type_name == "argument" else "/".join(names)
        return f"the following arguments are required: {missing}"
    if kind == "NoSuchOption":
        likely = f" (did you mean {', '.join(sorted(error.possibilities))}?)" if error.possibilities else ""
        return f"unrecognized arguments: {error.option_name}{likely}"
    return str(error.format_message())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - messages are what this module is for
