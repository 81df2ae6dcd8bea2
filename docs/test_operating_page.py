"""docs/operating.md quotes what clients and the log really say, and metrics that there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "operating.md").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()
SOURCES = [path.read_text() for path in (ROOT / "packages/modelport-scoring/src").rglob("*.py")]


def quoted(heading: str) -> list[str]:
    """The words in backticks in the first column of the table below the heading."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| ")]
    return [words for row in rows for words in re.findall(r"`([^`]+)`", row)]


@pytest.mark.parametrize("heading", ["What clients read", "What the log says"])
def test_the_words_that_are_quoted_are_said(heading: str) -> None:
    words = quoted(heading)
    assert len(words) > 8
    assert [each for each in words if not any(each in source for source in SOURCES)] == []


def test_the_metrics_that_are_named_are_counted() -> None:
    named = {re.sub(r"_bucket$", "", name) for name in re.findall(r"\bmodelport_\w+", PAGE)}
    assert named
    assert [name for name in sorted(named) if f"| `{name}` |" not in METRICS] == []


def test_the_alerts_are_a_file_of_rules() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (group,) = yaml.safe_load(block)["groups"]
    for rule in group["rules"]:
        assert set(rule) <= {"alert", "expr", "for"}
        assert re.search(r"\b(up|modelport_\w+)\b", rule["expr"])
        assert rule["expr"].count("(") == rule["expr"].count(")")
