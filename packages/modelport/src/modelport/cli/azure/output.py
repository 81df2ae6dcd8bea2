"""Results on stdout as ``az`` formats them: JSON with sorted keys, tsv and tables of what is neither list nor object.

The keys of an object are in the order of their names, those that ``--query`` makes in the order of the query.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any

import yaml
from rich.console import Console
from rich.json import JSON

from modelport.cli.output import Result, searched

_NOT_IN_TABLES = ("id", "type", "etag")


class AzFormat(StrEnum):
    JSON = "json"
    JSONC = "jsonc"
    TABLE = "table"
    TSV = "tsv"
    YAML = "yaml"
    YAMLC = "yamlc"
    NONE = "none"


def show(result: Result, *, format: AzFormat, query: str | None) -> None:
    """Print the result on stdout; nothing where there is none. Raises UserErrorException for a query that is none."""
    value = result.value if query is None else searched(result.value, query, dict_cls=OrderedDict)
    if value is None or format is AzFormat.NONE:
        return
    if format in (AzFormat.YAML, AzFormat.YAMLC):
        text = yaml.safe_dump(json.loads(json.dumps(value)), allow_unicode=True)
    elif format is AzFormat.TABLE:
        text = table(value, columns=() if query else result.columns, sort=query is None)
    elif format is AzFormat.TSV:
        text = tsv(value)
    else:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        if format is AzFormat.JSONC and sys.stdout.isatty():
            Console(soft_wrap=True).print(JSON(text, sort_keys=True))
            return
    sys.stdout.write(text)


def tsv(value: object) -> str:
    """One line for each member of a list, its values with tabs between them. Text is written as it is."""
    rows = value if isinstance(value, list) else [value]
    return "".join(f"{_tsv_row(row)}\n" for row in rows)


def _tsv_row(row: object) -> str:
    if isinstance(row, bool):
        return str(row).lower()
    if isinstance(row, Mapping):
        return "\t".join(map(_tsv_cell, _ordered(row).values()))
    if isinstance(row, list):
        return "\t".join(map(_tsv_cell, row))
    return _tsv_cell(row)


def _tsv_cell(value: object) -> str:
    """As ``az`` does it: a list is its length, and an object is nothing."""
    if isinstance(value, Mapping):
        return ""
    return str(len(value)) if isinstance(value, list) else str(value)


def _ordered(row: Mapping[str, Any], *, sort: bool = True) -> Mapping[str, Any]:
    return row if isinstance(row, OrderedDict) or not sort else dict(sorted(row.items()))


def table(value: object, *, columns: Sequence[str], sort: bool) -> str:
    """A heading, a line of dashes, and a line for each member; ``columns``: the keys to show, else all that fit."""
    rows = [dict(_table_row(row, columns, sort=sort)) for row in (value if isinstance(value, list) else [value])]
    headings = list(dict.fromkeys(heading for row in rows for heading in row))
    if not headings:
        return "\n" if rows else ""
    lines = [headings, *([row.get(heading, "") for heading in headings] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    lines.insert(1, ["-" * width for width in widths])
    return "".join(f"{_padded(line, widths)}\n" for line in lines)


def _table_row(row: object, columns: Sequence[str], *, sort: bool) -> Iterator[tuple[str, str]]:
    if isinstance(row, list):
        yield from ((f"Column{number}", _table_cell(cell)) for number, cell in enumerate(row, start=1))
    elif not isinstance(row, Mapping):
        yield "Result", _table_cell(row)
    elif columns:
        yield from ((_heading(key), _table_cell(row.get(key))) for key in columns)
    else:
        for key, cell in _ordered(row, sort=sort).items():
            if key not in _NOT_IN_TABLES and cell is not None and not isinstance(cell, Mapping | list):
                yield _heading(key), _table_cell(cell)


def _table_cell(value: object) -> str:
    return "" if value is None else " ".join(str(value).splitlines())


def _heading(key: str) -> str:
    return key[:1].upper() + key[1:]


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
