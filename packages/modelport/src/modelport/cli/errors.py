"""From an exception to what the user reads on stderr and the shell gets as exit code."""

from __future__ import annotations

import json
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from azureml.exceptions import AzureMLException
from modelport.domain.errors import ModelportError

FAILED = 1


class Stopped(BaseException):
    """A signal asked the program to end. No KeyboardInterrupt: typer would swallow that without a word."""

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number)
        self.number = number


def stop_on_signals() -> None:
    """Have Ctrl-C and SIGTERM raise Stopped, so that what is half done is undone on the way out."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise Stopped(signal.Signals(number))


def exit_code_of(error: BaseException, *, debug: bool) -> int:
    """Print what the error means and return the exit code; with ``debug``, the traceback before it."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, Stopped):
        _say("Interrupted." if error.number is signal.SIGINT else "Terminated.")
        return 128 + error.number
    complain(error)
    return FAILED


def complain(error: BaseException) -> None:
    """Print what the error means."""
    _say(f"ERROR: {described(error)}")


def described(error: BaseException) -> str:
    """The error in words that a user can act on."""
    if isinstance(error, ModelportError):
        return error.text
    if isinstance(error, AzureMLException):
        return str(error.message)
    if isinstance(error, json.JSONDecodeError):
        return f"This is not valid JSON: {error}.\nCheck the file or the text that was given."
    if isinstance(error, FileNotFoundError) and _started_in_nowhere():
        return "The folder that the command was started in has been removed.\nChange to one that is there: cd"
    if isinstance(error, OSError):
        what = f"{error.strerror}: {error.filename}" if error.strerror and error.filename else str(error)
        return f"{what}.\nCheck that the file is there and may be read and written, and that the disk has room."
    return (
        f"Something went wrong inside Modelport: {type(error).__name__}: {error}\n"
        "That is a mistake in Modelport. Run the command again with --debug, and report it with what that prints, as "
        "CONTRIBUTING.md says."
    )


def _started_in_nowhere() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return True
    return False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - messages are what this module is for
