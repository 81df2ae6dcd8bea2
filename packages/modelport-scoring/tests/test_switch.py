"""From one revision to the next while requests come."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modelport_scoring import ControlClient, Limits, ServiceState, SwitchFailed, SwitchInProgress
from scoring_services import Gate, Services, load, wait_until


def answering(text: str, *, extra: str = "") -> str:
    return f"import os, time\ndef init():\n    {extra or 'pass'}\ndef run(x): return {text!r}\n"


def test_no_request_fails_while_revisions_are_switched(services: Services) -> None:
    service = services.start(answering("1"))
    with load(service, clients=6) as seen:
        for number in (2, 3, 4):
            assert service.control.switch(service.revision(number, answering(str(number)))) == number
            key = (200, f'"{number}"'.encode())
            wait_until(lambda key=key: seen[key] > 100, what=f"answers of revision {number}")  # type: ignore[misc]
    assert set(seen) == {(200, f'"{number}"'.encode()) for number in (1, 2, 3, 4)}
    assert service.settings.revision.number == 4
    wait_until(lambda: [p.name for p in (service.folder / "work").iterdir()] == ["4"], what="old folders removed")


@pytest.mark.parametrize(
    ("script", "phase"),
    [
        ("def init(: pass", "import"),
        ("def init(): raise OSError('no model')\ndef run(x): return x", "init"),
        ("import os\ndef init(): os._exit(5)\ndef run(x): return x", "init"),
    ],
)
def test_a_failing_revision_changes_nothing(services: Services, script: str, phase: str) -> None:
    service = services.start(answering("1"))
    before = service.status
    with load(service, clients=6) as seen:
        with pytest.raises(SwitchFailed) as raised:
            service.control.switch(service.revision(2, script))
        total = seen.total()
        wait_until(lambda: seen.total() > total + 100, what="it goes on")
    assert raised.value.failure.phase == phase
    assert raised.value.failure.exit == ("exit status 5" if "_exit" in script else None)
    assert set(seen) == {(200, b'"1"')}
    after = service.status
    assert (after.revision, after.workers, after.failure) == (1, before.workers, None)
    assert service.settings.revision.number == 1
    assert [path.name for path in (service.folder / "work").iterdir()] == ["1"]
    assert service.control.switch(service.revision(3, answering("3"))) == 3


def test_a_bundle_that_is_not_there(services: Services, tmp_path: Any) -> None:
    service = services.start()
    revision = service.revision(2, answering("2"))
    (service.bundles / "2" / "bundle.json").unlink()
    with pytest.raises(SwitchFailed, match=r"bundle\.json") as raised:
        service.control.switch(revision)
    assert raised.value.failure.phase == "start"


def test_requests_that_are_held_are_finished_by_the_old_revision(services: Services, gate: Gate) -> None:
    service = services.start(f"import os, time\ndef init(): pass\ndef run(x):\n    {gate.wait}\n    return 'old'\n")
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(service.score, "x")
        wait_until(lambda: service.status.requests_in_flight == 1, what="held")
        waiting = pool.submit(service.score, "x")
        wait_until(lambda: service.status.requests_waiting == 1, what="waiting")
        service.control.switch(service.revision(2, answering("new")))
        assert waiting.result().json == "new"
        gate.open()
        assert held.result().json == "old"


def test_draining_ends_in_time(services: Services) -> None:
    service = services.start("import time\ndef init(): pass\ndef run(x): time.sleep(600)\n")
    service.control.configure(limits=Limits(drain_timeout_s=0.3))
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(service.score, "x")
        wait_until(lambda: service.status.requests_in_flight == 1, what="held")
        service.control.switch(service.revision(2, answering("new")))
        assert held.result().status == 502
    wait_until(lambda: not (service.folder / "work" / "1").exists(), what="the old folder removed")


def test_one_switch_at_a_time_and_it_goes_on_without_its_client(services: Services, gate: Gate) -> None:
    service = services.start(answering("1"))
    slow = service.revision(2, answering("2", extra=gate.wait))
    impatient = ControlClient(service.folder)
    with pytest.raises(Exception, match="timed out"):
        impatient.switch(slow, patience_s=0.2)
    assert service.status.switching
    with pytest.raises(SwitchInProgress):
        service.control.switch(service.revision(3, answering("3")))
    gate.open()
    wait_until(lambda: service.status.revision == 2, what="the switch is done")
    assert service.score("x").json == "2"


def test_the_number_of_the_running_revision_is_refused(services: Services) -> None:
    service = services.start(answering("1"))
    with pytest.raises(SwitchFailed, match="revision 1 is the one that runs"):
        service.control.switch(service.settings.revision)
    assert service.score("x").json == "1"


def test_a_failed_service_is_healed_by_a_switch(services: Services) -> None:
    service = services.start("def init(): raise OSError('no')\ndef run(x): return x", until=ServiceState.FAILED)
    service.control.switch(service.revision(2, answering("2")))
    status = service.status
    assert (status.state, status.failure) == (ServiceState.RUNNING, None)
    assert service.score("x").json == "2"


def test_a_switch_that_cannot_be_written_down_is_none(services: Services) -> None:
    service = services.start(answering("1"))
    revision = service.revision(2, answering("2"))
    # A folder in the place of the file: renaming onto it fails for root too, where a mode would not.
    (service.folder / "service.json").rename(service.folder / "kept")
    (service.folder / "service.json" / "in the way").mkdir(parents=True)
    with pytest.raises(SwitchFailed, match=r"service\.json could not be written"):
        service.control.switch(revision)
    (service.folder / "service.json" / "in the way").rmdir()
    (service.folder / "service.json").rmdir()
    (service.folder / "kept").rename(service.folder / "service.json")
    assert service.score("x").json == "1"


def test_a_start_is_quick(services: Services) -> None:
    service = services.make()
    begun = time.monotonic()
    service.start()
    assert service.score("x").status == 200
    took_s = time.monotonic() - begun
    begun = time.monotonic()
    for _ in range(3):  # as many interpreters as a service is of
        subprocess.run([sys.executable, "-c", "import modelport_scoring.server"], check=True)
    assert took_s < max(3.0, 3 * (time.monotonic() - begun)), "0.35 s on a quiet machine, and 0.6 s"
