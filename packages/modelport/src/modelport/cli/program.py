"""The root of a command line: what ``modelport`` and ``az-ml`` have in common."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from modelport.cli.lazy import LazyGroup


def program(name: str, commands: type[LazyGroup], *, help: str) -> typer.Typer:
    """An app of that name, with these groups of commands. Plain text, as ``command.group`` says."""
    app = typer.Typer(
        name=name,
        cls=commands,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(help=help)(_root)
    return app


def _print_version(ctx: typer.Context, asked: bool) -> None:
    if asked:
        print(f"{ctx.info_name} {version('modelport')}")  # noqa: T201 - the result of --version
        raise typer.Exit


def _root(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """The options of the program itself."""
