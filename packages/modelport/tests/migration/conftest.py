from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from modelport.cli.az_commands import known_options
from modelport.usecases.compatibility import Status
from modelport.usecases.migration import Finding, Report, examine


class Project:
    """A folder with files of a project."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, text: str) -> None:
        """A file, its text without the indentation of the test."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")

    def notebook(self, name: str, *cells: str) -> None:
        """A notebook; a cell that begins with ``#md`` is a text."""
        content = [
            {"cell_type": "markdown" if cell.startswith("#md") else "code", "source": cell.splitlines(keepends=True)}
            for cell in map(textwrap.dedent, cells)
        ]
        self.write(name, json.dumps({"nbformat": 4, "cells": content}))

    def report(self) -> Report:
        return examine(self.folder, takes=known_options)

    def found(self, text: str, name: str = "script.py") -> dict[str, Finding]:
        """The findings of a script, by their subjects; the last one where there are several."""
        self.write(name, text)
        return {finding.subject: finding for finding in self.report().findings}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


Statuses = Callable[[Report], list[tuple[str, str, Status]]]


def lines(report: Report) -> list[str]:
    """``place subject status`` of each finding."""
    return [f"{finding.place} {finding.subject} {finding.status}" for finding in report.findings]
