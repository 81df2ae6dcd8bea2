"""The reference page of the command line, made from the program's own help: ``python -m modelport.cli.reference``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from typing import Any

from typer.core import TyperGroup

from modelport.cli.lazy import load, names

_HEAD = """# The command line

Made from the program's help by `python -m modelport.cli.reference > docs/cli.md`; a test compares the two.

Results go to stdout, progress and notes to stderr. Exit codes: 0 done; 1 it failed, and stderr says why and what to
try; 2 it was called wrongly; 130 interrupted; 143 terminated. Two-letter options may be written with one dash or two:
`-ic`, `--ic`. Files of `--ic` and `--dc` are JSON or YAML; keys that are not known are tolerated and named on stderr.
Completion for your shell: `modelport --install-completion`.
"""


def page() -> str:
    """The whole page as Markdown."""
    commands = [(name, load(name)) for name in names()]
    sections = [section for name, command in commands for section in _sections(f"modelport {name}", command)]
    shared = _table(_parameters(commands[-1][1], panels=_SHARED))
    return "\n".join([_HEAD, "## Options of every command\n", shared, *sections])


_SHARED = ("Workspace", "Output")


def _sections(path: str, command: Any) -> Iterator[str]:
    if not isinstance(command, TyperGroup):
        yield _section(path, command)
        return
    for name, below in sorted(command.commands.items()):
        yield from _sections(f"{path} {name}", below)


def _section(path: str, command: Any) -> str:
    own = [parameter for parameter in command.params if _panel(parameter) not in _SHARED]
    text = f"## {path}\n\n{inspect.cleandoc(command.help or '')}\n"
    return f"{text}\n{_table(own)}" if own else text


def _parameters(command: Any, *, panels: tuple[str, ...]) -> list[Any]:
    return [parameter for parameter in command.params if _panel(parameter) in panels]


def _panel(parameter: Any) -> str | None:
    return getattr(parameter, "rich_help_panel", None)


def _table(parameters: list[Any]) -> str:
    rows = "".join(f"| {_names(parameter)} | {_meaning(parameter)} |\n" for parameter in parameters)
    return f"| option | meaning |\n| --- | --- |\n{rows}"


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar}`"
    longest_first = sorted(parameter.opts, key=lambda option: -len(option))
    return ", ".join(f"`{option}`" for option in longest_first)


def _meaning(parameter: Any) -> str:
    extra = " Required." if parameter.required else " Repeatable." if _is_bare_list(parameter) else ""
    return (parameter.help or "").replace("|", "\\|") + extra


def _is_bare_list(parameter: Any) -> bool:
    return bool(getattr(parameter, "multiple", False)) and "Repeatable" not in (parameter.help or "")


if __name__ == "__main__":
    sys.stdout.write(page())
