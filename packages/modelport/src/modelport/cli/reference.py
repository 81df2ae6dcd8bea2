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
    return page_of(_HEAD, [(f"modelport {name}", load(name)) for name in names()])


def page_of(head: str, roots: list[tuple[str, Any]]) -> str:
    """The page of a program: the options that all commands share, and then each command below the roots."""
    commands = [found for path, root in roots for found in below(path, root)]
    shared = _table([parameter for parameter in commands[-1][1].params if is_shared(parameter)])
    return "\n".join([head, "## Options of every command\n", shared, *(_section(*found) for found in commands)])


_SHARED = ("Workspace", "Output")


def below(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Each command of a group, with the words that call it."""
    if not isinstance(command, TyperGroup):
        yield path, command
        return
    for name, member in sorted(command.commands.items()):
        yield from below(f"{path} {name}", member)


def _section(path: str, command: Any) -> str:
    own = [parameter for parameter in command.params if not is_shared(parameter)]
    text = f"## {path}\n\n{inspect.cleandoc(command.help or '')}\n"
    return f"{text}\n{_table(own)}" if own else text


def is_shared(parameter: Any) -> bool:
    """Whether every command has it."""
    return getattr(parameter, "rich_help_panel", None) in _SHARED


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
