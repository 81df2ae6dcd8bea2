from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from scoring_services import Gate, RunningService, Services


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With a failure comes what its services said: it may not happen again where somebody can look."""
    report = yield
    if report.when == "call" and report.failed:
        for value in getattr(item, "funcargs", {}).values():
            running = value.made if isinstance(value, Services) else [value]
            for service in running:
                if isinstance(service, RunningService):
                    report.sections.append((f"logs of {service.folder.name}", service.logs()))
                    report.sections.append((f"sockets of {service.folder.name}", service.sockets()))
    return report


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
