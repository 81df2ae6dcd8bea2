from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from scoring_services import Gate, RunningService, Services


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    made = Services(tmp_path)
    yield made
    made.end()


@pytest.fixture
def gate(services: Services, tmp_path: Path) -> Iterator[Gate]:
    """Opened in the end at the latest, before the services stop."""
    made = Gate(tmp_path / "gate")
    yield made
    made.open()


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service of the real worker that answers with the body it gets, as JSON; shared by the tests of a module."""
    made = Services(tmp_path_factory.mktemp("echo"))
    yield made.start()
    made.end()
