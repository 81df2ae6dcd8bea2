"""What ``doctor`` finds, on real files, locks and sockets."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import sqlite3
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from modelport.composition import Installation, open_workspace
from modelport.domain.workspaces import WorkspaceLabels
from modelport.usecases.checks import Check, Verdict
from modelport.usecases.compute_targets import keep_compute
from modelport.usecases.doctor import Machine, examine


class EmptyIndex(BaseHTTPRequestHandler):
    """A package index that answers, and has no package."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *arguments: object) -> None:
        return None


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an index on this machine, which is the one that is configured."""
    server = HTTPServer(("127.0.0.1", 0), EmptyIndex)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/simple"
    configure(monkeypatch, address)
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


def configure(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in ("UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def checks(home: Path, *workspaces: str) -> dict[str, Check]:
    installation = Installation(home=home)
    opening = {name: lambda name=name: open_workspace(name, installation=installation) for name in workspaces}
    return {check.name: check for check in examine(Machine(home=home, workspaces=opening))}


def test_a_machine_where_all_is_well(home: Path, index: str) -> None:
    open_workspace("shop", installation=Installation(home=home), create=WorkspaceLabels())
    found = checks(home, "shop")
    of_the_machine = ("port", "disk", "open files", *(name for name in found if name.startswith("engine")))
    assert {name: check.verdict for name, check in found.items() if name not in of_the_machine} == dict.fromkeys(
        ("python", "home", "uv", "pythons", "index", "workspace shop"), Verdict.OK
    )
    assert "0 services" in found["workspace shop"].finding
    assert all(check.hint == "" for check in found.values() if check.verdict is Verdict.OK)


def test_an_index_that_nobody_answers_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        configure(monkeypatch, f"http://user:secret@127.0.0.1:{closed.getsockname()[1]}/simple")
        check = checks(home)["index"]
    assert check.verdict is Verdict.WARNING
    assert "secret" not in check.finding
    assert "proxy" in check.hint


def test_a_home_that_cannot_be_written(tmp_path: Path, index: str) -> None:
    (tmp_path / "file").touch()
    check = checks(tmp_path / "file" / "home")["home"]
    assert check.verdict is Verdict.PROBLEM
    assert "MODELPORT_HOME" in check.hint


def test_a_home_that_everybody_can_write(home: Path, index: str) -> None:
    home.mkdir()
    home.chmod(0o777)
    check = checks(home)["home"]
    assert check.verdict is Verdict.WARNING
    assert f"chmod o-w {home}" in check.hint


@pytest.mark.parametrize(("place", "written"), [("table", b"\xa5" * 100), ("free pages", b"\x00\x00\x00\x05")])
def test_a_damaged_database_does_not_stop_the_other_checks(home: Path, index: str, place: str, written: bytes) -> None:
    for name in ("sound", "torn"):
        open_workspace(name, installation=Installation(home=home), create=WorkspaceLabels()).registry.close()
    damage(home / "workspaces/torn/workspace.db", place, written)
    open_workspace("torn", installation=Installation(home=home)).registry.close()  # opening alone does not see it
    found = checks(home, "torn", "sound")
    assert found["workspace torn"].verdict is Verdict.PROBLEM
    assert "Its database is damaged" in found["workspace torn"].finding
    assert found["workspace sound"].verdict is Verdict.OK
    assert "port" in found


def damage(database: Path, place: str, written: bytes) -> None:
    """Overwrite the root page of the events, or the number of free pages in the file's header."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page_size = connection.execute("PRAGMA page_size").fetchone()[0]
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'modelport_events'"
        page = connection.execute(query).fetchone()[0]
    start = (page - 1) * page_size if place == "table" else 36
    content = bytearray(database.read_bytes())
    content[start : start + len(written)] = written
    database.write_bytes(content)


def test_locks_of_others_are_seen(home: Path, index: str) -> None:
    context = open_workspace("shop", installation=Installation(home=home), create=WorkspaceLabels())
    stray, operation = context.folder / "services/ghost/service.lock", context.folder / "operations/times.lock"
    for path in (stray, operation):
        path.parent.mkdir(parents=True)
        path.write_text("4711\n")
    with stray.open() as one, operation.open() as two:
        fcntl.flock(one, fcntl.LOCK_EX)
        fcntl.flock(two, fcntl.LOCK_EX)
        found = checks(home, "shop")
    assert "4711" in found["stray ghost"].finding
    assert "'times'" in found["operation times"].finding
    after = checks(home, "shop")
    assert "stray ghost" not in after
    assert "operation times" not in after


def test_who_has_the_default_port(home: Path, index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr("modelport.usecases.doctor.DEFAULT_PORT", port)
        check = checks(home)["port"]
        assert check.verdict is Verdict.WARNING
        assert "has it" in check.finding
    assert checks(home)["port"].verdict is Verdict.OK


def test_engines_and_clusters_that_do_not_answer(
    home: Path, tmp_path: Path, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone, other = tmp_path / "gone.sock", tmp_path / "other.sock"
    for path in (gone, other):
        with socket.socket(socket.AF_UNIX) as closed:
            closed.bind(str(path))
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", f"unix://{gone}")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{other}")
    monkeypatch.setenv("MODELPORT_ACI", "container")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    context = open_workspace("shop", installation=Installation(home=home), create=WorkspaceLabels())
    keep_compute(context, "prod", "AKS", {"context": "production"}, is_attached=True)
    context.registry.close()
    found = checks(home, "shop")
    chosen, unused, cluster = found[f"engine unix://{gone}"], found[f"engine unix://{other}"], found["cluster prod"]
    assert chosen.verdict is Verdict.PROBLEM and "does not answer: Connection refused" in chosen.finding
    assert "(MODELPORT_CONTAINER_ENGINE names it)" in chosen.finding and "systemctl start docker" in chosen.hint
    assert unused.verdict is Verdict.WARNING and "(DOCKER_HOST names it)" in unused.finding
    assert cluster.verdict is Verdict.PROBLEM and "no context named 'production'" in cluster.finding
