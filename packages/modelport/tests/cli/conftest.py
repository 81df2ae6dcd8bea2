"""Calling the command line in process, on a home and a folder of the test's own."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from modelport.cli.main import run


@dataclass(frozen=True)
class Said:
    """What a call printed, and its exit code."""

    stdout: str
    stderr: str
    code: int

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


Call = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty MODELPORT_HOME, the cwd being an empty folder beside it."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    yield tmp_path / "home"


@pytest.fixture
def call(home: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call ``modelport`` with a line of arguments."""

    def call(line: str, *, code: int = 0) -> Said:
        capsys.readouterr()
        said_code = run(shlex.split(line))
        printed = capsys.readouterr()
        said = Said(printed.out, printed.err, said_code)
        assert said.code == code, f"{line}\n{said}"
        return said

    return call


@pytest.fixture
def shop(call: Call) -> Call:
    """The same, in a folder that belongs to the workspace ``shop`` and holds ``factor.json`` and ``score.py``."""
    call("workspace create -w shop")
    call("folder attach -w shop")
    Path("factor.json").write_text("2")
    Path("score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    return call
