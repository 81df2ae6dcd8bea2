"""One workspace for the runs of a module, and a folder of its own to work in for each test."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelport import Experiment, Workspace

Write = Callable[..., Path]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MODELPORT_HOME", str(tmp_path_factory.mktemp("home")))
        patch.delenv("MODELPORT_DATABASE_URL", raising=False)
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)  # each program of the client would take seconds
        ws = Workspace.create("ws", subscription_id="sub", resource_group="group", show_output=False)
        yield ws
        for run in Experiment.list(ws, view_type="All"):
            for each in run.get_runs(include_children=True):
                if each.get_status() not in ("Completed", "Failed", "Canceled"):
                    each.cancel()
                    each.wait_for_completion(raise_on_error=False)
        ws.registry.close()


@pytest.fixture
def cwd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def write(cwd: Path) -> Write:
    """Writes a file, its text without the indentation of the test."""

    def write(name: str, text: str) -> Path:
        path = cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write


@pytest.fixture
def experiment(workspace: Workspace, request: pytest.FixtureRequest) -> Experiment:
    """An experiment of the test's own."""
    name = request.node.originalname.removeprefix("test_").replace("_", "-")
    return Experiment(workspace, name[:36].rstrip("-"))
