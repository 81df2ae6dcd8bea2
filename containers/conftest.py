"""One engine and its base images for all tests, and a workspace for each."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from containers import engines
from containers.bases import import_base
from containers.engines import Engine
from modelport import Workspace


@pytest.fixture(scope="session", params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine with the base image; tests are run with each that is installed."""
    program = {"docker": "dockerd", "podman": "podman"}[request.param]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: run tools/test_containers.sh, which installs what it needs")
    # Not pytest's folder: that is too deep for a socket, and full of mounts it could not be removed.
    folder = Path(tempfile.mkdtemp(prefix="modelport-engine-"))
    with getattr(engines, request.param)(folder) as running:
        import_base(running)
        yield running


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    ws = Workspace.create("ws", show_output=False)
    yield ws
    ws.registry.close()
