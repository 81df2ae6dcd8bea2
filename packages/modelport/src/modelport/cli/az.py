"""``modelport az``: lines for the start file of a shell, so that ``az ml …`` calls ``az-ml``."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelport.cli.azure.words import PROGRAM
from modelport.cli.command import command, group
from modelport.cli.output import Result
from modelport.cli.session import Session
from modelport.domain.errors import UserErrorException

app = group("Print what makes `az ml` call this Modelport in your shell.")


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_POSIX = """\
# Modelport: `az ml ...` calls az-ml; any other `az ...` calls the real az. For {file}: {how}
unalias az 2>/dev/null || true
function az {{
    if [ "${{1-}}" = ml ]; then
        shift
        {program} "$@"
    else
        command az "$@"
    fi
}}
"""
_FISH = """\
# Modelport: `az ml ...` calls az-ml; any other `az ...` calls the real az. For {file}: {how}
function az
    if test "$argv[1]" = ml
        {program} $argv[2..-1]
    else
        command az $argv
    end
end
"""
_START_FILES = {
    Shell.BASH: ("~/.bashrc", 'eval "$(modelport az)"', _POSIX),
    Shell.ZSH: ("~/.zshrc", 'eval "$(modelport az)"', _POSIX),
    Shell.FISH: ("~/.config/fish/config.fish", "modelport az --shell fish | source", _FISH),
}


@command(app, "az")
def az(
    session: Session,
    shell: Annotated[
        Shell | None, typer.Option("--shell", help="Which shell; the one of $SHELL without, else bash.")
    ] = None,
) -> object:
    """Print what makes `az ml` call this Modelport in your shell, and leaves every other `az` as it is.

    bash, zsh: eval "$(modelport az)". fish: modelport az --shell fish | source. In a start file it holds for good.
    """
    file, how, lines = _START_FILES[shell or _of_this_user()]
    text = lines.format(file=file, how=how, program=shlex.quote(_program()))
    return Result(text, text=text)


def _of_this_user() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    return Shell(name) if name in list(Shell) else Shell.BASH


def _program() -> str:
    """The path of ``az-ml`` beside this program. Raises UserErrorException where there is none."""
    beside = Path(sys.executable).parent / PROGRAM
    found = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if found is None:
        raise UserErrorException(
            f"The program {PROGRAM} is neither beside {sys.executable} nor on PATH.",
            hint="Install Modelport again: pip install --force-reinstall --no-deps modelport",
        )
    return found
