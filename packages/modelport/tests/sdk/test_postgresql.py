"""The main job with its metadata in PostgreSQL: two workspaces in one database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelport import InferenceConfig, Model, Workspace

from ..storage.postgresql_server import running_postgresql
from .conftest import SCRIPT


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with running_postgresql() as url:
        monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
        monkeypatch.setenv("MODELPORT_DATABASE_URL", url)
        yield url


def test_the_main_job_on_postgresql(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (Workspace.create(name, show_output=False) for name in ("one", "other"))
    (tmp_path / "score.py").write_text(SCRIPT)
    (tmp_path / "model.txt").write_text("first")
    model = Model.register(one, tmp_path / "model.txt", "answer")
    service = Model.deploy(one, "svc", [model], InferenceConfig(str(tmp_path / "score.py")))
    try:
        service.wait_for_deployment()
        assert Workspace.get("one").webservices["svc"].run("1") == {"model": "first", "data": 1}
        assert other.webservices == {}
        assert other.models == {}
        assert not list((tmp_path / "home").rglob("workspace.db"))
    finally:
        service.delete()
        for workspace in (one, other):
            workspace.registry.close()
    monkeypatch.delenv("MODELPORT_DATABASE_URL")
    assert Workspace.list() == {}, "without the database its workspaces are not there"
