"""The files of a service's folder: their names, and reading and writing them whole (03-data-plane.md)."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection
from pathlib import Path

import msgspec

from modelport_scoring.bundle import remove_tree
from modelport_scoring.failures import Failure
from modelport_scoring.settings.checks import check_settings, raise_limits
from modelport_scoring.settings.json_files import decode_json, read_bytes
from modelport_scoring.settings.service import ServiceSettings
from modelport_scoring.settings.share import Share

SETTINGS = "service.json"
LOCK = "service.lock"
CONTROL = "control.sock"
FAILURE = "failure.json"
EARLIER_FAILURE = "failure-earlier.json"
WORK = "work"
LOGS = "logs"
SUPERVISOR_LOG = "supervisor.log"
ACCESS_LOG = "access.log"


def read_settings(folder: Path) -> ServiceSettings:
    """``service.json`` of the folder. Raises SettingsInvalid, which names the file and what is wrong with it."""
    return read_with_notes(folder)[0]


def read_with_notes(folder: Path) -> tuple[ServiceSettings, list[str]]:
    """The same, and what is in force otherwise than it stands there, for whoever starts the service."""
    path = folder / SETTINGS
    settings, notes = raise_limits(decode_json(read_bytes(path), ServiceSettings, path=path))
    check_settings(settings, path=path)
    return settings, notes


def settings_of_moment(folder: Path, *, port: int) -> ServiceSettings:
    """The same, with the port of the socket, which is the truth about it: somebody may have written the file anew since
    the supervisor read it. Raises SettingsInvalid."""
    return msgspec.structs.replace(read_settings(folder), port=port)


def decode_settings(content: bytes, *, path: Path) -> ServiceSettings:
    """The settings that a file holds. Raises SettingsInvalid, which names the file and what is wrong with it."""
    settings = decode_json(content, ServiceSettings, path=path)
    check_settings(settings, path=path)
    return settings


def write_settings(folder: Path, settings: ServiceSettings) -> None:
    """Write ``service.json`` whole or not at all, readable by its owner only. Raises OSError."""
    write_whole(folder / SETTINGS, msgspec.json.format(msgspec.json.encode(settings)))


def read_failure(folder: Path) -> Failure | None:
    """Why the last supervisor gave up before it served, or None."""
    try:
        return msgspec.json.decode((folder / FAILURE).read_bytes(), type=Failure)
    except (OSError, ValueError):
        return None


def write_failure(folder: Path, failure: Failure) -> None:
    """Leave word for whoever started the supervisor. Raises OSError."""
    write_whole(folder / FAILURE, msgspec.json.encode(failure))


def keep_failure(folder: Path) -> None:
    """Keep aside what an earlier process of the same container left: the engine starts it again before anybody may have
    read it. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        (folder / FAILURE).replace(folder / EARLIER_FAILURE)


def clear_failure(folder: Path) -> None:
    """Forget what an earlier supervisor left."""
    (folder / FAILURE).unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write aside with mode 0600, sync, rename. Raises OSError and leaves the old file."""
    descriptor, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(aside).unlink()
        raise


def log_path(folder: Path, revision: int) -> Path:
    """Where the workers of a revision print."""
    return folder / LOGS / f"{revision}.log"


def supervisor_log_path(folder: Path) -> Path:
    """Where the supervisor and the scoring server write."""
    return folder / LOGS / SUPERVISOR_LOG


def work_path(folder: Path, revision: int, *, process: int = 0) -> Path:
    """The working folder of a revision, of which each server process has its own."""
    return folder / WORK / (str(revision) if process == 0 else f"{revision}.{process}")


def clear_work(folder: Path, share: Share, *, keep: Collection[int]) -> None:
    """Remove working folders that a server process of our number has left behind when it was killed; and the first one,
    those of numbers that nobody has any more."""
    kept = {work_path(folder, revision, process=share.process).name for revision in keep}
    for path in (folder / WORK).glob("*"):
        revision, _, number = path.name.partition(".")
        if not (revision.isdigit() and (number or "0").isdigit()) or path.name in kept:
            continue
        owner = int(number or "0")
        if owner == share.process or (share.process == 0 and owner >= share.processes):
            remove_tree(path)


def peer_socket(process: int) -> str:
    """The name of the socket in the service's folder by which a server process is told what to do by the first."""
    return f"server-{process}.sock"
