"""What a snapshot leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelport.usecases.ignore_rules import IgnoreRules


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        ("*.log", ["a.log", "deep/a.log"], ["a.txt", "a.log.txt"]),
        ("data/", ["data/"], ["data", "other/"]),
        ("/data", ["data/", "data"], ["deep/data"]),
        ("deep/*.csv", ["deep/a.csv"], ["a.csv", "deep/er/a.csv", "x/deep/a.csv"]),
        ("**/cache", ["cache/", "a/b/cache/"], ["cached"]),
        ("a/**/z", ["a/z", "a/b/c/z"], ["z"]),
        ("a/**", ["a/b", "a/b/c"], ["a/"]),
        ("*.csv\n!keep.csv", ["a.csv"], ["keep.csv", "deep/keep.csv"]),
        ("# a comment\n\n\\#not\n", ["#not"], ["# a comment"]),
        ("v[0-9].txt\nw[!a].txt", ["v1.txt", "wb.txt"], ["vx.txt", "wa.txt"]),
        ("a?c", ["abc"], ["ac", "a/c"]),
    ],
)
def test_rules(lines: str, ignored: list[str], kept: list[str]) -> None:
    rules = IgnoreRules(lines.splitlines())
    for names, expected in ((ignored, True), (kept, False)):
        for name in names:
            assert rules.ignores(name.rstrip("/"), is_folder=name.endswith("/")) is expected, name


def test_amlignore_counts_before_gitignore(tmp_path: Path) -> None:
    assert not IgnoreRules.of(tmp_path).ignores("a", is_folder=False)
    (tmp_path / ".gitignore").write_text("a")
    assert IgnoreRules.of(tmp_path).ignores("a", is_folder=False)
    (tmp_path / ".amlignore").write_text("b")
    assert not IgnoreRules.of(tmp_path).ignores("a", is_folder=False)
