"""The file of a run, and its tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.scoring import report
from bench.scoring.report import markdown, panels
from bench.scoring.results import file_name, read_results, write_results
from bench.tests.results_of import empty, one_round


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    results = empty()
    results.rounds = [one_round("modelport", "W1", "c64"), one_round("fastapi", "W5", "c64", health_p99_us=7)]
    results.absent("litserve", None, "cannot be installed: no such version")
    results.bare_per_s = [49.5]
    write_results(results, tmp_path / "results" / "one.json")
    assert read_results(tmp_path / "results" / "one.json") == results


def test_a_round_is_a_line(tmp_path: Path) -> None:
    results = empty()
    results.rounds = [one_round("modelport", "W1", "c64", number=number) for number in range(3)]
    write_results(results, tmp_path / "one.json")
    assert sum(line.startswith('{"peer"') for line in (tmp_path / "one.json").read_text().splitlines()) == 3


def test_the_file_is_named_for_the_day_and_the_machine() -> None:
    assert file_name(empty()) == "2026-11-22-a-processor-2-cores.json"


def test_a_reason_is_noted_once() -> None:
    results = empty()
    for _ in range(2):
        results.absent("litserve", "W3", "takes no bytes")
    assert len(results.absences) == 1
    assert results.reason("litserve", "W3") == "takes no bytes"
    assert results.reason("litserve", "W1") is None


def test_a_peer_that_cannot_be_installed_serves_nothing() -> None:
    results = empty()
    results.absent("litserve", None, "no such version")
    assert results.reason("litserve", "W1") == "no such version"


def test_the_tables_hold_medians_and_mark_errors() -> None:
    results = empty()
    results.rounds = [
        one_round("fastapi", "W1", "c64", number=number, requests_per_s=rate, errors=errors)
        for number, (rate, errors) in enumerate(((1000.0, 0), (3000.0, 7), (2000.0, 0)), start=1)
    ]
    text = markdown(results)
    assert "### W1: Ridge, one row of 10 numbers; 64 connections" in text
    assert (
        "| FastAPI on uvicorn, lean (**7 errors**) | 2,000 | 1,000 to 3,000 | 1.00 | 2.00 | 100 | 80 | 1.00 |" in text
    )


def test_bodies_of_10_mb_have_their_table_and_their_bars() -> None:
    results = empty()
    results.rounds = [one_round("modelport", "W6", "c2", requests_per_s=80.0, cpu_us_per_request=12_500.0)]
    assert "### W6: echo of 10 MB of bytes; 2 connections" in markdown(results)
    assert panels(results) == [
        {"title": "W6, 2 connections: requests/s", "bars": [["Modelport", 80.0]]},
        {"title": "W6, 2 connections: CPU per request, ms", "bars": [["Modelport", 12.5]]},
    ]


def test_who_was_not_measured_is_told_with_the_reason() -> None:
    results = empty()
    results.absent("litserve", "W3", "it said:\nno | yes")
    assert "| LitServe | W3 | it said: no \\| yes |" in markdown(results)


def test_of_a_part_only_the_targets_with_figures_are_shown() -> None:
    assert "| ? |" in markdown(empty())
    assert "| ? |" not in markdown(empty(), whole=False)


def test_publishing_replaces_what_lies_between_the_markers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(report, "draw", lambda results: None)
    report.publish(empty(), source=tmp_path / "one.json")
    text = page.read_text()
    assert text.startswith(f"before\n{report.BEGIN}\n")
    assert text.endswith(f"{report.END}\nafter\n")
    assert "old" not in text
    assert "[one.json](../one.json)" in text


def test_the_page_of_the_documentation_has_the_markers() -> None:
    text = report.PAGE.read_text()
    assert 0 <= text.find(report.BEGIN) < text.find(report.END)
