"""How the service of a container is, in a file of its folder: for whoever can read a file in there, and not connect.

A container engine gives files out of a container whether it runs or not, wherever the engine is.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from modelport_scoring.control.client import ControlClient
from modelport_scoring.errors import ServiceNotRunning
from modelport_scoring.failures import Failure
from modelport_scoring.service_folder import write_whole
from modelport_scoring.status import Status

REPORT = "report.json"
LOOK_S = 0.2


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that are not taken over; those before them stay in force."""

    settings: str
    """SHA-256 of the file's content."""
    message: str
    failure: Failure | None = None
    """Where workers did not come up with them."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The content of ``report.json``. It is written anew when anything of it changes but the numbers of requests."""

    accepts: bool
    """Whether connections are accepted: not while another one serves still, from which the socket is taken over."""
    settings: str | None = None
    """SHA-256 of the content of the settings' file that is in force; None where none is watched."""
    refusal: Refusal | None = None
    """Why the file's newest content is not in force, if it is not."""
    status: Status | None = None
    """As the control socket had it; None before the server answers."""
    begun: float = 0.0
    """When this process began to report, in seconds since 1970: a report of an earlier one may lie there still."""


Look = Callable[[], Report]


class Reporter:
    """Keeps the file true."""

    def __init__(self, folder: Path, *, look: Look) -> None:
        """``look`` tells everything but the status."""
        self._folder = folder
        self._look = look
        self._written: Report | None = None
        self._begun = time.time()
        (folder / REPORT).unlink(missing_ok=True)

    def watch(self) -> None:
        """Look again and again, as long as the process lives."""
        while True:
            with contextlib.suppress(OSError):  # the disk is full: what is there stays
                self.look()
            time.sleep(LOOK_S)

    def look(self) -> None:
        """Write the file where it is not true any more. Raises OSError."""
        report = msgspec.structs.replace(self._look(), status=self._status(), begun=self._begun)
        if report != self._written:
            write_whole(self._folder / REPORT, msgspec.json.encode(report))
            self._written = report

    def _status(self) -> Status | None:
        try:
            status = ControlClient(self._folder).status()
        except ServiceNotRunning:
            return None
        revisions = [msgspec.structs.replace(each, **_NO_REQUESTS) for each in status.revisions]
        servers = [msgspec.structs.replace(each, **_NO_REQUESTS) for each in status.servers]
        return msgspec.structs.replace(status, revisions=revisions, servers=servers, **_NO_REQUESTS)


_NO_REQUESTS = {"requests_in_flight": 0, "requests_waiting": 0}


def decode_report(content: bytes) -> Report | None:
    """What a file says; None where that is no report of ours."""
    try:
        return msgspec.json.decode(content, type=Report)
    except ValueError:
        return None
