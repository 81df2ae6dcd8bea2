"""One MODELPORT_HOME for all tests here, so that each environment is built once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from modelport import Workspace

from .framework_models import Workshop

_OURS = ("MODELPORT_HOME", "MODELPORT_DATABASE_URL", "PYTHONDONTWRITEBYTECODE")


@dataclass
class Steps:
    """A Progress that keeps the steps."""

    texts: list[str] = field(default_factory=list)

    def step(self, text: str) -> None:
        self.texts.append(text)

    def amount(self, label: str, done: int, total: int) -> None:
        return None


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all processes that test; ``MODELPORT_TEST_HOME`` keeps its environments between runs."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    return Path(os.environ.get("MODELPORT_TEST_HOME") or shared / "no-code-home")


@pytest.fixture(scope="session")
def workshop(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"), home)


@pytest.fixture(scope="session")
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="session")
def shop(home: Path, steps: Steps) -> Iterator[Workspace]:
    """A workspace of this process, which all its tests share."""
    before = {name: os.environ.pop(name, None) for name in _OURS}
    os.environ["MODELPORT_HOME"] = str(home)
    workspace = Workspace.create(f"no-code-{os.getpid()}", progress=steps)
    try:
        yield workspace
        for service in workspace.webservices.values():
            service.delete()
        workspace.registry.close()
    finally:
        os.environ.pop("MODELPORT_HOME")
        os.environ.update({name: value for name, value in before.items() if value is not None})
