"""``modelport migrate``: what it prints, and its exit code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Call

SCRIPT = """
from azureml.core import Workspace
from azureml.train.automl import AutoMLConfig
ws = Workspace.from_config()
print(ws.location)
"""


@pytest.fixture
def project() -> Path:
    Path("project").mkdir()
    Path("project/deploy.py").write_text(SCRIPT)
    return Path("project")


def test_a_person_sees_each_finding_once_with_all_its_places(call: Call, project: Path) -> None:
    (project / "again.py").write_text(SCRIPT + "print(ws.location, ws.name)\nprint(ws.location)\nws.name\n")
    notebook = {"cells": [{"cell_type": "code", "source": [SCRIPT, "AutoMLConfig()"]}], "nbformat": 4, "metadata": {}}
    (project / "first.ipynb").write_text(json.dumps(notebook))
    lines = call("migrate project", code=1).stdout.splitlines()
    assert lines[:2] == ["Not covered: 1", "  AutoMLConfig"]
    differs = lines.index("Runs differently: 5")
    assert lines[differs + 1] == "  Workspace.location"
    assert "a label" in lines[differs + 2]
    assert lines[differs + 3 : differs + 7] == [
        "      again.py: lines 5, 6, 7",
        "      deploy.py: line 5",
        "      first.ipynb: cell 1: 5",
        "",
    ]
    assert lines[differs + 7] == "Runs as is: 5"
    assert "      again.py: line 4" in lines
    assert "  Workspace.name (2)" in lines
    assert lines[-1] == "11 uses of v1 in 3 files: 5 runs as is, 5 runs differently, 1 not covered."


def test_a_program_reads_json(call: Call, project: Path) -> None:
    found = call("migrate project -o json").json
    assert found["summary"] == {"files": 1, "same": 1, "differs": 1, "not yet": 0, "absent": 0}
    first = found["findings"][0]
    assert (first["file"], first["cell"], first["line"]) == ("deploy.py", None, 4)
    assert (first["subject"], first["status"]) == ("Workspace.from_config", "same")
    assert call("""migrate project --query "findings[?status=='differs'].subject" """).json == ["Workspace.location"]


def test_a_table_has_a_row_for_each_finding(call: Call, project: Path) -> None:
    head, *rows = call("migrate project -o table").stdout.splitlines()
    assert head.split() == ["File", "Cell", "Line", "Subject", "Status", "Note"]
    assert [row.split()[:4] for row in rows] == [
        ["deploy.py", "4", "Workspace.from_config", "same"],
        ["deploy.py", "5", "Workspace.location", "differs"],
    ]


def test_the_exit_code_says_whether_all_is_covered(call: Call, project: Path) -> None:
    call("migrate project --fail-on differs", code=1)
    (project / "deploy.py").write_text(SCRIPT + "AutoMLConfig()\n")
    assert "1 not covered" in call("migrate project", code=1).stdout
    call("migrate project --fail-on nothing")
    (project / "deploy.py").write_text("# azureml\nprint 'Python 2'\n")
    assert "deploy.py cannot be read: line 2" in call("migrate project", code=1).stdout
    (project / "deploy.py").write_text("print(1)\n")
    assert "Nothing of v1 was found in 1 files" in call("migrate project").stdout


def test_only_what_has_a_note(call: Call, project: Path) -> None:
    (project / "deploy.py").write_text("ws.write_config()\nprint(ws.location)\n")
    found = call("migrate project --only-notes -o json").json
    assert [finding["subject"] for finding in found["findings"]] == ["Workspace.location"]
    assert found["summary"]["same"] == 1


def test_models_are_imported_beside_the_report_or_alone(shop: Call, project: Path) -> None:
    version = Path("azureml-models/churn/3")
    version.mkdir(parents=True)
    (version / "model.pkl").write_text("x")
    assert shop("migrate --import-models .").stdout == "model churn:3\n"
    assert shop("migrate --import-models . -o json").json[0]["note"] == "is registered already"
    assert shop("model list --query '[].id'").json == ["churn:3"]
    both = shop("migrate project --import-models azureml-models").stdout.splitlines()
    assert both[:2] == ["Runs differently: 1", "  Workspace.location"]
    assert both[-1] == "model churn:3 (is registered already)"
    (version / "second").write_text("x")
    assert "model not imported: " in shop("migrate --import-models .", code=1).stdout


def test_something_must_be_named(call: Call) -> None:
    assert "modelport migrate ." in call("migrate", code=1).stderr
