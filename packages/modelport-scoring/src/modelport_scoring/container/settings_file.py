"""The settings that a target gives, in a file that is watched: a mounted file, or one of a Kubernetes Secret's volume.

Such a volume replaces a link when it changes, so the file is opened by its name each time and compared as a whole.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

from modelport_scoring.container.packaged import Placement
from modelport_scoring.container.report import Refusal
from modelport_scoring.control.client import ControlClient
from modelport_scoring.errors import (
    RequestRefused,
    ServiceNotRunning,
    SettingsInvalid,
    SwitchFailed,
    SwitchInProgress,
)
from modelport_scoring.failures import Failure
from modelport_scoring.logs.journal import say
from modelport_scoring.processes.backoff import BackOff
from modelport_scoring.service_folder import decode_settings

LOOK_S = 1.0
_FINGERPRINT = 12
MOST_BYTES = 4 * 1024 * 1024


class SettingsFile:
    """Takes over what changes in the file, without a restart."""

    def __init__(self, path: Path, *, taken: bytes, placement: Placement) -> None:
        """``taken``: the content that the service was started with."""
        self._path = path
        self._judged = taken
        """The content that was taken over, or cannot be."""
        self._placement = placement
        self._backoff = BackOff()
        self._next_try_at = 0.0
        """Of what the system has kept from being taken over."""
        self._said = ""
        self.in_force = digest_of(taken)
        self.refusal: Refusal | None = None

    def watch(self) -> None:
        """Look every second, as long as the process lives."""
        while True:
            time.sleep(LOOK_S)
            self.look()

    def look(self) -> None:
        """Take over the file's content where it is another one. One that cannot be taken over is named in the log, and
        the old settings stay; one that can only be taken over later is tried again at the next look."""
        content, named = b"", ""
        try:
            content = read_content(self._path)
            if content == self._judged:
                if digest_of(content) == self.in_force:
                    self.refusal = None
                return
            if time.monotonic() < self._next_try_at and self._is_refused(content):
                return
            named = f" {fingerprint(content)}"
            placed = self._placement.placed(decode_settings(content, path=self._path))
            kept = ControlClient(self._placement.folder).apply(self._placement.settled(placed))
        except (ServiceNotRunning, SwitchInProgress):
            return
        except (SettingsInvalid, RequestRefused, SwitchFailed, OSError, ValueError) as error:  # a path with a NUL
            self._say_once(f"the new settings{named} are not taken over, the old ones stay in force: {error}")
            failure = error.failure if isinstance(error, SwitchFailed) else None
            self.refusal = Refusal(settings=digest_of(content), message=str(error), failure=failure)
            if is_for_want(failure):
                self._next_try_at = time.monotonic() + self._backoff.after(0.0)
            elif isinstance(error, RequestRefused | SwitchFailed):
                self._judged = content
            return
        self._judged, self._backoff = content, BackOff()
        self._said = ""
        self.in_force, self.refusal = digest_of(content), None
        say(f"the new settings{named} are in force{but(kept)}")

    def _is_refused(self, content: bytes) -> bool:
        return self.refusal is not None and self.refusal.settings == digest_of(content)

    def _say_once(self, text: str) -> None:
        if text != self._said:
            self._said = text
            say(text)


def is_for_want(failure: Failure | None) -> bool:
    """Whether the system has refused what the new settings take, with an error that has no class of its own in Python:
    there is no room on the disk, or no descriptor left. That says nothing of the settings, and may pass."""
    return failure is not None and failure.phase == "start" and failure.type in ("OSError", "MemoryError")


def digest_of(content: bytes) -> str:
    """How a report names the content of the file."""
    return hashlib.sha256(content).hexdigest()


def fingerprint(content: bytes) -> str:
    """The name of a file's content in the log: who changed the file can tell by it what has become of that."""
    return digest_of(content)[:_FINGERPRINT]


def but(kept: list[str]) -> str:
    """What the log says of settings that a running service does not change."""
    if not kept:
        return ""
    return f", but for {', '.join(kept)}: they change when the service is started again"


def read_content(path: Path) -> bytes:
    """The whole file. Raises SettingsInvalid, which says what to try."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except PermissionError as error:
        text = f"{path}: {error.strerror}: user {os.geteuid()} must be able to read it"
        raise SettingsInvalid(f"{text} (mode 0440 and the pod's fsGroup, for example)") from error
    except OSError as error:
        raise SettingsInvalid(f"{path}: {error.strerror}") from error
    if len(content) > MOST_BYTES:
        raise SettingsInvalid(f"{path}: more than {MOST_BYTES} bytes are no settings")
    return content
