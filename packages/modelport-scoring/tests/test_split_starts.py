"""Several revisions while their server starts, and the files of one take their time."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

from modelport_scoring import ServiceState, Traffic
from scoring_services import RunningService, Services, ask, wait_until
from split_services import answering, asked_once, hosting, state_of


class SlowFile:
    """A file in whose place a pipe is: whoever opens it waits for ``arrive``."""

    def __init__(self, path: Path, content: bytes) -> None:
        self._path = path
        self._content = content
        self._writer = -1
        path.unlink(missing_ok=True)
        os.mkfifo(path)

    def wait_for_reader(self) -> None:
        wait_until(self._is_awaited, what=f"somebody reads {self._path}")

    def _is_awaited(self) -> bool:
        with contextlib.suppress(OSError):  # nobody does
            self._writer = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
        return self._writer >= 0

    def arrive(self) -> None:
        aside = self._path.with_name("aside")
        aside.write_bytes(self._content)
        aside.replace(self._path)  # for who reads it next
        os.write(self._writer, self._content)
        os.close(self._writer)


def manifest(service: RunningService, number: int) -> Path:
    return service.bundles / str(number) / "bundle.json"


def is_being_started(service: RunningService, number: int) -> int:
    """How often the working folder of that revision was made."""
    return (service.folder / "logs" / f"{number}.log").read_text().count(f"revision {number} starts from")


def test_who_asks_for_a_revision_while_the_server_starts_waits_for_that_one(services: Services) -> None:
    service = hosting(services, *map(answering, "12"), traffic=Traffic(version_header="x-revision"))
    slow = SlowFile(manifest(service, 2), manifest(service, 2).read_bytes())
    os.kill(service.status.pid, signal.SIGKILL)
    slow.wait_for_reader()
    waiting = service.connect()
    waiting.request("POST", "/score", body="x", headers={"x-revision": "2"})
    wait_until(lambda: service.status.requests_waiting == 1, what="it waits")
    assert service.score("x", headers={"x-revision": "3"}).status == 404
    slow.arrive()
    answer = waiting.getresponse()
    assert (answer.status, answer.read(), answer.headers["modelport-revision"]) == (200, b'"2"', "2")
    assert ask(waiting, "POST", "/score", body="x").json == "1"


def test_a_revision_that_is_released_while_its_files_are_fetched_does_not_start(services: Services) -> None:
    service = hosting(services, *map(answering, "12"))
    content = manifest(service, 2).read_bytes()
    manifest(service, 2).unlink()
    os.kill(service.status.pid, signal.SIGKILL)
    service.wait_for(ServiceState.RUNNING)
    wait_until(lambda: state_of(service, 2).state is ServiceState.UNHEALTHY, what="it is tried again")
    slow = SlowFile(manifest(service, 2), content)
    slow.wait_for_reader()
    before = is_being_started(service, 2)
    service.control.release(2)
    slow.arrive()
    wait_until(lambda: is_being_started(service, 2) > before, what="its files are there")
    wait_until(lambda: [path.name for path in (service.folder / "work").iterdir()] == ["1"], what="folder removed")
    assert asked_once(service) == "1"
