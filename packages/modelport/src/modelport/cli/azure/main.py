"""The program ``az-ml``: the words of ``az ml`` for Modelport (azureml-v1 reference, 3)."""

from __future__ import annotations

import sys

from typer.main import get_command

from azureml._modelport import note_client
from modelport.cli.azure.errors import exit_code_of
from modelport.cli.azure.words import PROGRAM, AzGroup
from modelport.cli.errors import stop_on_signals
from modelport.cli.main import open_standard_streams
from modelport.cli.program import program

app = program(
    PROGRAM,
    AzGroup,
    help="""The commands of `az ml` (azure-cli-ml, version 1), for workspaces and services of this machine.

    To have them as `az ml` too: modelport az
    """,
)


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
