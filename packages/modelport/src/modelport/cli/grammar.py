"""How a command reads its arguments: the two spellings of two-letter options, and options that another target has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import typer
from typer.core import TyperCommand

from modelport.cli.refused import REFUSED


class Command(TyperCommand):
    """A command that takes ``-ic`` for ``--ic``, and says of an option it cannot honour what that would need."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        known = {name for parameter in self.get_params(ctx) for name in parameter.opts}
        own = args.index("--") if "--" in args else len(args)
        read = list(with_two_dashes(args[:own], known | REFUSED.keys()))
        _refuse(ctx, read, known)
        return super().parse_args(ctx, read + args[own:])

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """The options under the headings of their groups."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or "Options", []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


def with_two_dashes(args: Iterable[str], known: set[str]) -> Iterator[str]:
    """``-ic`` as ``--ic`` where the command knows ``--ic``: public documents print both (azureml-v1 reference, 3)."""
    for argument in args:
        flag = argument.partition("=")[0]
        is_single = len(flag) > 2 and flag[0] == "-" and flag[1] != "-"
        yield f"-{argument}" if is_single and len(flag) <= 4 and f"-{flag}" in known else argument


def _refuse(ctx: Any, args: Iterable[str], known: set[str]) -> None:
    for argument in args:
        flag = argument.partition("=")[0]
        reason = REFUSED.get(flag) if flag not in known else None
        if reason is not None:
            raise typer.BadParameter(reason, ctx=ctx, param_hint=flag)
