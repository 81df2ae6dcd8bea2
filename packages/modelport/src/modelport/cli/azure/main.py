"""The program ``az-ml``: the words of ``az ml`` for Modelport (azureml-v1 reference, 3)."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from typer.main import get_command

from azureml._modelport import note_client
from modelport.cli.azure.errors import exit_code_of
from modelport.cli.azure.words import PROGRAM, AzGroup
from modelport.cli.errors import stop_on_signals
from modelport.cli.main import open_standard_streams

app = typer.Typer(
    name=PROGRAM,
    cls=AzGroup,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"{PROGRAM} {version('modelport')}")  # noqa: T201 - the result of --version
        raise typer.Exit


@app.callback()
def root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The commands of `az ml` (azure-cli-ml, version 1), for workspaces and services of this machine.

    To have them as `az ml` too: modelport az
    """


def main() -> None:
    """Run one command and exit: 0 done, 1 it failed, 2 it was called wrongly, 130 interrupted, 143 terminated."""
    open_standard_streams()
    stop_on_signals()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns its exit code. Errors read as those of v1 did."""
    note_client()
    try:
        code = get_command(app)(args=arguments, prog_name=PROGRAM, standalone_mode=False)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(ending.code is not None)
    except BaseException as error:  # the last stop: whatever it is, the user gets a message and no traceback
        return exit_code_of(error, arguments)
    return code if isinstance(code, int) else 0
