"""How the commands of ``az`` read their arguments, where that is not how modelport's do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

from modelport.cli.grammar import Command, with_two_dashes
from modelport.cli.options import Truth

_TRUTHS = tuple(truth.value for truth in Truth)
_LIST_FLAG = "--tags"


class AzCommand(Command):
    """A command that reads its arguments as ``az`` did: options may be shortened as long as they stay unique,
    ``--auth-enabled`` alone means true, ``--overwrite true`` is ``--overwrite``, and ``--tags`` takes several values.
    """

    forwards: ClassVar[bool] = False
    """True: the first word that is no option, and all after it, belong to somebody else and may look like anything."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = {spelling: parameter for parameter in self.get_params(ctx) for spelling in parameter.opts}
        return super().parse_args(ctx, list(_spelled_out(args, options, forwards=self.forwards)))


class ForwardingCommand(AzCommand):
    """A command that passes on what follows its own options: a script, and the script's arguments."""

    forwards: ClassVar[bool] = True


def _spelled_out(args: Sequence[str], options: Mapping[str, Any], *, forwards: bool) -> Iterator[str]:
    rest = list(args)
    while rest:
        (argument,) = with_two_dashes([rest.pop(0)], set(options))
        if argument == "--":
            yield from (argument, *rest)
            return
        if forwards and not argument.startswith("-"):
            yield from ("--", argument, *rest)
            return
        name, equals, value = argument.partition("=")
        spelling = _spelling(name, options)
        parameter = options.get(spelling)
        if parameter is None:
            yield argument
        elif is_switch(parameter):
            said = value if equals else _taken_truth(rest)
            if said.lower() != "false":
                yield spelling
        elif is_truth(parameter) and not equals:
            yield from (spelling, _taken_truth(rest) or Truth.TRUE.value)
        elif spelling == _LIST_FLAG:
            values = [value] if equals else []
            while rest and not rest[0].startswith("-"):
                values.append(rest.pop(0))
            yield from (word for each in values for word in (spelling, each))
        else:
            yield f"{spelling}{equals}{value}"
            if not equals and rest:
                yield rest.pop(0)


def _spelling(name: str, options: Mapping[str, Any]) -> str:
    """The option whose only beginning this is; the name itself where it is one, or fits none or several."""
    if name in options or not name.startswith("--"):
        return name
    matches = {id(options[option]): option for option in options if option.startswith(name)}
    return next(iter(matches.values())) if len(matches) == 1 else name


def _taken_truth(rest: list[str]) -> str:
    """``true`` or ``false`` where that is what follows."""
    return rest.pop(0).lower() if rest and rest[0].lower() in _TRUTHS else ""


def is_switch(parameter: Any) -> bool:
    """Whether the option is given without a value."""
    return bool(getattr(parameter, "is_flag", False))


def is_truth(parameter: Any) -> bool:
    """Whether the option is given with ``true`` or ``false``."""
    return tuple(choices(parameter)) == _TRUTHS


def choices(parameter: Any) -> list[str]:
    """What may be the option's value; empty for anything."""
    described = getattr(parameter, "type_descriptor", None) or parameter.type  # typer's new and its older way
    return [str(getattr(choice, "value", choice)) for choice in getattr(described, "choices", None) or ()]
