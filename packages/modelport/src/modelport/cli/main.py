"""The command ``modelport``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from typer.main import get_command

from modelport.cli.errors import exit_code_of, stop_on_signals
from modelport.cli.lazy import LazyGroup
from modelport.cli.program import program

_STDERR = 2

app = program(
    "modelport",
    LazyGroup,
    help="""Register a machine-learning model, deploy it as a web service on this machine, score it over REST.

    Begin with: modelport deploy score.py model.pkl
    """,
)


def main() -> None:
    """Run the command line and exit: 0 done, 1 it failed, 2 it was called wrongly, 130 interrupted, 143 terminated."""
    open_standard_streams()
    stop_on_signals()
    sys.exit(run(sys.argv[1:]))


def open_standard_streams() -> None:
    """Those that the caller closed: the next file to be opened would get their number, and with it what is printed."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdout = sys.stdout or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - stays open
    sys.stderr = sys.stderr or Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - stays open


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code. Every error becomes its message here."""
    try:
        get_command(app)(args=arguments, prog_name="modelport")
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException as error:  # the last stop: whatever it is, the user gets a message and no traceback
        return exit_code_of(error, debug="--debug" in arguments)
    return 0
