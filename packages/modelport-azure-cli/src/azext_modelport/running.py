"""What ``az`` calls for each command."""

import sys
from typing import Any

from knack.util import CLIError

from azext_modelport import program
from azext_modelport.command_table import COMMANDS


def run_command(cmd: Any, **kwargs: Any) -> Any:
    """Have ``az-ml`` do it; what it returns is formatted by ``az``.

    ``az`` takes parameters for options, but for one with the name ``kwargs``.
    """
    section, option = program.SETTING.split(".")
    arguments = [*cmd.name.split()[1:], *COMMANDS[cmd.name].arguments(kwargs)]
    options = ["--debug", "--verbose", "--only-show-errors"]
    try:
        path = program.find(cmd.cli_ctx.config.get(section, option, fallback=None))
        return program.run(path, [*arguments, *(each for each in options if each in sys.argv)])
    except program.ProgramMissing as error:
        raise CLIError(str(error)) from error
    except program.ProgramFailed as failure:
        sys.exit(failure.code if failure.code > 0 else 128 - failure.code)
