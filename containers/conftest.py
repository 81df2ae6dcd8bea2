"""One engine and its base images for all tests, and a workspace for each."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from containers import engines
from containers.bases import CACHE, base_archive, import_base
from containers.engines import Engine
from containers.instances import Instances
from containers.rules import ENGINE_FOLDER
from modelport import Workspace

OPT_OUT = "MODELPORT_TEST_WITHOUT"
PROGRAMS = {"docker": ("dockerd", "docker", "debootstrap"), "podman": ("podman", "runc", "debootstrap")}


class _OneProcessForEachEngine(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Two processes of tests wait for two engines at once; each engine is for one process alone."""

    def _split_scope(self, nodeid: str) -> str:
        return "podman" if "podman" in nodeid else "docker"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    return _OneProcessForEachEngine(config, log)


@pytest.fixture(scope="session", params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine with the base image; tests are run with each, but for those that MODELPORT_TEST_WITHOUT names."""
    if request.param in os.environ.get(OPT_OUT, "").split(","):
        pytest.skip(f"{OPT_OUT} says so")
    for program in PROGRAMS[request.param]:
        if shutil.which(program) is None:
            pytest.fail(
                f"{program} is not installed: run tools/test_containers.sh, which installs what it needs (as root, "
                f"Debian's packages), or set {OPT_OUT}={request.param}."
            )
    # Not pytest's folder: that is too deep for a socket, and full of mounts it could not be removed.
    folder = Path(tempfile.mkdtemp(prefix=ENGINE_FOLDER))
    with getattr(engines, request.param)(folder) as running:
        import_base(running)
        yield running


@pytest.fixture(scope="session")
def image_cache() -> Path:
    """Where layers of images are kept for all tests of a machine: to be the folder ``images`` of a home."""
    layers = CACHE / "images"
    layers.mkdir(parents=True, exist_ok=True)
    return layers


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    monkeypatch.setenv("MODELPORT_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    ws = Workspace.create("ws", show_output=False)
    yield ws
    ws.registry.close()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory, image_cache: Path) -> Path:
    home = tmp_path_factory.mktemp("home")
    (home / "images").symlink_to(image_cache)
    return home


@pytest.fixture
def instances(engine: Engine, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instances]:
    """A workspace whose container instances are containers of the engine. Nothing of them may be left at the end."""
    monkeypatch.setenv("MODELPORT_HOME", str(home))
    monkeypatch.setenv("MODELPORT_ACI", "container")
    monkeypatch.setenv("MODELPORT_CONTAINER_ENGINE", engine.address)
    monkeypatch.setenv("MODELPORT_BASE_IMAGE", str(base_archive()))
    monkeypatch.delenv("MODELPORT_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    workspace = Workspace.create(f"ws-{engine.name}", exist_ok=True, show_output=False)
    found = Instances(engine, workspace, tmp_path)
    assert found.everything() == set()
    try:
        yield found
        for service in workspace.webservices.values():
            service.delete()
        assert found.everything() == set()
    finally:
        for service in workspace.webservices.values():
            service.delete()
        workspace.registry.close()
