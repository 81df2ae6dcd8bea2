"""Commands as functions that return what is to be printed, with their options in groups.

A parameter whose type is a dataclass is a *group of options*: each of its fields becomes an option of the command, and
the function receives the filled dataclass. So a command with sixty options has a signature of six parameters::

    @command(app, "show")
    def show(session: Session, name: ServiceName) -> object:
        '''Show one service.'''
        return session.service(name).serialize()
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

import typer

from modelport.cli.grammar import Command
from modelport.cli.output import Result, check_query
from modelport.cli.session import Session

_Function = TypeVar("_Function", bound=Callable[..., object])


@dataclass(frozen=True)
class Dialect:
    """How a program speaks: how its commands read their arguments, and what stands for a group of options there."""

    command_class: type[Command] = Command
    groups: Mapping[type, type] = dataclasses.field(default_factory=dict)
    """A class of options to the subclass of it that this program has."""


MODELPORT = Dialect()


def group(help_line: str) -> typer.Typer:
    """An app for commands. Plain text, since loading what draws boxes takes longer than many a command does."""
    return typer.Typer(no_args_is_help=True, help=help_line, add_completion=False, rich_markup_mode=None)


def command(app: typer.Typer, name: str, dialect: Dialect = MODELPORT) -> Callable[[_Function], _Function]:
    """Make the function the command ``name`` of the app. It must have one parameter ``session: Session``.

    What it returns is printed as ``--output`` and ``--query`` say; a ``Result`` says more about how. One function may
    be a command of several programs.
    """

    def register(function: _Function) -> _Function:
        first_line = (inspect.getdoc(function) or "").partition("\n")[0]
        app.command(name, cls=dialect.command_class, short_help=first_line)(_flattened(function, dialect))
        return function

    return register


def _flattened(function: Callable[..., object], dialect: Dialect) -> Callable[..., None]:
    hints = get_type_hints(function, include_extras=True)
    hints = {name: dialect.groups.get(hint, hint) if isinstance(hint, type) else hint for name, hint in hints.items()}
    parameters = {parameter.name: parameter for parameter in inspect.signature(function).parameters.values()}
    groups = {name: hints[name] for name in parameters if dataclasses.is_dataclass(hints[name])}

    @functools.wraps(function)
    def call(**values: Any) -> None:
        filled = {name: _filled(group, values) for name, group in groups.items()}
        session: Session = filled["session"]
        check_query(session.query)
        outcome = function(**values, **filled)
        result = outcome if isinstance(outcome, Result) else Result(outcome)
        session.show(result)
        if not result.is_good:
            raise typer.Exit(1)

    options = list(_options(parameters, groups, hints))
    call.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    call.__annotations__ = {option.name: option.annotation for option in options}
    return call


def _filled(group: Callable[..., Any], values: dict[str, Any]) -> Any:
    """The dataclass, its fields taken out of the values."""
    return group(**{field.name: values.pop(field.name) for field in dataclasses.fields(group)})  # type: ignore[arg-type]


def _options(
    parameters: Mapping[str, inspect.Parameter], groups: Mapping[str, Any], hints: Mapping[str, Any]
) -> Iterator[inspect.Parameter]:
    """The function's own options first; the session's, which every command has, last."""
    for name, parameter in parameters.items():
        if name not in groups:
            yield _option(name, hints[name], parameter.default)
    for group in sorted(groups.values(), key=lambda group: issubclass(group, Session)):
        fields = get_type_hints(group, include_extras=True)
        for field in dataclasses.fields(group):
            missing = field.default is dataclasses.MISSING
            yield _option(field.name, fields[field.name], inspect.Parameter.empty if missing else field.default)


def _option(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
