"""``modelport migrate``: what it prints, and its exit code."""

from __future__ import annotations

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


def test_a_person_sees_a_block_for_each_file(call: Call, project: Path) -> None:
    lines = call("migrate project").stdout.splitlines()
    assert lines[0] == "deploy.py"
    assert lines[1].split() == ["4", "Workspace.from_config", "runs", "as", "is"]
    assert lines[3].split() == ["5", "Workspace.location", "runs", "differently"]
    assert "a label" in lines[4]
    assert lines[-1] == "2 uses of v1 in 1 files: 1 runs as is, 1 runs differently."


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
    assert both[0] == "deploy.py"
    assert both[-1] == "model churn:3 (is registered already)"
    (version / "second").write_text("x")
    assert "model not imported: " in shop("migrate --import-models .", code=1).stdout


def test_something_must_be_named(call: Call) -> None:
    assert "modelport migrate ." in call("migrate", code=1).stderr
