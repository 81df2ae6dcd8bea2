"""Errors as ``az`` and its extension ``azure-cli-ml`` printed them (azureml-v1 reference, 3)."""

from __future__ import annotations

import signal
import sys
import traceback
from typing import Any

import typer

from azureml._constants import VERSION
from modelport.cli.errors import FAILED, Stopped, described
from modelport.domain.errors import ModelportError, UserErrorException

_CALLED_WRONGLY = 2
_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What a command line raises that cannot be read; typer has no public name for it."""


def exit_code_of(error: BaseException, *, debug: bool) -> int:
    """Print what the error means and return the exit code; with ``debug``, the traceback before it."""
    if isinstance(error, _UsageError):
        return _called_wrongly(error)
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
    shown = error if isinstance(error, ModelportError) else UserErrorException(described(error))
    _say(f"ERROR: {{'Azure-cli-ml Version': {VERSION!r}, 'Error': {shown!r}}}")


def _called_wrongly(error: Any) -> int:
    context = error.ctx
    path = context.command_path if context is not None else "az-ml"
    if type(error).__name__ == "NoArgsIsHelpError":
        _say(error.format_message())
        return _CALLED_WRONGLY
    _say(f"ERROR: {_complaint(error)}\nHelp: {path} --help")
    return _CALLED_WRONGLY


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
