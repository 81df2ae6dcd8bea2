"""Settings for a service that runs, while nobody answers for it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from modelport.domain.errors import WebserviceException
from modelport.targets.local import hosting
from modelport.targets.local.hosting import Hosting
from modelport_scoring import Changes, ErrorMode
from modelport_scoring.service_folder import CONTROL
from modelport_scoring.supervision import service_lock

from ..storage import samples

CHANGES = Changes(error_mode=ErrorMode.JSON)


@pytest.fixture
def service(tmp_path: Path) -> Hosting:
    return Hosting(samples.service("svc"), tmp_path)


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process is the service's."""
    monkeypatch.chdir(tmp_path)
    lock = service_lock.acquire(tmp_path)
    yield
    os.close(lock)


@contextmanager
def server(path: Path) -> Iterator[list[bytes]]:
    """Answers the first command, as one that has just been started; what it was told."""
    told: list[bytes] = []

    def answer() -> None:
        channel, _ = listening.accept()
        with channel, channel.makefile("rb") as lines:
            told.append(lines.readline())
            channel.sendall(b'{"ok":true}\n')

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(20)
        answering = threading.Thread(target=answer)
        answering.start()
        yield told
        answering.join()


def begin_to_listen(folder: Path) -> None:
    if (folder / "aside").exists():
        (folder / "aside").rename(folder / CONTROL)


@pytest.mark.usefixtures("supervisor")
def test_a_scoring_server_that_is_started_again_is_told_of_new_settings(
    service: Hosting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It begins with what was written before it died: a key that was taken away would be good until the service is
    started anew."""
    with server(tmp_path / "aside") as told:
        monkeypatch.setattr(time, "sleep", lambda _: begin_to_listen(tmp_path))
        service.change(CHANGES)
    assert b'"error_mode":"json"' in told[0]


@pytest.mark.usefixtures("supervisor")
def test_one_that_does_not_answer_in_the_end_is_no_success(service: Hosting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "ANSWERS_WITHIN_S", 0.0)
    with pytest.raises(
        WebserviceException, match="'svc' runs and does not answer, so that it goes on with its old"
    ) as e:
        service.change(CHANGES)
    assert "modelport service restart -n svc" in str(e.value)


def test_a_service_that_does_not_run_reads_them_when_it_is_started(service: Hosting) -> None:
    service.change(CHANGES)


def test_one_of_which_nothing_can_be_known_is_not_taken_for_stopped(
    service: Hosting, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(folder: Path) -> int | None:
        raise OSError(24, os.strerror(24))

    monkeypatch.setattr(hosting, "supervisor_pid", asked)
    monkeypatch.setattr(hosting, "ANSWERS_WITHIN_S", 0.0)
    with pytest.raises(WebserviceException, match="does not answer"):
        service.change(CHANGES)
