"""Calling ``az-ml`` in process, on a home and a folder of the test's own."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from azureml import _modelport
from modelport.cli.azure.main import run

from ..conftest import Call, Said


@pytest.fixture
def az(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call ``az-ml`` with a line of arguments; that it is a program of v1's names is forgotten afterwards."""
    monkeypatch.setitem(_modelport._state, "client", False)

    def call(line: str, *, code: int = 0) -> Said:
        capsys.readouterr()
        said_code = run(shlex.split(line))
        printed = capsys.readouterr()
        said = Said(printed.out, printed.err, said_code)
        assert said.code == code, f"{line}\n{said}"
        assert "inside Modelport" not in said.stderr, said
        return said

    return call


@pytest.fixture
def shop(az: Call) -> Call:
    """The same, in a folder that belongs to the workspace ``shop`` and holds ``factor.json`` and ``score.py``."""
    az("workspace create -w shop -g group")
    az("folder attach -w shop -g group")
    Path("factor.json").write_text("2")
    Path("score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    return az
