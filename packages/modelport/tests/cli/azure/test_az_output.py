"""Formats and queries as ``az`` has them; the extension's test compares them with those of the real one."""

from __future__ import annotations

import json

import pytest
import yaml

from modelport.cli.azure.output import AzFormat, show, tsv
from modelport.cli.output import Result
from modelport.domain.errors import UserErrorException

ROWS = [
    {"version": 1, "name": "a", "on": True, "tags": {"x": "y"}, "list": [1, 2], "id": "a:1"},
    {"version": None, "name": "b", "on": False},
]


def printed(capsys: pytest.CaptureFixture[str], value: object, format: AzFormat, query: str | None = None) -> str:
    show(Result(value, columns=("name", "version")), format=format, query=query)
    return capsys.readouterr().out


def test_json_has_sorted_keys(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, ROWS, AzFormat.JSON)
    assert json.loads(text) == ROWS
    assert text.index('"id"') < text.index('"name"') < text.index('"version"')
    assert printed(capsys, ROWS, AzFormat.JSONC) == text, "colours are for terminals"
    assert yaml.safe_load(printed(capsys, ROWS, AzFormat.YAML)) == ROWS
    assert printed(capsys, "line\nline", AzFormat.JSON) == '"line\\nline"\n'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", "a\n"),
        ("one\ntwo", "one\ntwo\n"),
        (True, "true\n"),
        (7, "7\n"),
        (["a", "b"], "a\nb\n"),
        ([["a", 1, True], ["b", None, {}]], "a\t1\tTrue\nb\tNone\t\n"),
        (ROWS, "a:1\t2\ta\tTrue\t\t1\nb\tFalse\tNone\n"),
        ([], ""),
    ],
)
def test_tsv(value: object, text: str) -> None:
    assert tsv(value) == text


def test_a_query_says_the_order_of_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ROWS, AzFormat.TSV, "[].{version: version, name: name}") == "1\ta\nNone\tb\n"
    table = printed(capsys, ROWS, AzFormat.TABLE, "[].{number: version, name: name}")
    assert table.splitlines() == ["Number  Name", "------  ----", "1       a", "        b"]


def test_what_is_nothing_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ROWS, AzFormat.JSON, "nothing") == ""
    assert printed(capsys, None, AzFormat.JSON) == ""
    assert printed(capsys, ROWS, AzFormat.NONE) == ""


def test_a_table_has_the_command_s_columns_or_what_is_short(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, ROWS, AzFormat.TABLE).splitlines() == ["Name  Version", "----  -------", "a     1", "b"]
    show(Result(ROWS[0]), format=AzFormat.TABLE, query=None)
    assert capsys.readouterr().out.splitlines() == ["Name  On    Version", "----  ----  -------", "a     True  1"]
    assert printed(capsys, ["a"], AzFormat.TABLE, "[]").splitlines() == ["Result", "------", "a"]
    assert printed(capsys, [["a", 1]], AzFormat.TABLE).splitlines()[0] == "Column1  Column2"


def test_a_query_that_is_none_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserErrorException, match="The query 'a\\[' is not valid JMESPath"):
        printed(capsys, ROWS, AzFormat.JSON, "a[")
