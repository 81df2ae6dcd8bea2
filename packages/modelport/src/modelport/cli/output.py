"""Results on stdout, in the format that was asked for (azureml-v1 reference, 3: ``--output``, ``--query``)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import jmespath
import yaml
from jmespath.exceptions import JMESPathError
from rich.console import Console
from rich.json import JSON
from rich.table import Table

from modelport.domain.errors import UserErrorException

_UNLIMITED = 100_000


class Format(StrEnum):
    JSON = "json"
    JSONC = "jsonc"
    TABLE = "table"
    TSV = "tsv"
    YAML = "yaml"


@dataclass(frozen=True)
class Result:
    """What a command returns: a value that JSON can hold, and how it is best shown."""

    value: object
    text: str | None = None
    """What a person sees where no format was asked for; None: the value as JSON."""
    columns: Sequence[str] = ()
    """Keys that a table shows; none: those whose values are short."""
    is_good: bool = True
    """False: the command exits with 1 after printing."""


def show(result: Result, *, format: Format | None, query: str | None) -> None:
    """Print the result on stdout. Raises UserErrorException for a query that is none."""
    if format is None and query is None and result.text is not None:
        sys.stdout.write(result.text if result.text.endswith("\n") else result.text + "\n")
        return
    value = result.value if query is None else searched(result.value, query)
    if value is None and query is None:
        return
    columns = result.columns if query is None else ()
    _WRITERS[format or Format.JSON](value, columns)


def check_query(query: str | None) -> None:
    """Raise UserErrorException for a query that is none: before anything is done."""
    if query is not None:
        searched({}, query, compile_only=True)


def searched(value: object, query: str, *, dict_cls: type = dict, compile_only: bool = False) -> object:
    """What the query finds. Raises UserErrorException for one that is none."""
    try:
        compiled = jmespath.compile(query)
        return None if compile_only else compiled.search(value, jmespath.Options(dict_cls=dict_cls))
    except JMESPathError as error:
        raise UserErrorException(
            f"The query {query!r} is not valid JMESPath: {str(error).strip()}",
            hint="For example: --query name, --query '[].id', --query \"[?name=='diabetes'].version\".",
        ) from error


def _write_json(value: object, columns: Sequence[str]) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _write_coloured_json(value: object, columns: Sequence[str]) -> None:
    Console(soft_wrap=True).print(JSON(json.dumps(value, ensure_ascii=False)))


def _write_yaml(value: object, columns: Sequence[str]) -> None:
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    sys.stdout.write(text.removesuffix("...\n"))  # YAML's end mark, which it puts after a bare value


def _write_tsv(value: object, columns: Sequence[str]) -> None:
    for row in _rows(value):
        cells = row.values() if isinstance(row, Mapping) else row if isinstance(row, list) else [row]
        sys.stdout.write("\t".join(_cell(cell) for cell in cells) + "\n")


def _write_table(value: object, columns: Sequence[str]) -> None:
    rows = [row if isinstance(row, Mapping) else {"Result": row} for row in _rows(value)]
    if not rows:
        return
    keys = list(columns) or [key for key in rows[0] if not any(_is_nested(row.get(key)) for row in rows)]
    # a pipe has no width: nothing is cut or folded there, so that grep and awk find whole values
    console = Console(width=None if sys.stdout.isatty() else _UNLIMITED, highlight=False, markup=False, emoji=False)
    table = Table(box=None, header_style="bold", pad_edge=False)
    for key in keys:
        table.add_column(_heading(key), overflow="fold")
    for row in rows:
        table.add_row(*(_cell(row.get(key)) for key in keys))
    console.print(table)


def _rows(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _heading(key: str) -> str:
    return key[:1].upper() + key[1:]


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping | list)


def _cell(value: object) -> str:
    """One value in one line."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\t", " ").replace("\n", " ")


_WRITERS: dict[Format, Callable[[object, Sequence[str]], None]] = {
    Format.JSON: _write_json,
    Format.JSONC: _write_coloured_json,
    Format.TABLE: _write_table,
    Format.TSV: _write_tsv,
    Format.YAML: _write_yaml,
}
