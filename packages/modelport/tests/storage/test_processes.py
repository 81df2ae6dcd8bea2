"""Several processes, and processes that are killed."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from modelport.domain.models import ModelFilter
from modelport.storage.sql import open_sql

from . import samples

PROGRAMS = Path(__file__).parent / "programs"


def run(program: str, *arguments: str) -> list[str]:
    """What the program prints."""
    command = [sys.executable, "-W", "error", str(PROGRAMS / program), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, folder_in_memory: Path) -> str:
    if request.param == "sqlite":
        return str(folder_in_memory / "workspace.db")
    url: str = request.getfixturevalue("postgresql")
    return url


def test_two_hundred_registrations_from_eight_processes(database: str) -> None:
    store = open_sql(database, workspace="crowd")
    store.create_workspace(samples.record("crowd"))
    versions = [int(version) for version in run("registering.py", database, "crowd", "8", "25")]
    assert sorted(versions) == list(range(1, 201))
    assert [model.version for model in store.models(ModelFilter(name="m"))] == list(range(200, 0, -1))
    assert [event.number for event in store.events()] == list(range(1, 202))
    store.close()


@pytest.mark.slow
def test_a_kill_at_a_random_moment_leaves_the_whole_version_or_none(database: str, folder_in_memory: Path) -> None:
    run("killing.py", database, "killed", str(folder_in_memory), "random", "20")


@pytest.mark.slow
def test_a_kill_at_any_call_leaves_the_whole_version_or_none(folder_in_memory: Path) -> None:
    database = str(folder_in_memory / "workspace.db")
    (kills,) = run("killing.py", database, "killed", str(folder_in_memory), "calls")
    assert int(kills) > 50


def test_processes_that_open_a_new_workspace_at_once_agree(empty_database: str) -> None:
    outcomes = [json.loads(line) for line in run("opening.py", empty_database, "6")]
    assert len(outcomes) == 6
    assert len({outcome["id"] for outcome in outcomes}) == 1
    assert any(outcome["alembic"] for outcome in outcomes)


def test_opening_what_is_up_to_date_is_quick(tmp_path: Path) -> None:
    database = str(tmp_path / "workspace.db")
    open_sql(database, workspace="w").close()
    outcomes = [json.loads(*run("opening.py", database, "1")) for _ in range(2)]
    assert not any(outcome["alembic"] for outcome in outcomes)
    assert min(outcome["took_s"] for outcome in outcomes) < 0.05


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = open_sql(tmp_path / "new" / "workspace.db", workspace="w")
    store.create_workspace(samples.record("w"))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
    store.close()
    assert modes == {"workspace.db": 0o600, "workspace.db-wal": 0o600, "workspace.db-shm": 0o600}


def test_a_forked_child_opens_connections_of_its_own(database: str) -> None:
    """(registering.py forks before it opens; here the parent has a connection already.)"""
    name = f"forked-{time.time_ns()}"
    program = (
        "import os, sys\n"
        "from modelport.storage.sql import open_sql\n"
        "from modelport.domain.models import ModelDraft\n"
        "store = open_sql(sys.argv[1], workspace=sys.argv[2])\n"
        "draft = ModelDraft(name='m', files=(), is_folder=False)\n"
        "store.add_model(draft)\n"
        "child = os.fork()\n"
        "versions = [store.add_model(draft).version for _ in range(20)]\n"
        "if child == 0: os._exit(0)\n"
        "sys.exit(os.waitpid(child, 0)[1])\n"
    )
    store = open_sql(database, workspace=name)
    store.create_workspace(samples.record(name))
    done = subprocess.run(
        [sys.executable, "-c", program, database, name], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(store.models(ModelFilter())) == 41
    store.close()
