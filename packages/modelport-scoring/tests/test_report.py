"""What a container's folder tells of its service, for whoever can read a file in there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from image_packages import Package
from modelport_scoring import Limits, ServiceState, read_settings
from modelport_scoring.container.report import REPORT, Report, decode_report
from modelport_scoring.service_folder import SETTINGS, write_settings
from scoring_services import wait_until

SCRIPT = """
def init():
    pass

def run(data):
    return "x"
"""


@pytest.fixture
def package(tmp_path: Path) -> Iterator[Package]:
    package = Package(tmp_path, SCRIPT)
    try:
        yield package
    finally:
        package.end()


def told(package: Package) -> Report | None:
    path = package.folder / REPORT
    return decode_report(path.read_bytes()) if path.exists() else None


def wait_for(package: Package, is_so: Callable[[Report], bool]) -> Report:
    def looked() -> bool:
        report = told(package)
        return report is not None and is_so(report)

    wait_until(looked, what=f"the report: {told(package)}")
    report = told(package)
    assert report is not None
    return report


def is_running(report: Report) -> bool:
    return report.status is not None and report.status.state is ServiceState.RUNNING


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_report_follows_the_service_and_its_settings(package: Package) -> None:
    given = package.server / SETTINGS
    package.start(options=["--port", "0", "--settings", str(given)])
    report = wait_for(package, is_running)
    assert (report.accepts, report.settings, report.refusal) == (True, digest(given), None)
    whole = read_settings(package.server)
    write_settings(package.server, msgspec.structs.replace(whole, limits=Limits(max_concurrent_requests=7)))
    wait_for(package, lambda report: report.settings == digest(given))
    old = digest(given)
    given.write_text("{")
    report = wait_for(package, lambda report: report.refusal is not None)
    assert report.refusal is not None
    assert (report.settings, report.refusal.settings) == (old, digest(given))
    assert "truncated" in report.refusal.message
    assert is_running(report)


def test_no_report_of_an_earlier_process(package: Package) -> None:
    package.folder.mkdir()
    (package.folder / REPORT).write_bytes(msgspec.json.encode(Report(accepts=True, settings="old")))
    package.start(options=["--port", "0", "--settings", str(package.server / SETTINGS)])
    assert wait_for(package, is_running).settings != "old"
    assert decode_report(b"{") is None
