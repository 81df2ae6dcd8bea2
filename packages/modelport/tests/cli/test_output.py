"""Formats and queries."""

from __future__ import annotations

import json

import pytest
import yaml

from modelport.cli.output import Format, Result, show
from modelport.domain.errors import UserErrorException

ROWS = [{"name": "a", "version": 1, "on": True, "tags": {"x": "y"}}, {"name": "b\tc", "version": None, "on": False}]


def printed(capsys: pytest.CaptureFixture[str], result: Result, format: Format | None, query: str | None = None) -> str:
    show(result, format=format, query=query)
    return capsys.readouterr().out


def test_json_is_the_default_and_keeps_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(printed(capsys, Result(ROWS), None)) == ROWS
    assert json.loads(printed(capsys, Result(ROWS), Format.JSONC)) == ROWS
    assert yaml.safe_load(printed(capsys, Result(ROWS), Format.YAML)) == ROWS
    assert printed(capsys, Result("bare"), Format.YAML) == "bare\n"


def test_tsv_has_a_line_for_each_row_and_no_tabs_in_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, Result(ROWS), Format.TSV).splitlines()
    assert lines == ['a\t1\ttrue\t{"x": "y"}', "b c\t\tfalse"]
    assert printed(capsys, Result(ROWS), Format.TSV, "[].name | [0]") == "a\n"


def test_a_table_shows_its_columns_whole(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "n" * 300, "version": 2, "tags": {}}]
    lines = printed(capsys, Result(rows, columns=("version", "name")), Format.TABLE).splitlines()
    assert [line.split() for line in lines] == [["Version", "Name"], ["2", "n" * 300]]
    assert printed(capsys, Result(rows), Format.TABLE).split()[:2] == ["Name", "Version"]
    assert printed(capsys, Result(rows, columns=("name",)), Format.TABLE, "[].{v: version}").split() == ["V", "2"]
    assert printed(capsys, Result([]), Format.TABLE) == ""


def test_text_is_for_people_who_asked_for_no_format(capsys: pytest.CaptureFixture[str]) -> None:
    result = Result({"a": 1}, text="for people")
    assert printed(capsys, result, None) == "for people\n"
    assert json.loads(printed(capsys, result, Format.JSON)) == {"a": 1}
    assert json.loads(printed(capsys, result, None, "a")) == 1


def test_nothing_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, Result(None), None) == ""
    assert printed(capsys, Result({"a": 1}), None, "b") == "null\n"


def test_a_query_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserErrorException, match="not valid JMESPath"):
        show(Result(ROWS), format=None, query="a[")
